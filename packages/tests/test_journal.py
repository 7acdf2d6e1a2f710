import xmlrpc.client
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import count

import pytest
from django.db import connection

from packages import journal as module
from packages.changelog import Changelog
from packages.models import Dirty, Package, SyncCursor

pytestmark = pytest.mark.django_db


@pytest.fixture
def poll(changelog, now, monkeypatch):
    """Poll, some seconds from now."""
    monkeypatch.setattr(module, "BETWEEN_PAGES_S", 0)

    def run(watched=("all",), after=0.0):
        return module.poll(changelog, watched, now=now + timedelta(seconds=after))

    return run


def start(serial=1000, **fields):
    SyncCursor.objects.update_or_create(defaults={"serial": serial, **fields})


def rows(*events):
    """An answer of XML-RPC with these events, which the fake's own journal could not have."""
    return xmlrpc.client.dumps((list(events),), methodresponse=True).encode()


def marks():
    return dict(Dirty.objects.values_list("name", "wanted_serial"))


def cursor():
    return SyncCursor.objects.get()


def test_names_of_events_are_marked_with_their_last_serial(journal, poll, now):
    start()
    journal.write("Demo.Pkg", "create")
    journal.write("other", "add source file other-1.0.tar.gz")
    journal.write("demo_pkg", "new release")

    assert poll() == 2

    assert marks() == {"demo-pkg": 1003, "other": 1002}
    assert {dirty.why for dirty in Dirty.objects.due(now + timedelta(seconds=1))} == {"journal"}
    assert (cursor().serial, cursor().upstream_serial, cursor().polled_at >= now) == (1003, 1003, True)
    assert cursor().journal == "xml-rpc"


def test_nothing_new_is_one_question(journal, poll):
    start()

    assert poll() == 0
    assert (journal.read_from, len(journal.requests)) == ([1000], 1)
    assert cursor().is_journal_heard(cursor().polled_at)


def test_the_first_poll_begins_at_the_end_and_has_all_that_we_have_looked_at(journal, poll, now):
    for number in range(3):
        Package.objects.create(name=f"demo{number}", display_name="x")
    journal.write("demo0")

    assert poll() == 3

    assert marks() == {"demo0": None, "demo1": None, "demo2": None}
    assert (cursor().serial, cursor().listed_at) == (1001, None)


def test_a_farm_that_follows_some_marks_only_these(journal, poll):
    start()
    Package.objects.create(name="ours", display_name="ours")
    Dirty.objects.create(name="waiting")
    for name in ("ours", "watched", "waiting", "neither"):
        journal.write(name)

    assert poll(watched=["Watched"]) == 3

    assert marks() == {"ours": 1001, "watched": 1002, "waiting": 1003}
    assert cursor().serial == 1004


@pytest.mark.parametrize(
    "action",
    [
        "add Owner jo",
        "remove Maintainer jo",
        "invite Owner jo",
        "accepted Owner jo",
        "docdestroy",
        "nuke user",
    ],
)
def test_what_upstreams_people_do_among_themselves_is_passed_over(journal, poll, action):
    start()
    journal.write("demo", action)

    assert poll() == 0
    assert cursor().serial == 1001


@pytest.mark.parametrize("action", ["remove project", "yank release", "project quarantined", "something new"])
def test_whatever_else_happens_is_looked_at(journal, poll, action):
    start()
    journal.write("demo", action)

    assert poll() == 1


def test_names_that_are_none_are_passed_over(journal, poll):
    start()
    for name in (None, "", "no/name", "x" * 300, "good"):
        journal.write(name)

    assert poll() == 1
    assert marks() == {"good": 1005}


def test_full_pages_are_followed_by_the_next_at_once(journal, poll, monkeypatch):
    monkeypatch.setattr(module, "PAGE_ROWS", 3)
    journal.page_rows = 3
    start()
    for number in range(8):
        journal.write(f"demo{number}")

    assert poll() == 8

    assert cursor().serial == 1008
    assert journal.read_from == [1000, 1003, 1006]


def test_a_page_that_leads_nowhere_ends_the_poll(journal, poll, monkeypatch):
    monkeypatch.setattr(module, "PAGE_ROWS", 1)
    start(2000)
    journal.reply("/pypi", rows(["demo", "1", 1, "new release", 1500]))

    poll()

    assert cursor().serial == 2000


def test_ids_may_be_skipped_doubled_and_out_of_order(journal, poll):
    start()
    events = [("a", 1010), ("b", 1005), ("a", 1010)]
    journal.reply("/pypi", rows(*([name, "1", 5000 - serial, "create", serial] for name, serial in events)))

    poll()

    assert (marks(), cursor().serial) == ({"a": 1010, "b": 1005}, 1010)


def test_an_event_that_cannot_be_read_is_not_passed_over(journal, poll):
    start()
    journal.reply("/pypi", rows(["demo", "1", 1, "create", 1001], ["other"]))

    assert poll() == 0
    assert (marks(), cursor().serial) == ({}, 1000)


def test_a_hint_that_comes_twice_or_late_changes_nothing(now):
    Dirty.hint({"demo": 7}, Dirty.Why.JOURNAL, now)
    before = Dirty.objects.values().get()

    assert Dirty.hint({"demo": 7}, Dirty.Why.JOURNAL, now + timedelta(seconds=9)) == 0
    assert Dirty.hint({"demo": 5}, Dirty.Why.JOURNAL, now + timedelta(seconds=9)) == 0

    assert Dirty.objects.values().get() == before


def test_a_hint_of_a_later_event_outlives_the_look_up_that_is_on_its_way(now):
    Dirty.hint({"demo": 7}, Dirty.Why.JOURNAL, now)
    dirty = Dirty.objects.get()
    dirty.hold(now)

    Dirty.hint({"demo": 8}, Dirty.Why.JOURNAL, now + timedelta(seconds=1))
    dirty.clear()
    dirty.put_off(now, "too late")

    assert marks() == {"demo": 8}
    assert (Dirty.objects.get().attempts, Dirty.objects.get().error) == (0, "")


def test_many_hints_are_written_in_batches(now):
    assert Dirty.hint({f"demo{number}": number for number in range(1000)}, Dirty.Why.JOURNAL, now) == 1000
    assert Dirty.objects.count() == 1000


class Killed(BaseException):
    """The machine lost its power."""


class StatementKiller:
    """Kills at the n-th statement."""

    def __init__(self, statement):
        self.left = statement

    def __call__(self, execute, sql, params, many, context):
        # Savepoints stand for the begin and the end of a transaction, in the one of the test.
        if not sql.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
            self.left -= 1
            if self.left == 0:
                raise Killed
        return execute(sql, params, many, context)


def test_T02_a_poll_that_is_killed_at_any_statement_loses_no_event(journal, poll):
    journal.write("demo")
    left_by_kills = []

    for statement in count(1):
        SyncCursor.objects.all().delete()
        Dirty.objects.all().delete()
        start()
        killer = StatementKiller(statement)
        with suppress(Killed), connection.execute_wrapper(killer):
            poll()
        if killer.left:
            break
        left_by_kills.append((cursor().serial, marks()))
        poll(after=300)
        assert (cursor().serial, marks()) == (1001, {"demo": 1001})

    after = left_by_kills.count((1001, {"demo": 1001}))
    before = len(left_by_kills) - after
    assert all(left == (1000, {}) for left in left_by_kills[:before])
    assert min(before, after) > 1


@pytest.mark.parametrize("field", ["polling_until", "paused_until"])
def test_what_a_clock_that_was_put_back_has_left_keeps_nobody_from_reading(journal, poll, now, field):
    start(**{field: now + timedelta(days=1)})
    journal.write("demo", "create")

    assert poll() == 1


def test_one_poller_reads_at_a_time(journal, poll, now):
    start(polling_until=now + timedelta(seconds=30))

    assert poll() == 0
    assert journal.requests == []

    assert poll(after=31) == 0
    assert len(journal.requests) == 1


class Slow(Changelog):
    """A client that somebody else overtakes."""

    def since(self, serial, pulse=lambda: None):
        SyncCursor.objects.update(serial=1001)
        return super().since(serial, pulse)


class Watching(Changelog):
    """A client that sees until when others are kept away, after each piece of an answer."""

    kept: list[datetime] = []

    def since(self, serial, pulse=lambda: None):
        def pulse_and_look():
            pulse()
            self.kept.append(cursor().polling_until)

        return super().since(serial, pulse_and_look)


def test_whoever_reads_for_long_keeps_others_away(journal, changelog, now, monkeypatch):
    monkeypatch.setattr(module, "KEEP_S", 0)
    start()
    journal.write("demo")
    watching = Watching(f"{journal.url}/pypi", changelog.session)

    module.poll(watching, ["all"], now=now)

    assert watching.kept
    assert min(watching.kept) > now + SyncCursor.POLLING
    assert cursor().polling_until < now + SyncCursor.POLLING


def test_a_poller_that_was_overtaken_marks_nothing(journal, changelog, now):
    start()
    journal.write("demo")

    assert module.poll(Slow(f"{journal.url}/pypi", changelog.session), ["all"], now=now) == 0
    assert (cursor().serial, marks()) == (1001, {})


def test_an_absent_journal_is_asked_for_again_after_a_day(journal, poll, now):
    start()
    journal.fail("/pypi", 405)

    assert poll() == 0
    assert (cursor().journal, cursor().is_journal_heard(now)) == ("absent", False)

    poll(after=3600)
    assert len(journal.requests) == 1

    journal.write("demo")
    assert poll(after=25 * 3600) == 1
    assert cursor().journal == "xml-rpc"


@pytest.mark.parametrize("status", [302, 400, 404, 405])
def test_a_journal_that_was_heard_lately_is_not_absent_for_a_stray_answer(journal, poll, now, status):
    start(journal="xml-rpc", polled_at=now - timedelta(hours=2))
    journal.write("demo")
    journal.fail("/pypi", status)

    assert poll() == 0
    assert cursor().journal == "xml-rpc"
    assert poll(after=30) == 1


def test_a_journal_that_was_not_heard_for_hours_may_be_gone(journal, poll, now):
    start(journal="xml-rpc", polled_at=now - timedelta(hours=4))
    journal.fail("/pypi", 405)

    poll()

    assert cursor().journal == "absent"


def test_an_outage_is_asked_again_soon_and_is_no_absence(journal, poll, now):
    start(journal="xml-rpc", polled_at=now)
    journal.write("demo")
    journal.fail("/pypi", 502)

    assert poll() == 0
    assert cursor().journal == "xml-rpc"
    assert poll(after=30) == 1


def test_a_journal_that_is_silent_for_long_is_not_relied_on(now):
    start(journal="xml-rpc", polled_at=now)

    assert cursor().is_journal_heard(now + timedelta(minutes=14))
    assert not cursor().is_journal_heard(now + timedelta(minutes=16))


def test_a_wish_for_a_pause_is_granted(journal, poll, now):
    start()
    journal.refuse_calls(-32500, "HTTPTooManyRequests: Limit may reset in 120 seconds.")

    poll()
    assert poll(after=119) == 0
    assert len(journal.requests) == 1

    poll(after=125)
    assert len(journal.requests) == 2
