from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from packages import bootstrap, journal, sync
from packages.fetch import UpstreamUnavailable
from packages.models import Dirty, Package, SyncCursor, UpstreamFile, Version
from packages.pypi import PyPI

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(bootstrap, "PAUSE_S", 0.05)


@pytest.fixture
def many(upstream):
    """Have 30 projects upstream."""
    names = [f"demo{number}" for number in range(30)]
    for name in names:
        upstream.add_sdist(name, "1.0")
        upstream.add_wheel(name, "2.0")
    return names


def names():
    return set(Package.objects.values_list("name", flat=True))


def test_everything_is_looked_up_several_at_a_time(upstream, pypi, many):
    result = bootstrap.run(pypi, fetchers=4)

    assert (result.settled, result.waiting) == (30, 0)
    assert names() == set(many)
    assert (Version.objects.count(), UpstreamFile.objects.count()) == (60, 60)
    assert set(Package.objects.values_list("revision", "plan_needed")) == {(1, True)}


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time")
# The fake is threads of this process; those who really do this have none yet.
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize(("fetchers", "processes"), [(4, 2), (2, 3)])
def test_several_processes_share_the_work(upstream, pypi, many, monkeypatch, fetchers, processes):
    monkeypatch.setattr(bootstrap, "ROUND", 3)

    result = bootstrap.run(pypi, fetchers=fetchers, processes=processes)

    assert (result.settled, result.waiting) == (30, 0)
    assert names() == set(many)
    asked = [path for path in upstream.paths() if path.startswith("/simple/demo")]
    assert len(asked) == len(set(asked)) == 30


class Busy(PyPI):
    """A client before whom something changes, each time that the list of all projects is read."""

    def __init__(self, upstream, session):
        super().__init__(upstream.simple_url, session)
        self.upstream = upstream

    def listing(self, etag=""):
        self.upstream.yank("demo7", "1.0")
        return super().listing(etag)


def test_what_changes_meanwhile_is_in_the_journal_that_is_read_next(upstream, pypi, many):
    before = upstream.serial

    bootstrap.run(Busy(upstream, pypi.session), fetchers=2)

    assert SyncCursor.objects.get().serial == before < upstream.serial
    assert not Dirty.objects.exists()
    assert journal.poll(pypi.changelog, ["all"], now=timezone.now()) == 1
    assert Dirty.objects.values_list("name", "wanted_serial").get() == ("demo7", upstream.serial)


def test_a_run_that_was_stopped_goes_on_where_it_was(upstream, pypi, many, monkeypatch):
    monkeypatch.setattr(bootstrap, "ROUND", 10)
    journal.poll(pypi.changelog, ["all"], now=timezone.now())
    bootstrap._mark_everything(pypi)
    next(bootstrap._rounds(pypi, 2))
    assert len(names()) == 10
    upstream.requests.clear()

    result = bootstrap.run(pypi, fetchers=2)

    assert (result.settled, result.waiting) == (20, 0)
    assert names() == set(many)
    asked = [path for path in upstream.paths() if path.startswith("/simple/demo")]
    assert len(asked) == len(set(asked)) == 20


def test_what_is_as_upstream_has_it_is_not_asked_for_again(upstream, pypi, many):
    bootstrap.run(pypi, fetchers=2)
    upstream.yank("demo7", "1.0")
    upstream.requests.clear()

    bootstrap.run(pypi, fetchers=2)

    assert [path for path in upstream.paths() if path.startswith("/simple/demo")] == ["/simple/demo7/"]


def test_one_that_fails_waits_and_stops_no_other(upstream, pypi, many):
    upstream.fail("/simple/demo3/", 500)

    result = bootstrap.run(pypi, fetchers=4)

    assert (result.settled, result.waiting) == (29, 1)


def test_one_that_cannot_be_written_is_found_among_those_written_together(upstream, pypi, many):
    upstream.add_sdist("thief", "1.0", filename="demo5-1.0.tar.gz")

    result = bootstrap.run(pypi, fetchers=1)

    assert (result.settled, result.waiting) == (30, 1)
    assert UpstreamFile.objects.filter(filename="demo5-1.0.tar.gz").count() == 1
    assert Dirty.objects.get().error


def test_a_list_that_cannot_be_read_is_an_error(upstream, pypi):
    upstream.fail("/simple/", 503)

    with pytest.raises(UpstreamUnavailable, match="not read to its end"):
        bootstrap.run(pypi, fetchers=1)


def test_a_pause_that_upstream_wants_is_waited_for(upstream, pypi, many):
    upstream.fail("/simple/demo", 429, retry_after=1)

    result = bootstrap.run(pypi, fetchers=2)

    assert result.settled >= 29
    assert result.settled + result.waiting == 30


def test_names_that_a_stopped_run_had_not_come_to_are_free_at_once(upstream, pypi, many, now, monkeypatch):
    for name in many:
        Dirty.objects.create(name=name, not_before=now)
    monkeypatch.setattr(sync, "RUN_S", -1)

    assert sync.refresh(pypi, now=now, limit=30) == 0

    assert Dirty.objects.due(now).count() == 30


def test_a_name_marked_during_a_look_up_stays_when_many_are_forgotten(now):
    for name in ("a", "b"):
        Dirty.objects.create(name=name, not_before=now)
    held = Dirty.hold_due(now, 9)
    Dirty.hint({"a": 5}, Dirty.Why.JOURNAL, now + timedelta(seconds=1))

    Dirty.forget(held)

    assert Dirty.objects.get().name == "a"
