"""What downloads are summed up to."""

from datetime import date, timedelta

import pytest
from django.core.cache import cache
from django.db.models import F

from builds.models import Build
from builds.tests.rows import NOON
from simple import summing
from simple.models import DownloadDay, DownloadShare, TopPackages
from simple.spans import SPANS
from simple.tally import Taken, Tally
from simple.tests.rows import make_wheel

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

TODAY = NOON.date()
Fact = DownloadShare.Fact


def agent(python="3.13.5", cpu="aarch64", system="Debian GNU/Linux", release="13"):
    return (
        f'pip/25.1.1 {{"cpu":"{cpu}","distro":{{"id":"trixie","libc":{{"lib":"glibc","version":"2.41"}},'
        f'"name":"{system}","version":"{release}"}},"implementation":{{"name":"CPython","version":"{python}"}},'
        f'"installer":{{"name":"pip","version":"25.1.1"}},"python":"{python}",'
        '"system":{"name":"Linux","release":"6.12"}}'
    )


def downloaded(wheel, times=1, said="", days_ago=0):
    day = TODAY - timedelta(days=days_ago)
    already = DownloadDay.objects.filter(day=day).values_list("count", flat=True).first() or 0
    Tally().add(
        Taken(day, 5, wheel.pk, wheel.package_id, f"192.0.2.{already + number}", said or agent())
        for number in range(times)
    )


def make_slow(name="demo", seconds=60.0):
    wheel = make_wheel(name)
    Build.objects.filter(pk=wheel.build_id).update(duration_s=seconds)
    return wheel


def shares(fact, day=TODAY):
    return dict(DownloadShare.objects.filter(fact=fact, day=day).values_list("name", "count"))


def saved(day=TODAY):
    return DownloadDay.objects.get(day=day).saved_s


def test_downloads_are_summed_up_by_what_clients_say():
    wheel = make_wheel()
    downloaded(wheel, 3)
    downloaded(wheel, 2, agent("3.11.2", "armv7l", "Raspbian GNU/Linux", "12"))
    downloaded(wheel, 1, "Mozilla/5.0 (X11)")

    summing.sum_due(NOON, for_s=60)

    assert shares(Fact.PYTHON) == {"3.13": 3, "3.11": 2, "": 1}
    assert shares(Fact.SYSTEM) == {"debian 13": 3, "raspbian 12": 2, "": 1}
    assert shares(Fact.ARCHITECTURE) == {"aarch64": 3, "armv7l": 2, "": 1}
    assert shares(Fact.INSTALLER) == {"pip": 5, "browser": 1}


def test_of_many_names_the_most_frequent_are_kept_and_the_sum_stays():
    wheel = make_wheel()
    downloaded(wheel, 5)
    for minor in range(30, 50):
        downloaded(wheel, 1, agent(f"3.{minor}.0"))

    summing.sum_due(NOON, for_s=60)

    found = shares(Fact.PYTHON)
    assert len(found) == DownloadShare.MOST_NAMES + 1
    assert found["3.13"] == 5
    assert sum(found.values()) == 25


def test_a_download_saves_what_the_build_took_and_an_old_pi_six_times_that():
    wheel = make_slow(seconds=60.0)
    downloaded(wheel, 2)
    downloaded(wheel, 1, agent(cpu="armv6l"))

    summing.sum_due(NOON, for_s=60)

    assert saved() == 2 * 60 + 6 * 60


def test_who_installs_nothing_saves_nothing():
    downloaded(make_slow(), 1, "Mozilla/5.0 (X11)")

    summing.sum_due(NOON, for_s=60)

    assert saved() == 0


@pytest.mark.parametrize("seconds", [None, 40 * 365 * 86400.0])
def test_a_build_of_which_nobody_knows_how_long_it_took_saves_nothing(seconds):
    downloaded(make_slow(seconds=seconds))

    summing.sum_due(NOON, for_s=60)

    assert saved() == 0
    assert shares(Fact.PYTHON) == {"3.13": 1}


def test_what_comes_late_is_summed_up_again_and_what_stays_the_same_is_not(django_assert_num_queries):
    wheel = make_slow(seconds=10.0)
    downloaded(wheel, 1, days_ago=100)
    downloaded(wheel, 1)
    summing.sum_due(NOON, for_s=60)
    downloaded(wheel, 2, days_ago=100)

    assert summing.sum_due(NOON + timedelta(minutes=1), for_s=60) == 1

    assert saved(TODAY - timedelta(days=100)) == 30
    assert shares(Fact.PYTHON, TODAY - timedelta(days=100)) == {"3.13": 3}
    # The packages of each span, and the days.
    with django_assert_num_queries(len(SPANS) + 1):
        assert summing.sum_due(NOON + timedelta(minutes=2), for_s=60) == 0


def test_today_rests_for_a_while_where_it_takes_long(monkeypatch):
    monkeypatch.setattr(summing, "PART", 1e-9)
    wheel = make_wheel()
    downloaded(wheel, 1)
    summing.sum_due(NOON, for_s=60)
    downloaded(wheel, 1)
    downloaded(wheel, 1, days_ago=1)

    assert summing.sum_due(NOON, for_s=60) == 1
    assert DownloadDay.objects.exclude(summed=F("count")).get().day == TODAY

    cache.clear()
    assert summing.sum_due(NOON, for_s=60) == 1
    cache.clear()


def test_the_time_is_kept_and_the_newest_day_is_first():
    wheel = make_wheel()
    for days_ago in (0, 1, 2):
        downloaded(wheel, 1, days_ago=days_ago)

    summing.sum_due(NOON, for_s=0)

    assert list(DownloadDay.objects.filter(summed=1).values_list("day", flat=True)) == [TODAY]


def test_what_leads_is_noted_for_each_span():
    downloaded(make_wheel("old"), 5, days_ago=60)
    downloaded(make_wheel("new"), 2)
    downloaded(make_wheel("ancient"), 9, days_ago=500)

    summing.sum_due(NOON, for_s=60)

    assert TopPackages.objects.get(pk="30d").found == [["new", 2]]
    assert TopPackages.objects.get(pk="90d").found == [["old", 5], ["new", 2]]
    assert TopPackages.objects.get(pk="12m").found == [["old", 5], ["new", 2]]


def test_what_takes_long_is_summed_up_seldom():
    row = TopPackages(span="30d", at=NOON, took_s=10.0)

    assert not row.is_due(NOON + timedelta(minutes=83))
    assert row.is_due(NOON + timedelta(minutes=84))
    assert row.is_due(NOON - timedelta(days=1)), "the clock was put back"


@pytest.mark.parametrize(
    ("key", "first", "count"),
    [("30d", date(2026, 1, 30), 30), ("90d", date(2025, 11, 30), 13), ("12m", date(2025, 3, 1), 12)],
)
def test_each_day_of_a_span_is_in_one_of_its_periods(key, first, count):
    today = date(2026, 2, 28)
    periods = SPANS[key].periods(today)

    assert (periods[0], len(periods)) == (first, count)
    days = [first + timedelta(days=number) for number in range((today - first).days + 1)]
    assert sorted({SPANS[key].period_of(day, today) for day in days}) == periods
    assert all(SPANS[key].period_of(day, today) <= day for day in days)
