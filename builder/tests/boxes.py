"""Sandboxes for tests, at each level that this machine offers."""

import tempfile
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
from builder.sandbox import Box, Kind, Level, interpreter

AMPLE = Limits(time_s=60.0)


@cache
def kind_of(level: Level) -> Kind:
    """Return the sandbox of a level; the test is skipped where the machine has none."""
    with tempfile.TemporaryDirectory() as folder:
        kind = find(Path(folder), at_most=level)
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
