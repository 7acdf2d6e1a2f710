"""Another index to follow: what the old one said is forgotten, and nothing is withdrawn for it."""

from datetime import timedelta

import pytest

from packages import doubt, journal, moving
from packages.models import Dirty, Package, SyncCursor
from packages.sync import PATIENCE

pytestmark = pytest.mark.django_db

OLD = "http://old.test/simple/"


@pytest.fixture
def moved(upstream, pypi, now):
    """A farm that had `demo` and `only-there` from another index, and follows the fake from now on."""
    upstream.add_sdist("demo", "1.0")
    moving.settle(OLD, now)
    SyncCursor.objects.update(serial=10**9, listed_at=now, listing_etag="old", journal="absent")
    for name in ("demo", "only-there"):
        Package.objects.create(name=name, display_name=name, serial=10**9, etag="old", plan_needed=False)
    Dirty.objects.create(name="waiting", wanted_serial=10**9)
    moving.settle(pypi.simple_url, now)
    return pypi


def serials():
    return set(Package.objects.values_list("serial", "etag"))


def test_the_first_index_is_only_noted(now):
    Package.objects.create(name="demo", display_name="demo", serial=7, etag="x")

    moving.settle(OLD, now)
    moving.settle(OLD, now)

    assert (SyncCursor.objects.get().upstream, SyncCursor.objects.get().moved_at) == (OLD, None)
    assert serials() == {(7, "x")}


def test_what_the_old_index_counted_is_forgotten(moved, now):
    cursor = SyncCursor.objects.get()

    assert (cursor.upstream, cursor.moved_at, cursor.serial) == (moved.simple_url, now, 0)
    assert (cursor.listed_at, cursor.listing_etag, cursor.journal) == (None, "", "")
    assert serials() == {(None, "")}
    assert set(Dirty.objects.values_list("wanted_serial", flat=True)) == {None}


def test_all_that_we_have_is_looked_up_at_the_new_one(moved, upstream, refresh, now):
    journal.poll(moved.changelog, ["all"], now=now)

    refresh(1)

    assert SyncCursor.objects.get().serial == upstream.serial
    assert Package.objects.get(name="demo").serial == upstream.serial


def wear_out(refresh):
    """Ask until an absence would be believed."""
    for turn in range(PATIENCE + 2):
        refresh(1 + turn * 3600)


def test_what_the_new_one_lacks_is_kept_until_a_person_believes_it(moved, refresh, now):
    journal.poll(moved.changelog, ["all"], now=now)
    wear_out(refresh)
    assert Package.objects.get(name="only-there").status == "active"
    assert SyncCursor.objects.get().doubted_at

    doubt.believe(now + timedelta(days=1))
    refresh(86401)

    assert Package.objects.get(name="only-there").status == "gone"
    assert SyncCursor.objects.get().moved_at is None


def test_when_all_were_seen_removals_are_removals_again(moved, refresh, now):
    Package.objects.filter(name="only-there").delete()
    journal.poll(moved.changelog, ["all"], now=now)
    refresh(1)

    refresh(2)

    assert SyncCursor.objects.get().moved_at is None
