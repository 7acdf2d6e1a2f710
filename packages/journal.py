"""Reads upstream's journal: which of its events concern us, and how far we have come.

An event only marks a name; what became of the project is asked when the mark is looked up.  The mark and the
place in the journal are written in one transaction, so an event may be read twice but never lost.
"""

import logging
import time
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta

from django.db import transaction

from packages.batches import batches
from packages.changelog import PAGE_ROWS, Changelog, Event, NoJournal
from packages.fetch import UpstreamUnavailable
from packages.models import Dirty, Package, SyncCursor
from packages.project import canonical
from packages.pulse import Pulse

logger = logging.getLogger(__name__)

# The name in PIWHEELS_WATCH that stands for everything that upstream has.
ALL = "all"
# What happens between upstream and its people, and changes nothing that we keep.  Whatever is not here is
# looked at, known to us or not: that costs one question, and passing it over could cost a change.
ROLES = ("Owner", "Maintainer", "owner", "maintainer")
NOISE = (
    *(
        f"{deed} {role} "
        for deed in ("add", "remove", "invite", "accepted", "change", "revoke")
        for role in ROLES
    ),
    *("invited ", "revoked ", "docdestroy", "nuke user"),
)
# PyPI's people ask for a second between two calls.
BETWEEN_PAGES_S = 1.0
# How often whoever reads says that he is still at it.
KEEP_S = 10.0


class Overtaken(Exception):
    """Somebody else has read on from where we are."""


def poll(changelog: Changelog, watched: Collection[str], *, now: datetime) -> int:
    """Read the journal to its end, and return how many names were marked.

    Only one caller reads at a time, and none while upstream wants to be left alone.
    """
    cursor = SyncCursor.current()
    if not cursor.take_poll(now):
        return 0
    began = time.monotonic()
    marked = 0
    try:
        for count in _read(changelog, cursor, watched, now):
            marked += count
    except NoJournal as error:
        _miss(cursor, error, now)
    except UpstreamUnavailable as error:
        logger.warning("The journal was not read to its end: %s", error)
        if error.retry_after is not None:
            cursor.pause(now + timedelta(seconds=error.retry_after))
    except Overtaken:
        logger.warning("Somebody else reads the journal at the same time; they go on from here.")
    cursor.release_poll(now + timedelta(seconds=time.monotonic() - began))
    return marked


def _miss(cursor: SyncCursor, error: NoJournal, now: datetime) -> None:
    """Note that upstream has no journal, unless it had one just now: it is not asked again for a day."""
    if cursor.was_journal_heard(now):
        logger.warning("The journal was heard lately, so it is asked for again: %s", error)
        return
    logger.warning("Upstream has no journal, so its packages are asked for one by one: %s", error)
    cursor.miss_journal(now)


def _read(changelog: Changelog, cursor: SyncCursor, watched: Collection[str], now: datetime) -> Iterator[int]:
    """Read page by page to the journal's end, and tell of each how many names it marked."""
    if not cursor.serial:
        yield _begin(changelog.last_serial(), cursor, now)
    began = time.monotonic()
    keep = Pulse(KEEP_S, lambda: cursor.prolong_poll(now + timedelta(seconds=time.monotonic() - began)))
    while True:
        passed = timedelta(seconds=time.monotonic() - began)
        events = changelog.since(cursor.serial, keep)
        before = cursor.serial
        yield _note(events, cursor, watched, now + passed)
        if len(events) < PAGE_ROWS or cursor.serial == before:
            cursor.hear_journal(now + passed, cursor.serial)
            return
        cursor.note_end(changelog.last_serial())
        keep()
        time.sleep(BETWEEN_PAGES_S)


@transaction.atomic
def _begin(serial: int, cursor: SyncCursor, now: datetime) -> int:
    """Start from the journal's end, and have a look at all that we have: it may have changed before."""
    if not cursor.begin(serial):
        raise Overtaken
    packages = Package.objects.values_list("name", flat=True)
    return sum(Dirty.remind(names, Dirty.Why.FIRST, now) for names in batches(packages.iterator()))


@transaction.atomic
def _note(events: Sequence[Event], cursor: SyncCursor, watched: Collection[str], now: datetime) -> int:
    """Mark the names of events and move behind the last one, both or neither."""
    if not events:
        return 0
    if not cursor.advance(max([cursor.serial, *(event.serial for event in events)])):
        raise Overtaken
    serials: dict[str, int] = {}
    for event in events:
        if not event.action.startswith(NOISE) and (name := canonical(event.name)):
            serials[name] = max(event.serial, serials.get(name, 0))
    if ALL not in watched:
        ours = {name for names in batches(serials) for name in _known(names)}
        ours.update(name for name in map(canonical, watched) if name in serials)
        serials = {name: serials[name] for name in ours}
    return Dirty.hint(serials, Dirty.Why.JOURNAL, now)


def _known(names: Collection[str]) -> Iterator[str]:
    """Return those of some names that we follow, or wait to look up."""
    yield from Package.objects.filter(name__in=names).values_list("name", flat=True)
    yield from Dirty.objects.filter(name__in=names).values_list("name", flat=True)
