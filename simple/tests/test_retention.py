from datetime import date, timedelta

import pytest
from django.db import connection

from builds.tests.rows import NOON
from simple import retention
from simple.models import DailySalt, Download, DownloadDay, MonthlyDownload, RawDownload
from simple.tally import Taken, Tally
from simple.tests.rows import make_wheel
from simple.tests.test_downloads import PIP

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

TODAY = NOON.date()
ON_POSTGRESQL = pytest.mark.skipif(
    "connection.vendor != 'postgresql'", reason="Only PostgreSQL has partitions."
)


def downloaded(wheel, days_ago, address="192.0.2.1"):
    """Have somebody download a wheel."""
    day = TODAY - timedelta(days=days_ago)
    Tally().add([Taken(day, 5, wheel.pk, wheel.package_id, address, PIP)])
    return day


def tidy(now=NOON):
    return retention.tidy(now, for_s=60)


def by_month():
    return dict(MonthlyDownload.objects.order_by("month").values_list("month", "count"))


def test_days_that_are_over_are_added_to_their_month_once():
    wheel = make_wheel()
    for days_ago in (0, 1, 2, 3, 40):
        downloaded(wheel, days_ago)
    old = (TODAY - timedelta(days=40)).replace(day=1)

    tidy()
    tidy()

    assert by_month() == {old: 1, TODAY.replace(day=1): 2}
    assert dict(DownloadDay.objects.values_list("day", "in_month")) == {
        TODAY - timedelta(days=days_ago): days_ago >= 2 for days_ago in (0, 1, 2, 3, 40)
    }


def test_what_comes_late_is_in_day_and_month():
    wheel = make_wheel()
    downloaded(wheel, 5)
    tidy()

    downloaded(wheel, 5, address="192.0.2.2")
    tidy()

    assert by_month() == {TODAY.replace(day=1): 2}
    assert Download.objects.get().count == 2


def test_the_month_has_what_its_days_have_by_client():
    wheel, other = make_wheel(), make_wheel("other")
    for days_ago in (3, 4):
        downloaded(wheel, days_ago)
        downloaded(other, days_ago)
    Tally().add([Taken(TODAY - timedelta(days=3), 5, wheel.pk, wheel.package_id, "192.0.2.1", "curl/8")])

    tidy()

    found = MonthlyDownload.objects.order_by("wheel", "client__installer")
    assert list(found.values_list("wheel__package__name", "client__installer", "count")) == [
        ("demo", "browser", 1),
        ("demo", "pip", 2),
        ("other", "pip", 2),
    ]


def test_single_downloads_are_dropped_and_sums_stay(settings):
    settings.PIWHEELS_RAW_DOWNLOADS_DAYS = 7
    wheel = make_wheel()
    for days_ago in (0, 6, 7, 8, 400):
        downloaded(wheel, days_ago)

    tidy()

    assert sorted(RawDownload.objects.values_list("day", flat=True)) == [TODAY - timedelta(days=6), TODAY]
    assert Download.objects.count() == DownloadDay.objects.count() == 5


def test_salts_are_thrown_away_when_the_next_day_is_over():
    wheel = make_wheel()
    for days_ago in (0, 1, 2, 3):
        downloaded(wheel, days_ago)

    tidy()

    assert sorted(DailySalt.objects.values_list("day", flat=True)) == [TODAY - timedelta(days=1), TODAY]


def test_each_day_has_another_salt():
    wheel = make_wheel()

    for days_ago in (0, 1):
        downloaded(wheel, days_ago)

    salts = set(DailySalt.objects.values_list("salt", flat=True))
    assert len(salts) == 2
    assert len(set(RawDownload.objects.values_list("fingerprint", flat=True))) == 2


def test_a_task_that_has_no_time_does_one_day_of_each_and_goes_on_next_time():
    wheel = make_wheel()
    for days_ago in (10, 11, 12):
        downloaded(wheel, days_ago)

    retention.tidy(NOON, for_s=0)
    assert DownloadDay.objects.filter(in_month=True).count() == 1
    assert RawDownload.objects.count() == 2

    tidy()
    assert DownloadDay.objects.filter(in_month=True).count() == 3
    assert RawDownload.objects.count() == 0


@ON_POSTGRESQL
def test_partitions_are_made_ahead_and_dropped_behind(settings):
    settings.PIWHEELS_RAW_DOWNLOADS_DAYS = 7
    wheel = make_wheel()
    tidy()
    assert retention.partitions() == {TODAY + timedelta(days=number) for number in range(8)}
    downloaded(wheel, 0)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM simple_rawdownload_{TODAY:%Y%m%d}")
        assert cursor.fetchone() == (1,)

    tidy(NOON + timedelta(days=7))

    assert retention.partitions() == {TODAY + timedelta(days=number) for number in range(1, 15)}
    assert not RawDownload.objects.exists()


@ON_POSTGRESQL
def test_a_day_that_is_counted_before_it_has_a_partition_gets_none_and_is_dropped_all_the_same(settings):
    settings.PIWHEELS_RAW_DOWNLOADS_DAYS = 7
    downloaded(make_wheel(), 0)

    tidy()
    assert TODAY not in retention.partitions()
    assert date(TODAY.year, TODAY.month, TODAY.day) + timedelta(days=1) in retention.partitions()

    tidy(NOON + timedelta(days=6))
    assert RawDownload.objects.count() == 1
    tidy(NOON + timedelta(days=7))
    assert RawDownload.objects.count() == 0


@ON_POSTGRESQL
@pytest.mark.django_db(transaction=True)
def test_who_counts_for_long_is_not_waited_for_for_long():
    from django.db import connections

    other = connections.create_connection("default")
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("LOCK TABLE simple_rawdownload IN ROW EXCLUSIVE MODE")

        assert tidy() == 0
        assert retention.partitions() == set()
    finally:
        other.rollback()
        other.close()
    try:
        assert tidy() == 8
    finally:
        for day in retention.partitions():
            retention._drop(day)
