import logging
from datetime import date, timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from packages.models import Package, UpstreamFile
from simple import misses
from simple.misses import Misses
from simple.models import Miss
from simple.tests.rows import make_package, make_wheel

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

DAY = date(2026, 11, 20)
NEXT = DAY + timedelta(days=1)


def counted():
    return list(Miss.objects.order_by("package", "day").values_list("package__name", "day", "count"))


def test_what_is_counted_is_added_up_by_package_and_day():
    demo, other = make_package("demo"), make_package("other")
    at_once = Misses(every_s=0)

    for package, day in [(demo, DAY), (demo, DAY), (demo, NEXT), (other, DAY)]:
        at_once.count(package, day)

    assert counted() == [("demo", DAY, 2), ("demo", NEXT, 1), ("other", DAY, 1)]


def test_it_costs_the_database_nothing_until_its_time_comes(django_assert_num_queries):
    package = make_package()
    in_a_minute = Misses(every_s=60)

    with django_assert_num_queries(0):
        for _ in range(1000):
            in_a_minute.count(package, DAY)

    in_a_minute._every_s = 0
    in_a_minute.count(package, DAY)
    assert counted() == [("demo", DAY, 1001)]


def test_a_package_that_was_deleted_meanwhile_is_passed_over():
    gone, there = make_package("gone"), make_package("there")
    waits = Misses(every_s=60)
    waits.count(gone, DAY)
    Package.objects.filter(pk=gone.pk).delete()
    waits._every_s = 0

    waits.count(there, DAY)

    assert counted() == [("there", DAY, 1)]


def test_a_database_that_cannot_count_fails_nobodys_answer(caplog):
    package = make_package()

    def fail(execute, sql, params, many, context):
        raise OperationalError("database is locked")

    with connection.execute_wrapper(fail):
        Misses(every_s=0).count(package, DAY)

    assert [(record.name, record.levelno) for record in caplog.records] == [
        ("simple.misses", logging.WARNING)
    ]


def test_only_a_page_that_a_followed_package_does_not_have_counts(client, monkeypatch):
    monkeypatch.setattr(misses, "of_this_process", Misses(every_s=0))
    make_package("wanted")
    make_wheel("there")
    pure = make_wheel("pure-upstream-too", tag="py3-none-any")
    UpstreamFile.objects.create(version=pure.version, filename=pure.filename, kind="wheel", sha256="a" * 64)

    for name in ("wanted", "wanted", "there", "nobody-follows-this"):
        client.get(f"/simple/{name}/")
    client.get("/simple-full/wanted/")
    client.get("/simple-platform/pure-upstream-too/")

    assert counted() == [("wanted", timezone.now().date(), 3)]


def test_where_a_log_is_followed_nothing_is_counted_twice(client, monkeypatch, settings):
    monkeypatch.setattr(misses, "of_this_process", Misses(every_s=0))
    settings.PIWHEELS_COUNT_DOWNLOADS = False
    make_package("wanted")

    client.get("/simple/wanted/")

    assert counted() == []
