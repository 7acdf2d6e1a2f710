"""Looks up all that upstream has, as fast as upstream and the database let us; can be stopped and goes on.

All that is remembered of it are the marks: a name that is looked up is no longer marked, so whoever goes on
finds the rest.  The journal's place is taken before the list is read, so what changes meanwhile is not lost.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context

from django.db import connection, connections

from packages import fetch, journal, reconcile, sync
from packages.clock import database_now
from packages.fetch import UpstreamUnavailable
from packages.models import Dirty, SyncCursor
from packages.progress_bar import ProgressBar
from packages.pypi import PyPI

# How many names a round takes, and what a process that dies keeps from the others for `Dirty.HOLD`.
ROUND = 500
# How often to look whether upstream may be asked again.
PAUSE_S = 1.0


@dataclass
class Result:
    """What came of it."""

    settled: int
    waiting: int


def processes() -> int:
    """Return how many processes a bootstrap takes: one for each core of this machine.

    SQLite has one writer at a time, and the others would wait for it.
    """
    return len(os.sched_getaffinity(0)) if connection.vendor == "postgresql" else 1


def run(pypi: PyPI, fetchers: int, processes: int = 1) -> Result:
    """Look up everything that is not as upstream has it, in several processes side by side.

    All of them together ask upstream no more at a time, so there are no more of them either.  To be called
    before this process has threads.  Raises UpstreamUnavailable when upstream's list cannot be read.
    """
    processes = min(processes, fetchers)
    journal.poll(pypi.changelog, [journal.ALL], now=database_now())
    _mark_everything(pypi)
    marked = waiting = Dirty.objects.count()
    each = fetchers // processes
    with ProgressBar(marked) as bar, _beside(pypi.simple_url, each, processes - 1):
        for _ in _rounds(pypi, each):
            before, waiting = waiting, Dirty.objects.count()
            bar.advance(before - waiting)
    waiting = Dirty.objects.count()
    return Result(marked - waiting, waiting)


@contextmanager
def _beside(simple_url: str, fetchers: int, count: int) -> Iterator[None]:
    """Have other processes look names up meanwhile, until none is due: who takes a name keeps others away."""
    if count:
        # One connection in two processes would give each what the other asked for.
        connections.close_all()
    context = get_context("fork")
    others = [
        context.Process(target=_look_up, args=(simple_url, fetchers), daemon=True) for _ in range(count)
    ]
    for process in others:
        process.start()
    yield
    for process in others:
        process.join()


def _look_up(simple_url: str, fetchers: int) -> None:
    """Look names up until none is due, or somebody stops all of us."""
    with suppress(KeyboardInterrupt), fetch.Session(fetchers, simple_url) as session:
        for _ in _rounds(PyPI(simple_url, session), fetchers):
            pass


def _mark_everything(pypi: PyPI) -> None:
    """Mark what we lack or know an older state of."""
    now = database_now()
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
        now = database_now()
        if SyncCursor.current().is_paused(now):
            time.sleep(PAUSE_S)
            continue
        if not Dirty.objects.due(now).exists():
            return
        yield sync.refresh(pypi, now=now, limit=ROUND, fetchers=fetchers)
