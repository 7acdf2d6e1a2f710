"""Looks up all that upstream has, as fast as upstream and the database let us; can be stopped and goes on.

All that is remembered of it are the marks: a name that is looked up is no longer marked, so whoever goes on
finds the rest.  The journal's place is taken before the list is read, so what changes meanwhile is not lost.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from django.utils import timezone

from packages import journal, reconcile, sync
from packages.fetch import UpstreamUnavailable
from packages.models import Dirty, SyncCursor
from packages.progress_bar import ProgressBar
from packages.pypi import PyPI

# How many names a round takes; a round ends after `sync.RUN_S` anyway.
ROUND = 2000
# How often to look whether upstream may be asked again.
PAUSE_S = 1.0


@dataclass
class Result:
    """What came of it."""

    settled: int = 0
    waiting: int = 0


def run(pypi: PyPI, fetchers: int) -> Result:
    """Look up everything that is not as upstream has it.

    Raises UpstreamUnavailable when upstream's list cannot be read.
    """
    journal.poll(pypi.changelog, [journal.ALL], now=timezone.now())
    _mark_everything(pypi)
    result = Result()
    with ProgressBar(Dirty.objects.count()) as bar:
        for settled in _rounds(pypi, fetchers):
            result.settled += settled
            bar.advance(settled)
    result.waiting = Dirty.objects.count()
    return result


def _mark_everything(pypi: PyPI) -> None:
    """Mark what we lack or know an older state of."""
    now = timezone.now()
    before = SyncCursor.current().listed_at
    reconcile.reconcile(pypi, [journal.ALL], now=now)
    if SyncCursor.current().listed_at == before:
        raise UpstreamUnavailable(
            "The list of all projects was not read to its end: upstream does not answer, or another process"
            " reads it at this moment."
        )


def _rounds(pypi: PyPI, fetchers: int) -> Iterator[int]:
    """Look names up until none is due, and tell of each round how many were settled."""
    while True:
        now = timezone.now()
        if SyncCursor.current().paused_until > now:
            time.sleep(PAUSE_S)
            continue
        if not Dirty.objects.due(now).exists():
            return
        yield sync.refresh(pypi, now=now, limit=ROUND, fetchers=fetchers)
