"""A farm that follows a fake PyPI, step by step in a time of its own, killed or disturbed at any point.

Killed is what a process is that loses its power: nothing of it runs any more, and the database takes back
what was not committed.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.db import connection
from urllib3 import BaseHTTPResponse

from packages import fetch, journal, reconcile, sync
from packages.models import Alias, Dirty, Package, SyncCursor, UpstreamFile, Version
from packages.pypi import PyPI
from tests.fake_pypi import FakePyPI

BEGINNING = datetime(2026, 11, 24, 12, tzinfo=UTC)
PATIENT_S = 3700
DAY_S = 24 * 3600
# Each step begins so long after the last: what one notes has a time that is later than its beginning.
STEP_S = 20
# How many statements and requests a step usually has.
POINTS = {"poll": 9, "watch": 3, "compare": 10, "refresh": 40}
# What a database says when a transaction is undone; also a dead process's is.
UNDOING = ("ROLLBACK", "RELEASE")


class Killed(BaseException):
    """The process is dead."""


class _Strike:
    """Does something once, before or after the n-th statement or request."""

    def __init__(self, point: int, deed: Callable[[], object], *, is_late: bool, outside: bool) -> None:
        self.point = point
        self.deed = deed
        self.is_late = is_late
        self.outside = outside
        self.passed = 0
        self.is_done = False
        self.is_dead = False

    def around(self, execute: Callable[[], Any]) -> Any:  # Any: whatever it returns
        """Run a statement or a request."""
        if self.is_dead:
            raise Killed
        self.passed += 1
        is_it = self.passed >= self.point and not self.is_done
        is_it = is_it and not (self.outside and connection.in_atomic_block)
        self.is_done |= is_it
        if is_it and not self.is_late:
            self._do()
        result = execute()
        if is_it and self.is_late:
            self._do()
        return result

    def statement(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Mapping[str, Any]
    ) -> Any:  # Any: Django's signature
        """Run a statement."""
        # A transaction has begun before Django says that there is one.
        if sql.startswith(UNDOING) or (self.outside and self.is_late and sql.startswith("BEGIN")):
            return execute(sql, params, many, context)
        return self.around(lambda: execute(sql, params, many, context))

    def _do(self) -> None:
        try:
            self.deed()
        except Killed:
            self.is_dead = True
            raise


class _Line(fetch.Session):
    """The line to upstream, on which something may happen."""

    strike: _Strike | None = None

    def send(self, *args: Any, **options: Any) -> BaseHTTPResponse:  # Any: the client's signature
        if self.strike is None:
            return super().send(*args, **options)
        answers: list[BaseHTTPResponse] = []
        try:
            self.strike.around(lambda: answers.append(super(_Line, self).send(*args, **options)))
        except Killed:
            # The connections of a dead process are closed, and not a living one's to wait for.
            for answer in answers:
                answer.close()
                answer.release_conn()
            raise
        return answers[0]


class Mirror:
    """A farm that follows a fake PyPI."""

    def __init__(self, upstream: FakePyPI, watched: list[str], fetchers: int = 1) -> None:
        self.upstream = upstream
        self.fetchers = fetchers
        self.watched = watched
        self.now = BEGINNING
        # How often what was to be done in the middle of a step was done, by the name of that deed.
        self.strikes: Counter[str] = Counter()
        self._line = _Line(fetchers)
        self.pypi = PyPI(upstream.simple_url, self._line)
        for model in (Dirty, SyncCursor, UpstreamFile, Version, Alias, Package):
            model.objects.all().delete()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the line to upstream."""
        self._line.close()

    # The steps, as beat has them taken.

    def poll(self) -> None:
        """Read the journal."""
        self.pass_time(STEP_S)
        journal.poll(self.pypi.changelog, self.watched, now=self.now)

    def watch(self) -> None:
        """Mark what is watched and missing, and what nobody looked at for long."""
        self.pass_time(STEP_S)
        reconcile.watch(self.watched, now=self.now, refresh_s=DAY_S, limit=100_000)

    def compare(self) -> None:
        """Compare all names when it is time."""
        self.pass_time(STEP_S)
        if reconcile.is_due(self.now):
            reconcile.reconcile(self.pypi, self.watched, now=self.now)

    def refresh(self) -> int:
        """Look up what is marked, and return how much of it is settled."""
        self.pass_time(STEP_S)
        return sync.refresh(self.pypi, now=self.now, limit=100_000, fetchers=self.fetchers)

    def pass_time(self, seconds: float) -> None:
        """Let time pass for the farm."""
        self.now += timedelta(seconds=seconds)

    @contextmanager
    def struck(
        self, point: int, deed: Callable[[], object], *, is_late: bool, outside: bool = False
    ) -> Iterator[_Strike]:
        """Do something at the n-th statement or request of what is inside; it may kill that.

        With `outside` it waits for the end of a transaction, as others do who write.
        """
        strike = _Strike(point, deed, is_late=is_late, outside=outside)
        # Requests are made by threads, which would meet the others on connections of their own.
        self._line.strike = None if outside else strike
        try:
            with connection.execute_wrapper(strike.statement):
                yield strike
        except Killed:
            # The broken connection takes with it what was not committed.
            connection.close()
        finally:
            self._line.strike = None
            self.strikes[deed.__name__] += strike.is_done

    def settle(self, confirm: Callable[[], object] = lambda: None) -> None:
        """Let so much time pass that everything was looked at, also what no event tells of, and is known.

        An operator who is to `confirm` something does so within the hour: what is believed is so for a while.
        """
        for _ in range(2):
            self.pass_time(settings.PIWHEELS_RESCAN_S * 1.1)
            for turn in range(20):
                self.pass_time(PATIENT_S)
                self.poll()
                self.watch()
                self.compare()
                while self.refresh():
                    pass
                confirm()
                while self.refresh():
                    pass
                if turn > 1 and not Dirty.objects.exists():
                    break


def die() -> None:
    """Be killed."""
    raise Killed
