"""What is counted now and then, and when."""

from datetime import date, timedelta

import pytest

from builds.figures import counting
from builds.models import Build, BuildDay, Campaign, Counting, Demand, StandingFailure, TargetQueue
from builds.planning.priority import Rank, span
from builds.tests.rows import NOON, make_build, make_target, make_version

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]


def make_ended(at, state="succeeded", failure="", package="demo", target=None, **fields):
    number = f"1.{Build.objects.count()}"
    return make_build(
        fields.pop("version", None) or make_version(number, package),
        target,
        **{"state": state, "failure": failure, "finished_at": at, **fields},
    )


def days():
    return list(BuildDay.objects.order_by("day", "state").values_list("day", "state", "failure", "count"))


def test_what_waits_is_counted_by_target_and_class():
    trixie, bookworm = make_target(), make_target("bookworm-armhf-cp311")
    for number, rank in enumerate([Rank.RELEASE, Rank.HISTORY, Rank.HISTORY]):
        make_build(
            make_version(f"1.{number}"),
            trixie,
            priority=span(rank)[5],
            queued_at=NOON - timedelta(days=3 - number),
        )
    make_build(make_version("2.0"), trixie, not_before=NOON + timedelta(hours=1))
    make_build(make_version("3.0"), bookworm, state="succeeded", finished_at=NOON)

    counting.count_due(NOON)

    queue = TargetQueue.objects.get(target=trixie)
    assert (queue.ready, queue.pausing) == (3, 1)
    assert queue.levels == {str(int(Rank.RELEASE)): 1, str(int(Rank.HISTORY)): 2}
    assert queue.oldest_at == NOON - timedelta(days=3)
    assert TargetQueue.objects.get(target=bookworm).ready == 0


def test_the_pace_of_a_target_that_has_just_begun_is_not_that_of_a_day():
    for minutes in (180, 120, 60, 1, 24 * 60 + 1):
        make_ended(NOON - timedelta(minutes=minutes) - timedelta(days=2 * (minutes > 1000)))

    counting.count_due(NOON)

    queue = TargetQueue.objects.get(target=make_target())
    assert queue.ended == 4
    assert queue.per_hour == pytest.approx(4 / 3)


def test_days_are_counted_from_the_first_and_the_last_one_anew():
    make_ended(NOON - timedelta(days=2))
    make_ended(NOON - timedelta(days=2), "failed", "timeout")
    make_ended(NOON, "lost", "builder-lost")
    make_ended(NOON, "cancelled")
    counting.count_due(NOON)
    make_ended(NOON, "lost", "builder-lost")

    counting.count_due(NOON + timedelta(minutes=1))

    assert days() == [
        (date(2026, 11, 22), "failed", "timeout", 1),
        (date(2026, 11, 22), "succeeded", "", 1),
        (date(2026, 11, 24), "lost", "builder-lost", 2),
    ]
    assert Counting.objects.get(pk="days").through == date(2026, 11, 23)


def test_a_day_that_is_over_is_not_counted_again():
    make_ended(NOON - timedelta(days=2))
    counting.count_due(NOON)

    Build.objects.all().delete()
    counting.count_due(NOON + timedelta(minutes=1))

    assert days() == [(date(2026, 11, 22), "succeeded", "", 1)]


def test_the_last_builds_of_a_day_are_waited_for():
    midnight = NOON.replace(hour=0)
    make_ended(midnight - timedelta(hours=1))
    counting.count_due(midnight + timedelta(minutes=1))
    make_ended(midnight - timedelta(seconds=1))

    counting.count_due(midnight + timedelta(minutes=16))

    assert days()[0][3] == 2


def test_a_package_counts_once_for_each_way_in_which_it_fails_at_the_moment():
    for number in range(2):
        make_ended(NOON, "failed", "missing-header", "lxml")
        make_ended(NOON, "failed", "timeout", f"other-{number}")
    mended = make_ended(NOON, "failed", "timeout", "scipy")
    make_ended(NOON, package="scipy", version=mended.version, attempt=2)
    Demand.objects.create(package=Build.objects.first().version.package, dependents=7)
    lxml = Build.objects.filter(version__package__name="lxml").first().version.package
    Demand.objects.update_or_create(package=lxml, defaults={"dependents": 40})

    counting.count_due(NOON)

    found = dict(StandingFailure.objects.values_list("failure", "packages"))
    assert found == {"missing-header": 1, "timeout": 2}
    assert StandingFailure.objects.get(pk="missing-header").dependents == 40


def test_a_way_to_fail_that_is_mended_stands_no_more():
    make_ended(NOON, "failed", "timeout")
    counting.count_due(NOON)
    Build.objects.all().delete()

    counting.count_due(NOON + timedelta(hours=1))

    assert StandingFailure.objects.get(pk="timeout").packages == 0


def test_campaigns_are_told_how_far_they_are():
    campaign = Campaign.objects.create(
        name="All", target=make_target(), kind="wanted", count=5, total=5, looked_at=2, started_at=NOON
    )
    make_ended(NOON, campaign=campaign)

    counting.count_due(NOON)

    campaign.refresh_from_db()
    progress = campaign.counted or {}
    assert (progress["succeeded"], progress["left"]) == (1, 3)


def test_what_was_just_counted_is_left_alone(django_assert_num_queries):
    counting.count_due(NOON)

    with django_assert_num_queries(1):
        assert counting.count_due(NOON + timedelta(seconds=4)) == 0
    assert counting.count_due(NOON + timedelta(seconds=5)) == 1


def test_days_that_are_to_be_counted_again_are_not_taken_for_counted_by_who_was_at_them():
    counting.count_due(NOON)
    row = Counting.objects.get(pk="days")
    later = NOON + timedelta(minutes=1)
    assert row.take(later)

    Counting.forget_days()
    row.end(0.01, through=NOON.date())

    row.refresh_from_db()
    assert (row.through, row.is_due(later)) == (None, True)


def test_what_takes_minutes_keeps_nothing_else_from_being_counted():
    things = counting.SHORT

    assert counting.count_due(NOON, things=things) == len(things)
    assert counting.count_due(NOON, things=counting.LONG) == len(counting.LONG)
    assert counting.count_due(NOON) == 0


def test_what_takes_long_is_counted_seldom():
    row = Counting(thing="queue", at=NOON, took_s=2.0)

    assert not row.is_due(NOON + timedelta(seconds=99))
    assert row.is_due(NOON + timedelta(seconds=100))


def test_what_was_cut_short_is_begun_again_later_and_later():
    """A count that is too slow for what ends workers is not to be all that they do."""
    counting.count_due(NOON)
    Counting.objects.filter(pk="queue").update(took_s=0)
    now, pauses = NOON + timedelta(hours=1), []
    for _ in range(7):
        row = Counting.objects.get(pk="queue")
        assert row.take(now)
        begun, row = now, Counting.objects.get(pk="queue")
        while not row.is_due(now):
            now += timedelta(seconds=50)
        pauses.append(int((now - begun).total_seconds()))

    assert pauses == [50, 150, 350, 750, 1550, 3000, 3000]


def test_what_ends_after_all_is_counted_as_often_as_it_was():
    counting.count_due(NOON)
    row = Counting.objects.get(pk="queue")
    row.take(NOON + timedelta(minutes=1))

    row.end(0.01)

    row.refresh_from_db()
    assert row.is_due(NOON + timedelta(minutes=1, seconds=5))


def test_a_clock_that_was_put_back_keeps_nothing_from_being_counted():
    row = Counting(thing="queue", at=NOON)

    assert row.is_due(NOON - timedelta(days=1))


def test_only_one_of_two_counts():
    counting.count_due(NOON)
    first, second = Counting.objects.get(pk="queue"), Counting.objects.get(pk="queue")

    assert first.take(NOON + timedelta(minutes=1))
    assert not second.take(NOON + timedelta(minutes=1))
