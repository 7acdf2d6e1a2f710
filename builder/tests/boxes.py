"""Sandboxes for tests, at each level that this machine offers."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Event

import pytest

from builder.contract import LOG_LIMIT
from builder.limits import Limits, Outcome
from builder.log import Log
from builder.place import Place, made
from builder.preflight import find
from builder.processes import every
from builder.sandbox import Box, Kind, Level, interpreter

AMPLE = Limits(time_s=60.0)
# An argument by which a program is found again.
MARK = "piwheels-test-mark"


@cache
def best(level: Level) -> Kind:
    """Return the sandbox of a level, or what comes next below it on this machine."""
    with tempfile.TemporaryDirectory() as folder:
        return find(Path(folder), at_most=level)


def kind_of(level: Level) -> Kind:
    """Return the sandbox of a level; the test is skipped where the machine has none."""
    kind = best(level)
    if kind.level is not level:
        pytest.skip(f"no sandbox of the level {level} here: {' '.join(kind.lacks)}")
    return kind


class Boxed:
    """A sandbox that runs pieces of Python, and what they said."""

    def __init__(self, kind: Kind, place: Place, log: Log, **arguments) -> None:
        self.kind = kind
        self.place = place
        self.log = log
        self.box = Box(kind, place, **arguments)

    def run(self, code: str, *words: str, limits=AMPLE, stop=None, environment=None) -> Outcome:
        """Run a piece of Python in the home of the build."""
        return self.box.run(
            [str(interpreter()), "-c", code, *words],
            environment={"PATH": "/usr/bin:/bin", **(environment or {})},
            limits=limits,
            log=self.log,
            stop=stop or Event(),
            folder=self.place.home,
        )

    @property
    def said(self) -> str:
        """What the programs have printed."""
        return self.log.read(0, LOG_LIMIT).decode(errors="replace")


@contextmanager
def boxed(level: Level, folder: Path, **arguments) -> Iterator[Boxed]:
    """Make a sandbox in a fresh place, which goes with it."""
    kind = kind_of(level)
    with Log(folder) as log, made(folder / "1-1") as place:
        yield Boxed(kind, place, log, **arguments)


def remaining() -> list[int]:
    """Return the processes that were started with the mark among their arguments."""
    found = []
    for process in every():
        try:
            words = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        except OSError:
            continue
        if MARK.encode() in words and not process.is_dead:
            found.append(process.pid)
    return found


def gone(within_s: float = 5.0) -> bool:
    """Tell whether they all end within that time."""
    deadline = time.monotonic() + within_s
    while remaining() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not remaining()
