"""What upstream says that is not believed at once, or not at all until a person has looked.

An index that has a bad hour denies what it has, shows pages without files, or answers from an old cache.
Each of these looks like a change that would take wheels from people, so a few of them are believed when they
last, and many at once are not.
"""

import logging
from datetime import datetime, timedelta

from django.db.models import QuerySet

from packages import moving
from packages.fetch import UpstreamUnavailable
from packages.models import Dirty, Package, SyncCursor

logger = logging.getLogger(__name__)

# What is noted of a name that upstream does not have, and of a package that lost all that it had.
ABSENT = "Upstream has no such package."
EMPTY = "Upstream has taken away all that it had of this package."
# How that begins which is noted of a name whose answer came from a cache.
STALE = "The answer has serial"

# How many packages may vanish in an hour: PyPI loses a few in a thousand of its projects a month.
WINDOW = timedelta(hours=1)
LEAST, SHARE = 10, 1000
# So many of them are named in the log.
NAMED = 10
# How long an operator's word that upstream is right holds.
BELIEF = timedelta(days=1)


class StaleAnswer(UpstreamUnavailable):
    """Upstream's answer is older than what it said before: it came from a cache."""


class DoubtfulAbsence(UpstreamUnavailable):
    """Upstream has no such package, but had it before: during an outage it says so too."""


class TooMuchVanishes(DoubtfulAbsence):
    """So much vanishes at once that something is wrong upstream."""

    def __init__(self, message: str, count: int) -> None:
        super().__init__(message)
        self.count = count


def bound() -> int:
    """Return how many packages may vanish in an hour before it is an outage."""
    return max(LEAST, Package.objects.count() // SHARE)


def judge(name: str, message: str, now: datetime) -> None:
    """Let one more package vanish, or raise TooMuchVanishes with that message."""
    cursor = SyncCursor.current()
    if cursor.believed_until > now:
        return
    if cursor.doubted_at:
        # Of many thousands that are denied, each would have all the others counted; `relax` does so for all.
        raise TooMuchVanishes(message, 0)
    gone = Package.objects.filter(emptied_at__gt=now - WINDOW).count()
    count = gone + _waiting().exclude(name=name).count() + 1
    if cursor.moved_at or count > bound():
        raise TooMuchVanishes(message, count)


def note(error: TooMuchVanishes, now: datetime) -> None:
    """Stop believing absences, until an operator confirms them or upstream has the packages again."""
    if SyncCursor.current().doubt(error.count, now):
        logger.error(
            "%s packages are to vanish within an hour, so nothing is withdrawn any more: %s. If upstream has"
            " really removed them, run `manage.py reconcile --believe`.",
            *(error.count, _named(error.count, now)),
        )


def _named(count: int, now: datetime) -> str:
    """Return the names of some of so many packages: of those that wait, then of those that just vanished."""
    gone = Package.objects.filter(emptied_at__gt=now - WINDOW).order_by("-emptied_at")
    names = [*_waiting().order_by("name").values_list("name", flat=True)[:NAMED]]
    names += gone.values_list("name", flat=True)[: NAMED - len(names)]
    return ", ".join(names) + (f" and {count - len(names)} more" if count > len(names) else "")


def relax(now: datetime) -> None:
    """Believe absences again when upstream has nearly all of the packages that it denied."""
    cursor = SyncCursor.current()
    if cursor.moved_at and not moving.has_unseen(cursor.moved_at):
        cursor.arrive()
    elif cursor.moved_at or cursor.doubted_at is None:
        return
    # One that was really removed meanwhile stays absent, and must not keep the others in doubt.
    waiting = _waiting().count()
    if waiting == 0 or waiting * 10 < cursor.doubted:
        logger.warning("Upstream has again what it denied, so absences are believed again.")
        cursor.settle_doubt()
    else:
        cursor.note_doubted(waiting)


def believe(now: datetime) -> int:
    """Believe all absences for a day, as an operator has looked; return how many packages wait for that."""
    SyncCursor.current().believe(now + BELIEF)
    return _waiting().update(not_before=now)


def _waiting() -> "QuerySet[Dirty]":
    """Return the marks of packages of ours that upstream denies."""
    ours = Package.objects.exclude(status=Package.Status.GONE).values("name")
    return Dirty.objects.filter(error__in=[ABSENT, EMPTY], name__in=ours)
