from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from packages import merge, reconcile
from packages.models import Dirty, Package, SyncCursor

pytestmark = pytest.mark.django_db


def watch(names, now, limit=100):
    return reconcile.watch(names, now=now, refresh_s=300, limit=limit)


def marked():
    return sorted(Dirty.objects.values_list("name", flat=True))


def test_watched_names_that_we_lack_are_marked_once(upstream, pypi, look_up, now):
    upstream.add_sdist("demo", "1.0")
    look_up()

    assert watch(["Demo", "Other.Pkg", "other-pkg", "no/name"], now) == 1
    assert marked() == ["other-pkg"]
    assert watch(["Demo", "other-pkg"], now) == 0


def test_packages_are_marked_when_their_state_is_old(upstream, pypi, look_up, now):
    upstream.add_sdist("demo", "1.0")
    look_up()

    assert watch([], now + timedelta(seconds=299)) == 0
    assert watch([], now + timedelta(seconds=301)) == 1
    assert marked() == ["demo"]


def test_the_longest_neglected_are_marked_first(pypi, now):
    for name, hours in (("a", 1), ("b", 3), ("c", 2)):
        Package.objects.create(name=name, display_name=name, fetched_at=now - timedelta(hours=hours))

    assert watch([], now, limit=1) == 1
    assert marked() == ["b"]
    assert watch([], now, limit=1) == 1
    assert marked() == ["b", "c"]


@pytest.mark.parametrize("journal", ["xml-rpc", "absent"])
def test_no_statement_goes_through_all_marks_for_each_package(now, settings, journal):
    settings.PIWHEELS_RESCAN_S = 1
    SyncCursor.objects.create(journal=journal, polled_at=now, scanned_at=now - timedelta(hours=1))
    for name in ("demo", "waiting"):
        Package.objects.create(name=name, display_name=name)
    Dirty.objects.create(name="waiting")

    with CaptureQueriesContext(connection) as captured:
        assert watch([], now) == 1

    assert marked() == ["demo", "waiting"]
    # Of NOT IN, PostgreSQL makes no join.
    assert not [query["sql"] for query in captured if "IN (SELECT" in query["sql"]]


def test_a_name_that_is_put_off_keeps_its_pause(pypi, now):
    Dirty.objects.create(name="demo", not_before=now).put_off(now, "no answer")

    assert watch(["demo"], now) == 0
    assert Dirty.objects.get().not_before > now


def compare(pypi, now, names=("all",)):
    return reconcile.reconcile(pypi, names, now=now)


def cursor():
    return SyncCursor.objects.get()


def test_all_of_upstream_that_we_lack_is_marked(upstream, pypi, now):
    upstream.add_project("Demo.Pkg")
    assert compare(pypi, now) == 1
    assert marked() == ["demo-pkg"]
    assert (cursor().listing, cursor().listed_at) == ("serials", now)

    upstream.add_project("new")
    assert compare(pypi, now + timedelta(hours=1)) == 1
    assert marked() == ["demo-pkg", "new"]


def test_many_names_are_marked_in_batches(upstream, pypi, now, monkeypatch):
    monkeypatch.setattr(merge, "BATCH", 7)
    for number in range(50):
        upstream.add_project(f"demo{number}")

    assert compare(pypi, now) == 50
    assert Dirty.objects.count() == 50


def test_a_list_that_broke_off_is_read_again_soon(upstream, pypi, now):
    upstream.add_project("demo")
    upstream.fail("/simple/", 503)

    assert compare(pypi, now) == 0
    assert reconcile.is_due(now)
    assert compare(pypi, now + timedelta(minutes=4)) == 0
    assert compare(pypi, now + timedelta(minutes=6)) == 1
    assert not reconcile.is_due(now + timedelta(minutes=7))


@pytest.mark.parametrize("heard, hours", [(True, 4), (False, 1)])
def test_all_names_are_compared_now_and_then(now, heard, hours):
    journal = {"journal": "xml-rpc", "polled_at": now + timedelta(hours=hours)} if heard else {}
    SyncCursor.objects.create(listed_at=now, **journal)

    assert not reconcile.is_due(now + timedelta(hours=hours, minutes=-1))
    assert reconcile.is_due(now + timedelta(hours=hours))


def test_a_package_with_a_later_serial_upstream_is_marked(upstream, pypi, look_up, now):
    for name in ("same", "changed"):
        upstream.add_sdist(name, "1.0")
        look_up(name)
    upstream.yank("changed", "1.0")

    assert compare(pypi, now) == 1

    dirty = Dirty.objects.get()
    assert (dirty.name, dirty.wanted_serial) == ("changed", upstream.serial)


def test_a_package_that_the_list_lacks_is_marked(upstream, pypi, look_up, now):
    for name in ("kept", "removed"):
        upstream.add_sdist(name, "1.0")
        look_up(name)
    upstream.remove("removed")

    assert compare(pypi, now) == 1
    assert marked() == ["removed"]


def test_what_upstream_has_reason_to_hide_is_not_looked_for(upstream, pypi, look_up, now):
    for name in ("quarantined", "gone"):
        upstream.add_sdist(name, "1.0")
        look_up(name)
    upstream.quarantine("quarantined")
    look_up("quarantined")
    upstream.remove("gone")
    look_up("gone")
    upstream.add_project("other")

    compare(pypi, now)

    assert marked() == ["other"]


def test_a_package_that_is_on_the_list_again_is_marked(upstream, pypi, look_up, now):
    upstream.add_sdist("demo", "1.0")
    look_up()
    upstream.remove("demo")
    look_up()
    upstream.add_sdist("demo", "2.0")

    compare(pypi, now)

    assert marked() == ["demo"]


def test_a_list_without_serials_shows_names_alone(upstream, pypi, look_up, now):
    upstream.json = False
    upstream.add_sdist("known", "1.0")
    look_up("known")
    upstream.yank("known", "1.0")
    upstream.add_project("new")

    assert compare(pypi, now) == 1

    assert marked() == ["new"]
    assert cursor().listing == "names"


def test_a_list_that_lacks_nearly_everything_has_some_looked_up(upstream, pypi, now, monkeypatch, caplog):
    monkeypatch.setattr(reconcile, "LACKING", 5)
    for number in range(9):
        Package.objects.create(name=f"demo{number}", display_name="x")

    assert compare(pypi, now) == 5
    assert "lacks more than 5" in caplog.text


def test_a_farm_that_follows_few_asks_for_each_and_not_for_the_list(upstream, pypi, now):
    SyncCursor.objects.create(journal="xml-rpc", polled_at=now, serial=5)
    Package.objects.create(name="ours", display_name="x")

    assert compare(pypi, now, names=["ours"]) == 1

    assert upstream.requests == []
    assert (marked(), cursor().listed_at) == (["ours"], now)


def test_a_farm_that_follows_many_compares_them_with_the_list(upstream, pypi, look_up, now, monkeypatch):
    monkeypatch.setattr(reconcile, "FEW", 0)
    upstream.add_sdist("ours", "1.0")
    look_up("ours")
    upstream.yank("ours", "1.0")
    upstream.add_project("not-ours")

    assert compare(pypi, now, names=["ours"]) == 1
    assert marked() == ["ours"]


def test_an_unchanged_list_is_not_sent_again(upstream, pypi, now):
    upstream.add_project("demo")
    assert compare(pypi, now) == 1
    Dirty.objects.all().delete()

    assert compare(pypi, now + timedelta(hours=1)) == 0

    assert cursor().listed_at == now + timedelta(hours=1)
    assert upstream.requests[-1].headers["If-None-Match"] == cursor().listing_etag
    upstream.add_project("other")
    assert compare(pypi, now + timedelta(hours=2)) == 2


def test_what_a_clock_that_was_put_back_has_left_keeps_nobody_from_comparing(upstream, pypi, now, settings):
    settings.PIWHEELS_RESCAN_S = 1000
    later = now + timedelta(days=1)
    SyncCursor.objects.create(
        listing_until=later, listed_at=later, scanned_at=later, journal="xml-rpc", polled_at=now
    )
    upstream.add_project("demo")

    assert reconcile.is_due(now)
    assert compare(pypi, now) == 1
    watch([], now)
    assert SyncCursor.objects.get().scanned_at == now


def test_one_reader_compares_at_a_time(upstream, pypi, now):
    SyncCursor.objects.create(listing_until=now + timedelta(minutes=30))

    assert compare(pypi, now) == 0
    assert upstream.requests == []


def test_what_the_journal_must_have_told_is_told_from_what_it_will_tell(upstream, pypi, look_up, now):
    SyncCursor.objects.create(listed_at=now, serial=upstream.serial + 4)
    for name in ("told", "coming"):
        upstream.add_sdist(name, "1.0")
        look_up(name)
    upstream.yank("told", "1.0")
    SyncCursor.objects.update(serial=upstream.serial)
    upstream.yank("coming", "1.0")

    compare(pypi, now)

    assert dict(Dirty.objects.values_list("name", "why")) == {"told": "listing", "coming": "journal"}


def test_while_the_journal_is_heard_packages_are_looked_at_in_turn(pypi, now, settings):
    settings.PIWHEELS_RESCAN_S = 1000
    SyncCursor.objects.create(journal="xml-rpc", polled_at=now, scanned_at=now)
    for number in range(10):
        Package.objects.create(
            name=f"demo{number}", display_name="x", fetched_at=now - timedelta(days=20 - number)
        )

    assert watch([], now + timedelta(seconds=100)) == 0
    assert watch([], now + timedelta(seconds=400)) == 4
    assert marked() == ["demo0", "demo1", "demo2", "demo3"]
    assert watch([], now + timedelta(seconds=401)) == 0
    SyncCursor.objects.update(polled_at=now + timedelta(seconds=700))
    assert watch([], now + timedelta(seconds=700)) == 3


def test_however_many_packages_there_are_all_have_their_turn_in_the_period(now, settings):
    settings.PIWHEELS_RESCAN_S = 3000
    SyncCursor.objects.create(journal="xml-rpc", polled_at=now, scanned_at=now)
    Package.objects.bulk_create([Package(name=f"p{number}", display_name="x") for number in range(6000)])

    assert watch([], now + timedelta(seconds=300), limit=1) == 600
    assert Dirty.objects.count() == 600


def test_what_a_standstill_has_left_undone_is_not_made_up_for_at_once(now, settings):
    settings.PIWHEELS_RESCAN_S = 3000
    later = now + timedelta(seconds=2400)
    SyncCursor.objects.create(journal="xml-rpc", polled_at=later, scanned_at=now)
    Package.objects.bulk_create([Package(name=f"p{number}", display_name="x") for number in range(20)])

    assert watch([], later, limit=1) == 4


def test_what_was_looked_at_lately_is_not_scanned(pypi, now, settings):
    settings.PIWHEELS_RESCAN_S = 1
    SyncCursor.objects.create(journal="xml-rpc", polled_at=now, scanned_at=now)
    Package.objects.create(name="demo", display_name="x", fetched_at=now)

    assert watch([], now + timedelta(seconds=400)) == 0


def test_a_list_with_serials_spares_asking_each_package(pypi, now):
    Package.objects.create(name="demo", display_name="x", fetched_at=now - timedelta(hours=2))
    SyncCursor.objects.create(journal="absent", listing="serials", listed_at=now, scanned_at=now)

    assert watch([], now) == 0
    SyncCursor.objects.update(listing="names")
    assert watch([], now) == 1
