from datetime import timedelta

import pytest

from packages import doubt, sync
from packages.doubt import DoubtfulAbsence
from packages.models import Dirty, Package, SyncCursor, Version

pytestmark = pytest.mark.django_db

FEW, MANY = doubt.LEAST, doubt.LEAST + 5


@pytest.fixture
def farm(upstream, look_up):
    """Have that many packages, and return their names."""

    def fill(count):
        names = [f"demo{number}" for number in range(count)]
        for name in names:
            upstream.add_sdist(name, "1.0")
            look_up(name)
        return names

    return fill


def deny(names, now):
    """Have upstream denied them for so long that one alone would be believed."""
    for name in names:
        Dirty.objects.create(name=name, not_before=now, attempts=sync.PATIENCE, error=doubt.ABSENT)


def gone():
    return Package.objects.filter(status="gone").count()


def cursor():
    return SyncCursor.objects.get()


def test_a_few_packages_may_vanish_in_an_hour(upstream, farm, refresh, now):
    names = farm(FEW)
    for name in names:
        upstream.remove(name)
    deny(names, now)

    assert refresh() == FEW

    assert (gone(), cursor().doubted_at) == (FEW, None)


def test_no_package_vanishes_when_many_do_at_once(upstream, farm, refresh, now, caplog):
    names = farm(MANY)
    upstream.projects.clear()
    deny(names, now)

    assert refresh() == 0

    assert (gone(), Version.objects.exclude(gone_at=None).count()) == (0, 0)
    assert (cursor().doubted_at is not None, cursor().doubted) == (True, MANY)
    assert Dirty.objects.count() == MANY
    assert "reconcile --believe" in caplog.text


def test_the_log_names_some_of_the_packages_that_are_to_vanish(upstream, farm, refresh, now, caplog):
    names = farm(MANY)
    upstream.projects.clear()
    deny(names, now)

    refresh()

    [said] = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert f"any more: {', '.join(sorted(names)[: doubt.NAMED])} and {MANY - doubt.NAMED} more." in said


def test_the_log_names_what_has_vanished_within_the_hour_too(upstream, farm, refresh, now, caplog):
    for name in farm(FEW + 1):
        upstream.remove(name, "1.0")
        Dirty.objects.create(name=name, not_before=now)

    refresh()

    waiting = Dirty.objects.get().name
    assert f"any more: {waiting}, demo" in caplog.text
    assert "and 1 more." in caplog.text


def test_what_vanished_within_the_hour_counts(upstream, farm, refresh, now):
    *names, _ = farm(MANY + 1)
    for name in names:
        upstream.remove(name)
    deny(names[:FEW], now)
    assert refresh() == FEW

    deny(names[FEW:], now + timedelta(minutes=59))
    assert refresh(after=59 * 60) == 0
    assert gone() == FEW


def test_while_absences_are_doubted_each_of_them_counts_no_others(farm, now, django_assert_num_queries):
    name, *_ = farm(2)
    SyncCursor.objects.filter(pk=SyncCursor.current().pk).update(doubted_at=now, doubted=MANY)

    with django_assert_num_queries(1), pytest.raises(doubt.TooMuchVanishes):
        doubt.judge(name, doubt.ABSENT, now)


def test_how_many_are_doubted_is_the_most_that_ever_were(farm, now):
    names = farm(MANY)
    SyncCursor.objects.filter(pk=SyncCursor.current().pk).update(doubted_at=now, doubted=FEW)
    deny(names, now)

    doubt.relax(now)

    assert (cursor().doubted_at, cursor().doubted) == (now, MANY)


def test_a_large_farm_may_lose_one_in_a_thousand(now):
    Package.objects.bulk_create([Package(name=f"p{n}", display_name="x") for n in range(12_000)])

    assert doubt.bound() == 12


def test_doubt_ends_when_upstream_has_the_packages_again(upstream, farm, refresh, now):
    names = farm(MANY)
    away = dict(upstream.projects)
    upstream.projects.clear()
    deny(names, now)
    refresh()

    upstream.projects.update(away)
    assert refresh(after=4000) == MANY
    refresh(after=4001)

    assert (gone(), cursor().doubted_at) == (0, None)


def test_doubt_does_not_end_by_itself(upstream, farm, refresh, now):
    names = farm(MANY)
    upstream.projects.clear()
    deny(names, now)

    for hours in range(5):
        refresh(after=hours * 4000)

    assert gone() == 0
    assert cursor().doubted_at is not None


def test_doubt_does_not_end_because_somebody_asks_for_the_packages(upstream, farm, refresh, now):
    names = farm(MANY)
    upstream.projects.clear()
    deny(names, now)
    refresh()

    for name in names:
        Dirty.mark(name)
    refresh(after=4000)

    assert (gone(), cursor().doubted_at is not None) == (0, True)


def test_one_that_was_really_removed_keeps_no_others_in_doubt(upstream, farm, refresh, now):
    names = farm(MANY)
    away = dict(upstream.projects)
    upstream.projects.clear()
    deny(names, now)
    refresh()

    del away[names[0]]
    upstream.projects.update(away)
    refresh(after=4000)
    refresh(after=8000)
    refresh(after=12000)

    assert (gone(), cursor().doubted_at) == (1, None)


def test_an_operator_may_believe_what_upstream_says(upstream, farm, refresh, now):
    names = farm(MANY)
    upstream.projects.clear()
    deny(names, now)
    refresh()

    assert doubt.believe(now) == MANY
    assert refresh(after=1) == MANY

    assert (gone(), cursor().doubted_at) == (MANY, None)


def test_pages_without_files_are_doubted_like_absences(upstream, farm, refresh, now):
    names = farm(MANY)
    for name in names:
        upstream.remove(name, "1.0")
        Dirty.objects.create(name=name, not_before=now)

    refresh()

    assert Version.objects.exclude(gone_at=None).count() == FEW
    assert cursor().doubted_at is not None
    assert set(Dirty.objects.values_list("error", flat=True)) == {doubt.EMPTY}


def test_a_package_that_loses_some_files_is_not_doubted(upstream, farm, look_up, now):
    for name in farm(MANY):
        upstream.add_sdist(name, "2.0")
        look_up(name)
        upstream.remove(name, "1.0")
        look_up(name)

    assert Version.objects.exclude(gone_at=None).count() == MANY
    assert not SyncCursor.objects.exclude(doubted_at=None).exists()


def test_a_quarantine_is_believed_whatever_else_is_in_doubt(upstream, farm, look_up, refresh, now):
    suspect, *others = farm(MANY)
    for name in others:
        upstream.remove(name)
    deny(others, now)
    refresh()
    assert cursor().doubted_at is not None

    upstream.quarantine(suspect, "malware?")
    package = look_up(suspect)
    assert (package.status, package.status_reason) == ("quarantined", "malware?")
    assert not package.versions.listed().exists()

    upstream.set_status(suspect, None)
    package = look_up(suspect)
    assert (package.status, package.generation, package.versions.listed().count()) == ("active", 1, 1)


def test_many_quarantines_at_once_are_believed_and_make_nothing_doubtful(upstream, farm, look_up, now):
    for name in farm(MANY):
        upstream.quarantine(name)
        look_up(name)

    assert Package.objects.filter(status="quarantined").count() == MANY
    assert not SyncCursor.objects.exclude(doubted_at=None).exists()
    assert not Package.objects.exclude(emptied_at=None).exists()


def test_a_person_who_looks_one_up_is_told_of_the_doubt(upstream, farm, look_up, refresh, now):
    names = farm(MANY)
    upstream.projects.clear()
    deny(names, now)
    refresh()

    with pytest.raises(DoubtfulAbsence):
        look_up(names[0])
