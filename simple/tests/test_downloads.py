import logging
from datetime import date, timedelta
from threading import Thread

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from simple import downloads
from simple.downloads import Downloads
from simple.log_lines import Served
from simple.models import Download, DownloadDay, PackageDownload, RawDownload
from simple.tests.rows import make_wheel

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

DAY = date(2026, 11, 20)
PIP = (
    'pip/23.0.1 {"cpu":"armv7l","distro":{"name":"Raspbian GNU/Linux","version":"12"},"python":"3.11.2",'
    '"installer":{"name":"pip","version":"23.0.1"},"system":{"name":"Linux","release":"6.6.51"}}'
)


def served(wheel, address="192.0.2.1", agent=PIP, day=DAY):
    return Served(day, 12, wheel.package.name, wheel.filename, address, agent)


def from_address(number):
    return {"REMOTE_ADDR": f"192.0.2.{number}"}


def test_each_client_of_a_day_is_added():
    wheel = make_wheel()
    at_once = Downloads(every_s=0)

    for address, day in [("192.0.2.1", DAY), ("192.0.2.2", DAY), ("192.0.2.1", DAY + timedelta(days=1))]:
        at_once.count(served(wheel, address, day=day))

    assert list(Download.objects.order_by("day").values_list("day", "count")) == [
        (DAY, 2),
        (DAY + timedelta(days=1), 1),
    ]


def test_counting_costs_the_database_nothing_until_its_time_comes(django_assert_num_queries):
    wheel = make_wheel()
    in_a_minute = Downloads(every_s=60)

    with django_assert_num_queries(0):
        for number in range(100):
            in_a_minute.count(served(wheel, f"192.0.2.{number}"))

    in_a_minute._write_at = 0
    in_a_minute.count(served(wheel, "192.0.2.100"))
    assert downloads.total() == 101


@pytest.mark.django_db(transaction=True)
def test_no_download_is_lost_when_many_processes_count_at_once():
    wheel = make_wheel()

    def download(number):
        process = Downloads(every_s=0)
        for each in range(5):
            process.count(served(wheel, f"192.0.{number}.{each}"))
        connection.close()

    threads = [Thread(target=download, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Download.objects.get().count == PackageDownload.objects.get().count == downloads.total() == 40
    assert RawDownload.objects.count() == 40


def test_total_is_of_all_days_or_of_the_last():
    today = timezone.now().date()
    for days_ago, count in [(0, 1), (29, 2), (30, 4)]:
        DownloadDay.objects.create(day=today - timedelta(days=days_ago), count=count)

    assert (downloads.total(), downloads.total(days=30), downloads.total(days=1)) == (7, 3, 1)


def test_total_of_nothing_is_zero():
    assert downloads.total() == downloads.total(days=30) == 0


@pytest.mark.parametrize("wanted", [{}, {"Range": "bytes=0-1,5-6"}, {"Range": "bytes=0-"}])
def test_a_file_and_its_first_part_count(client, wanted):
    wheel = make_wheel()

    client.get(wheel.url, headers=wanted)

    assert downloads.total() == 1
    assert Download.objects.get().day == timezone.now().date()


def test_behind_a_proxy_clients_are_told_apart_by_what_it_says(client, settings):
    wheel, settings.PIWHEELS_BEHIND_PROXY = make_wheel(), True

    for address in ("192.0.2.1", "192.0.2.2", "10.0.0.1, 192.0.2.2"):
        client.get(wheel.url, headers={"X-Forwarded-For": address})

    assert downloads.total() == 2


def test_who_fetches_a_file_again_counts_once(client):
    wheel, other = make_wheel(), make_wheel("other")

    for number in (1, 1, 2):
        client.get(wheel.url, **from_address(number))
    client.get(wheel.url, headers={"Range": "bytes=0-9"}, **from_address(1))
    client.get(wheel.url, headers={"Range": "bytes=10-"}, **from_address(1))
    client.get(other.url, **from_address(1))

    assert dict(PackageDownload.objects.values_list("package__name", "count")) == {"demo": 2, "other": 1}


@pytest.mark.parametrize(
    "wanted", [{"Range": "bytes=10-"}, {"Range": "bytes=999999-"}, {"If-None-Match": "*"}]
)
def test_what_is_not_the_beginning_of_a_file_does_not_count(client, wanted):
    wheel = make_wheel()

    client.get(wheel.url, headers=wanted)
    client.head(wheel.url)
    client.get(f"{wheel.url}.metadata")
    client.get("/simple/demo/")

    assert downloads.total() == 0


def test_what_a_builder_fetches_for_its_builds_is_no_download(client):
    client.get(make_wheel().url, headers={"User-Agent": "piwheels-builder (+https://wheels.example.org)"})

    assert downloads.total() == 0


def test_the_kind_of_client_is_counted_and_nothing_else_of_it(client):
    client.get(make_wheel().url, headers={"User-Agent": PIP}, **from_address(77))

    assert str(Download.objects.get().client) == "pip 23.0 3.11 raspbian 12 armv7l"
    kept = [
        value
        for model in (Download, RawDownload, PackageDownload, DownloadDay)
        for row in model.objects.values()
        for value in row.values()
    ]
    assert not [value for value in kept if "192.0.2" in str(value) or "6.6.51" in str(value)]


def test_where_a_log_is_followed_nothing_is_counted_twice(client, settings):
    settings.PIWHEELS_COUNT_DOWNLOADS = False

    client.get(make_wheel().url)

    assert downloads.total() == 0


def test_a_database_that_cannot_count_fails_no_download_and_gets_it_later(client, caplog):
    wheel = make_wheel()

    def fail(execute, sql, params, many, context):
        if "simple_" in sql:
            raise OperationalError("database is locked")
        return execute(sql, params, many, context)

    with client.quiet(), connection.execute_wrapper(fail):
        response = client.get(wheel.url)

    assert (response.status_code, len(response.getvalue())) == (200, wheel.size)
    assert [(record.name, record.levelno) for record in caplog.records] == [
        ("simple.downloads", logging.WARNING)
    ]
    client.get(wheel.url, **from_address(9))
    assert downloads.total() == 2
