"""How well we keep up with upstream, for whoever watches the farm."""

from dataclasses import dataclass
from datetime import datetime

from packages.models import NEVER, Dirty, SyncCursor


@dataclass(frozen=True)
class SyncHealth:
    """Where we read what changes upstream, and how far behind we are."""

    journal: str
    listing: str
    serial: int
    lag: int  # events that upstream has and we have not read
    polled_s: float | None  # seconds since the journal was last read to its end
    oldest_s: float | None  # seconds that the longest waiting name waits
    paused: bool
    stale_answers: int
    corrections: int
    warning: str


def sync_health(now: datetime) -> SyncHealth:
    """Return how well we keep up; costs two rows, however many names wait."""
    cursor = SyncCursor.current()
    oldest = Dirty.objects.order_by("marked_at").values_list("marked_at", flat=True).first()
    return SyncHealth(
        journal=cursor.get_journal_display(),
        listing=cursor.get_listing_display(),
        serial=cursor.serial,
        lag=cursor.lag,
        polled_s=None if cursor.polled_at == NEVER else _seconds(cursor.polled_at, now),
        oldest_s=_seconds(oldest, now) if oldest else None,
        paused=cursor.is_paused(now),
        stale_answers=cursor.stale_answers,
        corrections=cursor.corrections,
        warning=_warning(cursor, now),
    )


def _seconds(since: datetime, now: datetime) -> float:
    """Return how many seconds ago something was."""
    return max(round((now - since).total_seconds(), 1), 0.0)


def _warning(cursor: SyncCursor, now: datetime) -> str:
    """Return what an operator has to know; "" if nothing."""
    if cursor.doubted_at:
        return (
            f"{cursor.doubted} packages were to vanish at once, so nothing is withdrawn since"
            f" {cursor.doubted_at:%Y-%m-%d %H:%M} UTC. If upstream has really removed them, run"
            " `manage.py reconcile --believe`."
        )
    if cursor.moved_at:
        return (
            f"PIWHEELS_PYPI is another index since {cursor.moved_at:%Y-%m-%d %H:%M} UTC. Until all packages"
            " have been seen there, none is withdrawn."
        )
    if cursor.journal == SyncCursor.Journal.XML_RPC and not cursor.is_journal_heard(now):
        return f"Upstream's journal was last read at {cursor.polled_at:%Y-%m-%d %H:%M} UTC."
    return ""
