import logging
from datetime import date, timedelta
from threading import Thread

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from simple import downloads
from simple.models import Download
from simple.tests.rows import make_wheel

pytestmark = pytest.mark.django_db

DAY = date(2026, 11, 20)


def counted():
    return downloads.total()


def test_each_download_of_a_day_is_added():
    wheel = make_wheel()

    for day in (DAY, DAY, DAY + timedelta(days=1)):
        downloads.count(wheel, day)

    assert list(Download.objects.order_by("day").values_list("day", "count")) == [
        (DAY, 2),
        (DAY + timedelta(days=1), 1),
    ]


def test_counting_is_one_query_after_the_first(django_assert_num_queries):
    wheel = make_wheel()
    downloads.count(wheel, DAY)

    with django_assert_num_queries(1):
        downloads.count(wheel, DAY)


@pytest.mark.django_db(transaction=True)
def test_no_download_is_lost_when_many_come_at_once():
    wheel = make_wheel()

    def download():
        downloads.count(wheel, DAY)
        connection.close()

    threads = [Thread(target=download) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Download.objects.get().count == 8


def test_total_is_of_all_days_or_of_the_last():
    wheel = make_wheel()
    today = timezone.now().date()
    for days_ago, count in [(0, 1), (29, 2), (30, 4)]:
        Download.objects.create(wheel=wheel, day=today - timedelta(days=days_ago), count=count)

    assert (downloads.total(), downloads.total(days=30), downloads.total(days=1)) == (7, 3, 1)


def test_total_of_nothing_is_zero():
    assert downloads.total() == downloads.total(days=30) == 0


def test_a_whole_file_counts(client):
    wheel = make_wheel()

    client.get(wheel.url)
    client.get(wheel.url, headers={"Range": "bytes=0-1,5-6"})

    assert counted() == 2
    assert Download.objects.get().day == timezone.now().date()


@pytest.mark.parametrize(
    "wanted", [{"Range": "bytes=10-"}, {"Range": "bytes=999999-"}, {"If-None-Match": "*"}]
)
def test_what_is_not_a_whole_file_does_not_count(client, wanted):
    wheel = make_wheel()

    client.get(wheel.url, headers=wanted)
    client.head(wheel.url)
    client.get(f"{wheel.url}.metadata")
    client.get("/simple/demo/")

    assert counted() == 0


def test_a_database_that_cannot_count_fails_no_download(client, caplog):
    wheel = make_wheel()

    def fail(execute, sql, params, many, context):
        if "simple_download" in sql:
            raise OperationalError("database is locked")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail):
        response = client.get(wheel.url)

    assert (response.status_code, len(response.getvalue())) == (200, wheel.size)
    assert [(record.name, record.levelno) for record in caplog.records] == [
        ("simple.downloads", logging.WARNING)
    ]
