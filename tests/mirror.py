"""A farm that follows a fake PyPI, step by step in a time of its own, killed or disturbed at any point.

Killed is what a process is that loses its power: nothing of it runs any more, and the database takes back
what was not committed.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import requests
from django.db import connection
from requests.adapters import HTTPAdapter

from packages import fetch, journal, reconcile, sync
from packages.models import Alias, Dirty, Package, SyncCursor, UpstreamFile, Version
from packages.pypi import PyPI
from tests.fake_pypi import FakePyPI

BEGINNING = datetime(2026, 11, 24, 12, tzinfo=UTC)
PATIENT_S = 3700
# What a database says when a transaction is undone; also a dead process's is.
UNDOING = ("ROLLBACK", "RELEASE")


class Killed(BaseException):
    """The process is dead."""


class _Strike:
    """Does something once, before or after the n-th statement or request."""

    def __init__(self, point: int, deed: Callable[[], object], *, is_late: bool) -> None:
        self.point = point
        self.deed = deed
        self.is_late = is_late
        self.passed = 0
        self.is_dead = False

    def around(self, execute: Callable[[], Any]) -> Any:  # Any: whatever it returns
        """Run a statement or a request."""
        if self.is_dead:
            raise Killed
        self.passed += 1
        is_it = self.passed == self.point
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
        if sql.startswith(UNDOING):
            return execute(sql, params, many, context)
        return self.around(lambda: execute(sql, params, many, context))

    def _do(self) -> None:
        try:
            self.deed()
        except Killed:
            self.is_dead = True
            raise


class _Line(HTTPAdapter):
    """The line to upstream, on which something may happen."""

    strike: _Strike | None = None

    def send(self, *args: Any, **options: Any) -> requests.Response:  # Any: the library's signature
        if self.strike is None:
            return super().send(*args, **options)
        answer: requests.Response = self.strike.around(lambda: super(_Line, self).send(*args, **options))
        return answer


class Mirror:
    """A farm that follows a fake PyPI."""

    def __init__(self, upstream: FakePyPI, watched: list[str]) -> None:
        self.upstream = upstream
        self.watched = watched
        self.now = BEGINNING
        self.session = fetch.open_session()
        self._line = _Line()
        self.session.mount("http://", self._line)
        self.pypi = PyPI(upstream.simple_url, self.session)
        for model in (Dirty, SyncCursor, UpstreamFile, Version, Alias, Package):
            model.objects.all().delete()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.session.close()

    # The steps, as beat and its workers take them.

    def watch(self, refresh_s: float = 24 * 3600) -> None:
        """Mark what is watched and missing, and what nobody looked at for long."""
        reconcile.watch(self.watched, now=self.now, refresh_s=refresh_s, limit=1000)

    def poll(self) -> None:
        """Read the journal."""
        journal.poll(self.pypi.changelog, self.watched, now=self.now)

    def compare(self) -> None:
        """Compare all names with the list of them."""
        reconcile.reconcile(self.pypi, self.watched, now=self.now)

    def refresh(self) -> None:
        """Look up what is marked."""
        sync.refresh(self.pypi, now=self.now, limit=1000)

    def pass_time(self, seconds: float) -> None:
        """Let time pass for the farm."""
        self.now += timedelta(seconds=seconds)

    @contextmanager
    def struck(self, point: int, deed: Callable[[], object], *, is_late: bool) -> Iterator[_Strike]:
        """Do something at the n-th statement or request of what is inside; it may kill that."""
        strike = _Strike(point, deed, is_late=is_late)
        self._line.strike = strike
        try:
            with connection.execute_wrapper(strike.statement):
                yield strike
        except Killed:
            # The broken connection takes with it what was not committed.
            connection.close()
        finally:
            self._line.strike = None

    def settle(self) -> None:
        """Let enough time pass, without faults, for everything to be known."""
        for turn in range(16):
            self.pass_time(PATIENT_S)
            self.poll()
            self.compare()
            self.watch(refresh_s=0 if turn < 2 else 24 * 3600)
            self.refresh()
            if turn > 2 and not Dirty.objects.exists():
                return


def die() -> None:
    """Be killed."""
    raise Killed
