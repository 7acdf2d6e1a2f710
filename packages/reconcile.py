"""Finds what is to be looked up though no event told of it: names that we lack, and packages long not seen.

Upstream's list of all projects shows what the journal may have missed, and is all there is where upstream has
no journal.  Some changes are in neither, so each package is looked at now and then.
"""

import logging
import time
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice

from django.conf import settings

from packages import keyset
from packages.batches import batches
from packages.clock import is_over
from packages.fetch import Unchanged, UpstreamUnavailable
from packages.journal import ALL
from packages.models import NEVER, Dirty, Package, SyncCursor
from packages.project import canonical
from packages.pypi import PyPI

logger = logging.getLogger(__name__)

# How often to compare all names, with the journal and without it, and when to try again if that failed.
EVERY, WITHOUT_JOURNAL = timedelta(hours=4), timedelta(hours=1)
AGAIN = timedelta(minutes=5)
# A farm that follows no more than this asks for each: that is less than the list of all projects.
FEW = 2000
# How many packages that the list lacks are looked up after one reading: a list may be a piece of one.
LACKING = 1000
# How often the slow scan takes packages, which spreads their look-ups over the whole period.
SCAN = timedelta(minutes=5)
# A package that was looked up so lately is not scanned.
FRESH = timedelta(days=1)


def watch(names: Collection[str], *, now: datetime, refresh_s: float, limit: int) -> int:
    """Mark what has to be looked up: watched names that we lack, and packages that were long not looked at.

    Names that wait already keep their place.  Returns how many were marked, of the packages `limit` at most
    unless the slow scan has to take more in its turn.
    """
    watched = set(_watched(name for name in names if name != ALL))
    have = Package.objects.filter(name__in=watched).values_list("name", flat=True)
    missing = Dirty.remind(watched.difference(have), Dirty.Why.FIRST, now)
    cursor = SyncCursor.current()
    if cursor.is_journal_heard(now) or cursor.is_listing_heard(now):
        return missing + _scan(cursor, now, limit)
    old = Package.objects.unmarked().to_refresh(now - timedelta(seconds=refresh_s))
    return missing + Dirty.remind(list(old.values_list("name", flat=True)[:limit]), Dirty.Why.AGE, now)


def is_due(now: datetime) -> bool:
    """Whether it is time to compare all names."""
    cursor = SyncCursor.current()
    period = EVERY if cursor.is_journal_heard(now) else WITHOUT_JOURNAL
    return cursor.listed_at is None or is_over(cursor.listed_at, period, now)


def reconcile(pypi: PyPI, names: Collection[str], *, now: datetime) -> int:
    """Compare all names with upstream's, and return how many were marked to be looked up.

    Only one caller reads at a time, and none while upstream wants to be left alone.  What was marked before
    a list broke off stays so, and the list is read again soon.
    """
    cursor = SyncCursor.current()
    if not cursor.take_listing(now):
        return 0
    began = time.monotonic()
    marked = 0
    until = now
    try:
        for count in _compare(pypi, cursor, ALL in names, now):
            marked += count
    except UpstreamUnavailable as error:
        logger.warning("The list of all names was not read to its end: %s", error)
        until = now + AGAIN
        if error.retry_after is not None:
            cursor.pause(now + timedelta(seconds=error.retry_after))
    cursor.release_listing(until + timedelta(seconds=time.monotonic() - began))
    return marked


def _compare(pypi: PyPI, cursor: SyncCursor, follows_all: bool, now: datetime) -> Iterator[int]:
    """Compare name by name, and tell of each batch how many were marked."""
    if not follows_all and Package.objects.count() <= FEW:
        yield _look_at_each(cursor, now)
        return
    try:
        with pypi.listing(cursor.listing_etag) as listing:
            seen = _Seen()
            for batch in batches(listing.entries):
                yield _compare_batch(dict(batch), cursor, seen, follows_all, now)
            yield _look_for(seen.missed(), cursor, now)
            kind = SyncCursor.Listing.SERIALS if listing.has_serials else SyncCursor.Listing.NAMES
            cursor.hear_listing(kind, listing.etag, now)
    except Unchanged:
        cursor.hear_listing(SyncCursor.Listing(cursor.listing), cursor.listing_etag, now)


def _look_at_each(cursor: SyncCursor, now: datetime) -> int:
    """Mark all that we have; without a journal they are looked up often enough."""
    marked = 0
    if cursor.is_journal_heard(now):
        ours = (name for _, name in keyset.each(Package.objects.all(), "name"))
        marked = sum(Dirty.remind(batch, _why(cursor, None), now) for batch in batches(ours))
    cursor.hear_listing(SyncCursor.Listing.EACH, "", now)
    return marked


class _Seen:
    """Which of our packages were on a list; one bit each, as there may be a million."""

    def __init__(self) -> None:
        self.bits = bytearray()

    def add(self, pk: int) -> None:
        """Note a package."""
        place, bit = divmod(pk, 8)
        if place >= len(self.bits):
            self.bits.extend(bytes(place + 1 - len(self.bits) + 4096))
        self.bits[place] |= 1 << bit

    def missed(self) -> Iterator[str]:
        """Return the names of packages that were not noted, and that upstream has no reason to hide."""
        hidden = [Package.Status.GONE, Package.Status.QUARANTINED]
        for pk, name in keyset.each(Package.objects.exclude(status__in=hidden), "name"):
            place, bit = divmod(pk, 8)
            if place >= len(self.bits) or not self.bits[place] & 1 << bit:
                yield name


def _compare_batch(
    entries: dict[str, int | None], cursor: SyncCursor, seen: _Seen, follows_all: bool, now: datetime
) -> int:
    """Mark those of some names that we lack, or of which we know an older state."""
    rows = Package.objects.filter(name__in=entries).values_list("name", "pk", "serial", "status")
    known = {name: (serial, status) for name, _, serial, status in rows}
    for _, pk, _, _ in rows:
        seen.add(pk)
    hints: dict[Dirty.Why, dict[str, int]] = {}
    lacking: list[str] = []
    for name, serial in entries.items():
        if name not in known and not follows_all:
            continue
        if name in known and not _is_older(*known[name], serial):
            continue
        if serial is None:
            lacking.append(name)
        else:
            hints.setdefault(_why(cursor, serial), {})[name] = serial
    return Dirty.remind(lacking, _why(cursor, None), now) + sum(
        Dirty.hint(serials, why, now) for why, serials in hints.items()
    )


def _is_older(known: int | None, status: str, listed: int | None) -> bool:
    """Whether a package of ours is not what the list shows."""
    if status == Package.Status.GONE:
        return True
    return listed is not None and (known is None or known < listed)


def _why(cursor: SyncCursor, serial: int | None) -> Dirty.Why:
    """Return what it means that the list shows something new: the journal may have it yet to come."""
    if cursor.listed_at is None:
        return Dirty.Why.FIRST
    return Dirty.Why.JOURNAL if serial is not None and serial > cursor.serial else Dirty.Why.LISTING


def _look_for(names: Iterator[str], cursor: SyncCursor, now: datetime) -> int:
    """Mark packages that the list lacks: upstream may have removed or hidden them."""
    marked = 0
    for batch in batches(islice(names, LACKING)):
        marked += Dirty.remind(batch, _why(cursor, None), now)
    if next(names, None) is not None:
        logger.warning("Upstream's list lacks more than %s of our packages; some are looked up.", LACKING)
    return marked


def _scan(cursor: SyncCursor, now: datetime, limit: int) -> int:
    """Mark packages that nobody has looked up for long, so many that all have their turn in a period.

    What a standstill left undone is not made up for at once: `limit` are the most, or what two scans take.
    """
    if cursor.scanned_at == NEVER or cursor.scanned_at > now:
        cursor.take_scan(now, cursor.scanned_at)
        return 0
    passed = now - cursor.scanned_at
    if passed < SCAN:
        return 0
    packages, period_s = Package.objects.count(), settings.PIWHEELS_RESCAN_S
    most = max(limit, int(packages * 2 * SCAN.total_seconds() / period_s))
    count = min(int(packages * passed.total_seconds() / period_s), most)
    if not count or not cursor.take_scan(now, cursor.scanned_at):
        return 0
    old = Package.objects.unmarked().to_refresh(now - FRESH)
    names = list(old.values_list("name", flat=True)[:count])
    return sum(Dirty.remind(batch, Dirty.Why.AGE, now) for batch in batches(names))


def _watched(names: Iterable[str]) -> Iterator[str]:
    """Return the canonical forms of names that a person wrote."""
    for name in names:
        if found := canonical(name):
            yield found
        else:
            logger.error("%r in PIWHEELS_WATCH is no package's name.", name)
