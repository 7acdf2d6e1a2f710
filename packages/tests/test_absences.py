"""When `sync` believes that upstream no longer has a package."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from packages import sync
from packages.doubt import ABSENT
from packages.models import Dirty, Package, Version

pytestmark = pytest.mark.django_db


def mark(name, now, **fields):
    return Dirty.objects.create(name=name, not_before=now, **fields)


def test_an_outage_is_no_deletion(upstream, look_up, refresh, now):
    upstream.add_sdist("demo", "1.0")
    look_up()
    mark("demo", now)
    upstream.fail("/", 503, times=9)

    refresh()

    assert (Package.objects.get().status, Version.objects.get().gone_at) == ("active", None)


def test_a_package_that_upstream_denies_once_is_not_gone(upstream, look_up, refresh, now):
    upstream.add_sdist("demo", "1.0")
    look_up()
    upstream.fail("/simple/demo/", 404)
    upstream.fail("/pypi/demo/", 404)
    mark("demo", now)

    assert refresh() == 0

    assert (Package.objects.get().status, Version.objects.get().gone_at) == ("active", None)
    assert (Dirty.objects.get().error, Dirty.objects.get().attempts) == ("Upstream has no such package.", 1)
    assert refresh(after=5) == 1
    assert not Dirty.objects.exists()


def test_a_package_that_upstream_keeps_denying_is_gone_after_half_an_hour(upstream, look_up, refresh, now):
    upstream.add_sdist("demo", "1.0")
    look_up()
    upstream.remove("demo")
    mark("demo", now)

    for seconds in range(0, 30 * 60, 10):
        refresh(after=seconds)
    assert Package.objects.get().status == "active"

    for seconds in range(30 * 60, 40 * 60, 10):
        refresh(after=seconds)
    assert Package.objects.get().status == "gone"
    assert not Dirty.objects.exists()


def test_an_outage_that_ends_in_a_denial_is_no_deletion(upstream, look_up, refresh, now):
    upstream.add_sdist("demo", "1.0")
    look_up()
    upstream.remove("demo")
    mark("demo", now, attempts=sync.PATIENCE, error="The answer is 503.")

    assert refresh() == 0
    assert Package.objects.get().status == "active"

    assert refresh(after=3600) == 1
    assert Package.objects.get().status == "gone"


def test_a_package_that_is_gone_may_stay_so_at_once(upstream, look_up, refresh, now):
    upstream.add_sdist("demo", "1.0")
    look_up()
    upstream.remove("demo")
    look_up()
    mark("demo", now)

    assert refresh() == 1
    assert not Dirty.objects.exists()


def test_an_index_that_has_lost_everything_is_believed_nothing(upstream, look_up, refresh, now):
    for name in ("demo", "other"):
        upstream.add_sdist(name, "1.0")
        look_up(name)
    mark("demo", now, attempts=sync.PATIENCE, error=ABSENT)
    upstream.fail("/", 404, times=99)

    assert refresh() == 0

    assert {package.status for package in Package.objects.all()} == {"active"}
    assert Dirty.objects.get().error == "Upstream has no other either."


def test_a_package_that_upstream_must_have_is_found_by_a_join(upstream, look_up, refresh, now):
    for name in ("demo", "other"):
        upstream.add_sdist(name, "1.0")
        look_up(name)
    mark("demo", now, attempts=sync.PATIENCE, error=ABSENT)

    with CaptureQueriesContext(connection) as captured:
        refresh()

    [asked] = [query["sql"] for query in captured if '"fetched_at" DESC' in query["sql"]]
    assert "IN (SELECT" not in asked


def test_an_absence_counts_where_upstream_has_another_package(upstream, look_up, refresh, now):
    for name in ("demo", "other"):
        upstream.add_sdist(name, "1.0")
        look_up(name)
    mark("demo", now, attempts=sync.PATIENCE, error=ABSENT)
    upstream.remove("demo")

    assert refresh() == 1

    assert Package.objects.get(name="demo").status == "gone"
