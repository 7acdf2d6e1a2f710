"""Which names `sync` looks up, and when; what it then writes is in `test_merge`."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from threading import Barrier

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from packages import fetch, merge, sync
from packages.doubt import STALE, StaleAnswer
from packages.models import Dirty, Package, SyncCursor, Version
from packages.pypi import PyPI, UpstreamUnavailable
from tests.fake_pypi import FakePyPI

pytestmark = pytest.mark.django_db


def mark(name, now, **fields):
    return Dirty.objects.create(name=name, not_before=now, **fields)


def test_marked_names_are_looked_up_and_forgotten(upstream, refresh, now):
    upstream.add_sdist("demo", "1.0")
    upstream.add_sdist("other", "1.0")
    mark("demo", now)
    mark("other", now + timedelta(seconds=5))

    assert refresh() == 1

    assert [dirty.name for dirty in Dirty.objects.all()] == ["other"]
    assert [package.name for package in Package.objects.all()] == ["demo"]
    assert refresh(after=6) == 1
    assert Package.objects.count() == 2


def test_a_package_that_is_forgotten_while_it_is_looked_up_stays_so(upstream, look_up, pypi, now):
    upstream.add_sdist("demo", "1.0")
    question = sync.Question(mark("demo", now), look_up(), None)
    answer = pypi.project("demo")
    Package.objects.all().delete()
    Dirty.objects.all().delete()

    assert sync._settle(question, lambda: answer, now)

    assert not Package.objects.exists()


def test_while_nothing_is_marked_nothing_is_written(refresh):
    refresh()

    with CaptureQueriesContext(connection) as captured:
        assert refresh() == 0

    assert not [query["sql"] for query in captured if "INSERT" in query["sql"]]


def test_no_more_names_are_looked_up_than_the_limit(upstream, refresh, now):
    for name in ("a", "b", "c"):
        upstream.add_sdist(name, "1.0")
        mark(name, now)

    assert refresh(limit=2) == 2
    assert Dirty.objects.count() == 1


def test_a_name_that_somebody_else_looks_up_is_left_to_them(upstream, refresh, now):
    upstream.add_sdist("demo", "1.0")
    mark("demo", now).hold(now)

    assert refresh() == 0
    assert upstream.requests == []


def test_a_name_whose_look_up_died_is_looked_up_again(upstream, refresh, now):
    upstream.add_sdist("demo", "1.0")
    mark("demo", now).hold(now)

    assert refresh(after=Dirty.HOLD.total_seconds() + 1) == 1


@pytest.mark.parametrize(("is_there", "left"), [(True, []), (False, [("demo", 1)])])
def test_whoever_waits_for_an_answer_keeps_the_name_until_it_comes(
    upstream, refresh, now, monkeypatch, is_there, left
):
    monkeypatch.setattr(sync, "KEEP_S", 0.02)
    if is_there:
        upstream.add_sdist("demo", "1.0")
    mark("demo", now)
    upstream.delay("/simple/demo/", 1.0)

    with CaptureQueriesContext(connection) as captured:
        refresh()

    kept = [query for query in captured if "UPDATE" in query["sql"] and "not_before" in query["sql"]]
    # Held once and put off once, if at all.
    assert len(kept) > 3
    assert [(dirty.name, dirty.attempts) for dirty in Dirty.objects.all()] == left


def test_a_failure_puts_a_name_off_and_stops_no_other(upstream, refresh, now):
    for name in ("bad", "good"):
        upstream.add_sdist(name, "1.0")
        mark(name, now - timedelta(seconds=name == "bad"))
    upstream.fail("/simple/bad/", 502)

    assert refresh() == 1

    dirty = Dirty.objects.get()
    assert (dirty.name, dirty.attempts) == ("bad", 1)
    assert "502" in dirty.error
    assert now < dirty.not_before < now + timedelta(seconds=4)
    assert Package.objects.get().name == "good"
    assert refresh(after=5) == 1


def test_a_wish_for_a_pause_ends_the_run(upstream, refresh, now):
    for name in ("a", "b"):
        upstream.add_sdist(name, "1.0")
        mark(name, now)
    upstream.fail("/simple/", 429, retry_after=600)

    assert refresh() == 0

    assert len(upstream.requests) == 1
    waiting, next_one = sorted(Dirty.objects.all(), key=lambda dirty: dirty.attempts, reverse=True)
    assert waiting.not_before > now + timedelta(seconds=600)
    assert next_one.not_before == now


def test_an_outage_that_names_no_pause_has_one_too(upstream, refresh, now):
    for number in range(sync.OUTAGE + 5):
        mark(f"demo{number}", now)
    upstream.fail("/", 503, times=99)

    assert refresh() == 0
    assert len(upstream.requests) == sync.OUTAGE
    assert Dirty.objects.due(now).count() == 5

    refresh(after=5)
    assert len(upstream.requests) == sync.OUTAGE
    refresh(after=60)
    assert len(upstream.requests) > sync.OUTAGE


def test_names_that_fail_between_others_are_no_outage(upstream, refresh, now):
    for number in range(2 * sync.OUTAGE):
        upstream.add_sdist(f"demo{number}", "1.0")
        mark(f"demo{number}", now)
    upstream.fail("/simple/", 503, times=sync.OUTAGE, every=2)

    assert refresh() == sync.OUTAGE
    assert not Dirty.objects.due(now).exists()


def test_many_old_answers_are_no_outage(upstream, refresh, now):
    for number in range(sync.OUTAGE + 5):
        upstream.add_sdist(f"demo{number}", "1.0")
        mark(f"demo{number}", now, wanted_serial=10**9)

    assert refresh() == 0

    assert SyncCursor.objects.get().stale_answers == sync.OUTAGE + 5
    assert not SyncCursor.objects.get().is_paused(now + timedelta(seconds=1))


def test_an_answer_from_an_old_cache_is_not_believed(upstream, refresh, now):
    upstream.add_sdist("demo", "1.0")
    upstream.go_stale("demo")
    upstream.add_sdist("demo", "2.0")
    mark("demo", now, wanted_serial=upstream.serial)

    assert refresh() == 0
    assert not Package.objects.exists()
    assert str(upstream.serial) in Dirty.objects.get().error

    upstream.refresh("demo")
    assert refresh(after=5) == 1
    assert Version.objects.count() == 2


def test_a_state_older_than_ours_is_not_believed(upstream, look_up, refresh, now):
    upstream.add_sdist("demo", "1.0")
    look_up()
    Package.objects.update(serial=upstream.serial + 9)
    upstream.remove("demo", "1.0")
    mark("demo", now)

    assert refresh() == 0
    assert not Version.objects.exclude(gone_at=None).exists()


def test_an_old_answer_is_believed_in_the_end(upstream, refresh, now, caplog):
    upstream.add_sdist("demo", "1.0")
    worn_out = {"attempts": sync.PATIENCE, "error": f"{STALE} {upstream.serial}."}
    mark("demo", now, wanted_serial=upstream.serial + 1, **worn_out)

    assert refresh() == 1
    assert Package.objects.count() == 1

    Package.objects.update(serial=upstream.serial)
    mark("demo", now, wanted_serial=upstream.serial + 1, **worn_out)
    assert refresh() == 1
    assert f"though there was an event {upstream.serial + 1}" in caplog.text


def test_an_outage_that_ends_in_an_old_answer_does_not_have_it_believed(upstream, look_up, refresh, now):
    upstream.add_sdist("demo", "1.0")
    look_up()
    Package.objects.update(serial=upstream.serial + 9)
    upstream.remove("demo", "1.0")
    mark("demo", now, attempts=sync.PATIENCE, error="The answer is 503.")

    assert refresh() == 0
    assert not Version.objects.exclude(gone_at=None).exists()

    assert refresh(after=3600) == 1
    assert Version.objects.exclude(gone_at=None).exists()


def test_a_name_that_nobody_has_is_tried_again_and_then_forgotten(upstream, refresh, now):
    mark("nothing-here", now)

    assert refresh() == 0
    assert Dirty.objects.get().error == "Upstream has no such package."

    Dirty.objects.update(attempts=sync.PATIENCE)
    assert refresh(after=5) == 1
    assert not Dirty.objects.exists()
    assert not Package.objects.exists()


def spoil_time(upstream):
    upstream.add_sdist("bad", "1.0", uploaded_at=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))))


def spoil_name(upstream):
    upstream.add_sdist("bad", "1.0")
    upstream.spell("bad", "b\ud800\0")


@pytest.mark.parametrize("spoil", [spoil_time, spoil_name])
def test_an_answer_that_cannot_be_used_stops_no_other(upstream, refresh, now, spoil):
    spoil(upstream)
    upstream.add_sdist("good", "1.0")
    mark("bad", now - timedelta(seconds=1))
    mark("good", now)

    assert refresh() == 1

    assert Package.objects.get().name == "good"
    assert (Dirty.objects.get().name, Dirty.objects.get().attempts) == ("bad", 1)
    assert "makes no sense" in Dirty.objects.get().error
    assert Dirty.objects.get().error.isprintable()


class Careless(PyPI):
    """A client that lets through what its parsers raise."""

    def project(self, name, etag=""):
        if name == "bad":
            raise TypeError("'NoneType' object\0is not subscriptable")
        return super().project(name, etag)


class Odd(PyPI):
    """A client that returns what cannot be written."""

    def project(self, name, etag=""):
        project = super().project(name, etag)
        return replace(project, versions=None) if name == "bad" else project


def test_what_breaks_our_code_among_new_packages_stops_no_other(upstream, pypi, now):
    for name in ("bad", "good", "other"):
        upstream.add_sdist(name, "1.0")
        mark(name, now)

    assert sync.refresh(Odd(upstream.simple_url, pypi.session), now=now, limit=9) == 2

    assert {package.name for package in Package.objects.all()} == {"good", "other"}
    assert "not iterable" in Dirty.objects.get().error


def test_an_answer_that_breaks_our_own_code_stops_no_other(upstream, pypi, now, caplog):
    upstream.add_sdist("good", "1.0")
    mark("bad", now - timedelta(seconds=1))
    mark("good", now)

    assert sync.refresh(Careless(upstream.simple_url, pypi.session), now=now, limit=9) == 1

    assert Dirty.objects.get().error == "'NoneType' object\N{REPLACEMENT CHARACTER}is not subscriptable"
    assert "Traceback" in caplog.text


def test_an_index_that_hangs_ends_the_run(upstream, refresh, now, monkeypatch):
    monkeypatch.setattr(fetch, "READ_S", 0.1)
    for name in ("a", "b"):
        upstream.add_sdist(name, "1.0")
        mark(name, now)
    upstream.delay("/simple/", 0.5, times=2)

    assert refresh() == 0

    assert len(upstream.requests) == 1
    waiting, next_one = sorted(Dirty.objects.all(), key=lambda dirty: dirty.attempts, reverse=True)
    assert (waiting.attempts, next_one.attempts) == (1, 0)
    assert next_one.not_before == now


def test_a_run_that_takes_long_begins_nothing_more(upstream, refresh, now, monkeypatch):
    monkeypatch.setattr(sync, "RUN_S", 1.0)
    for name in ("a", "b"):
        upstream.add_sdist(name, "1.0")
        mark(name, now)
    upstream.delay("/simple/", 1.5)

    assert refresh() == 1
    assert Dirty.objects.get().not_before == now


def test_rows_that_the_database_refuses_stop_no_other(upstream, look_up, refresh, now):
    upstream.add_sdist("first", "1.0", filename="shared-1.0.tar.gz")
    look_up("first")
    upstream.add_sdist("second", "1.0", filename="shared-1.0.tar.gz")
    upstream.add_sdist("third", "1.0")
    mark("second", now - timedelta(seconds=1))
    mark("third", now)

    assert refresh() == 1

    assert {package.name for package in Package.objects.all()} == {"first", "third"}
    assert Dirty.objects.get().name == "second"


def test_a_mark_that_comes_during_a_look_up_survives_it(upstream, pypi, refresh, now):
    upstream.add_sdist("demo", "1.0")
    dirty = mark("demo", now)
    dirty.hold(now)

    Dirty.mark("demo")
    sync._settle(sync.Question(dirty, None, None), lambda: pypi.project("demo"), now)

    assert Dirty.objects.filter(name="demo").exists()


def test_a_look_up_may_ask_for_a_serial(upstream, look_up):
    upstream.add_sdist("demo", "1.0")

    with pytest.raises(UpstreamUnavailable):
        look_up(least_serial=upstream.serial + 1)
    assert look_up(least_serial=upstream.serial)


def correct(refresh, now, **fields):
    """Look `demo` up because the list of all names differed, and return how many corrections there were."""
    SyncCursor.objects.update_or_create(defaults=fields)
    mark("demo", now, why="listing")
    refresh()
    return SyncCursor.objects.get().corrections


def test_a_change_that_the_journal_missed_is_counted(upstream, look_up, refresh, now, caplog):
    upstream.add_sdist("demo", "1.0")
    look_up()
    upstream.yank("demo", "1.0")

    assert correct(refresh, now, serial=upstream.serial) == 1
    assert "The journal had not told" in caplog.text


def test_a_change_that_the_journal_has_yet_to_tell_is_no_correction(upstream, look_up, refresh, now):
    upstream.add_sdist("demo", "1.0")
    look_up()
    upstream.yank("demo", "1.0")

    assert correct(refresh, now, serial=upstream.serial - 1) == 0


def test_what_is_never_in_the_journal_is_no_correction(upstream, look_up, refresh, now):
    upstream.add_sdist("demo", "1.0")
    look_up()
    upstream.set_status("demo", "archived")

    assert correct(refresh, now, serial=upstream.serial) == 0
    assert Package.objects.get().status == "archived"


def test_answers_from_old_caches_are_counted(upstream, refresh, now):
    upstream.add_sdist("demo", "1.0")
    mark("demo", now, wanted_serial=upstream.serial + 1)

    refresh()

    assert SyncCursor.objects.get().stale_answers == 1


def test_a_pause_that_upstream_wants_is_everybodys(upstream, refresh, now):
    upstream.add_sdist("demo", "1.0")
    mark("demo", now)
    SyncCursor.objects.create(paused_until=now + timedelta(seconds=30))

    assert refresh() == 0
    assert upstream.requests == []
    assert refresh(after=31) == 1


def test_what_a_clock_that_was_put_back_has_left_is_not_waited_for(upstream, refresh, now):
    upstream.add_sdist("demo", "1.0")
    mark("demo", now + timedelta(days=1))
    SyncCursor.objects.create(paused_until=now + timedelta(days=1))

    assert refresh() == 1


def test_a_pause_is_not_shortened_and_follows_a_clock_that_was_put_back(now):
    long, short, before = now + timedelta(minutes=9), now + timedelta(minutes=1), now - timedelta(days=1)
    paused = []

    for until in (long, short, before):
        SyncCursor.current().pause(until)
        paused.append(SyncCursor.current().paused_until)

    assert paused == [long, long, before]


class Crowded(FakePyPI):
    """Answers nobody who looks a package up before so many do."""

    def __init__(self, size):
        super().__init__()
        self._gathered = Barrier(size)

    def note(self, request):
        super().note(request)
        if request.path.startswith("/simple/"):
            # It is broken when nobody else comes for so long, and then for all: they get no answer.
            self._gathered.wait(20)


def test_several_names_are_looked_up_at_once(now):
    with Crowded(6) as upstream, fetch.Session() as session:
        for number in range(6):
            upstream.add_sdist(f"demo{number}", "1.0")
            mark(f"demo{number}", now)

        assert sync.refresh(PyPI(upstream.simple_url, session), now=now, limit=9, fetchers=6) == 6

    assert Package.objects.count() == 6


def test_an_older_answer_that_comes_late_changes_nothing(upstream, pypi, look_up, now):
    upstream.add_sdist("demo", "1.0")
    early = pypi.project("demo")
    upstream.yank("demo", "1.0")
    look_up()

    with pytest.raises(StaleAnswer):
        merge.apply(early, now)
    assert Version.objects.get().yanked


def test_what_waits_behind_several_others_is_left_when_upstream_wants_a_pause(upstream, pypi, now):
    for number in range(100):
        upstream.add_sdist(f"demo{number}", "1.0")
        mark(f"demo{number}", now)
    upstream.fail("/simple/", 429, times=100, retry_after=600)

    assert sync.refresh(pypi, now=now, limit=100, fetchers=2) == 0

    assert len(upstream.requests) < 60
    assert Dirty.objects.due(now).count() > 40


def test_news_and_wishes_go_before_a_first_look_at_everything(upstream, refresh, now):
    for minute, (name, why) in enumerate([("a", "first"), ("b", "age"), ("c", "journal"), ("d", "person")]):
        upstream.add_sdist(name, "1.0")
        mark(name, now - timedelta(minutes=10 - minute), why=why)

    refresh(limit=2)
    assert {package.name for package in Package.objects.all()} == {"c", "d"}

    refresh(limit=1)
    assert Package.objects.filter(name="a").exists()
