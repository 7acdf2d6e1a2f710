"""What this builder is at the moment: the sandbox it offers, the build it is at, whether it is ending.

All of its threads share one presence, which is its only state beside the settings.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Protocol

from builder.contract import BuilderFacts
from builder.facts import facts

# What a sandbox needs of the system may go or come without us: an upgrade, a sysctl.
_LOOK_AGAIN_S = 6 * 3600.0


class Sandbox(Protocol):
    """The sandbox that a machine offers."""

    @property
    def level(self) -> str:
        """One of contract.SANDBOX_LEVELS."""

    @property
    def lacks(self) -> tuple[str, ...]:
        """What keeps it from the next level, each in a sentence."""


@dataclass(frozen=True)
class Bare:
    """No sandbox at all."""

    level: str = "bare"
    lacks: tuple[str, ...] = ()


class Presence:
    """What a builder says of itself, and why it may take no build."""

    def __init__(self, find: Callable[[Path], Sandbox] = lambda folder: Bare()) -> None:
        """Take what finds out which sandbox can be had in a folder; it is asked again every few hours."""
        self.news = Event()  # set when the server should hear at once what has changed
        self.was_stopped = False
        self._find = find
        self._sandbox: Sandbox = Bare()
        self._look_at = 0.0
        self._build = 0
        self._ending = False

    def facts(self, folder: Path) -> BuilderFacts:
        """Return the facts of this moment; builds happen in that folder."""
        sandbox = self.sandbox(folder)
        return facts(
            folder,
            sandbox=str(sandbox.level),
            lacks=sandbox.lacks,
            build=self._build,
            ending=self._ending,
        )

    def sandbox(self, folder: Path) -> Sandbox:
        """Return the sandbox that builds get."""
        if not self._look_at or time.monotonic() > self._look_at:
            self._sandbox = self._find(folder)
            self._look_at = time.monotonic() + _LOOK_AGAIN_S
        return self._sandbox

    @property
    def is_idle(self) -> bool:
        """Whether there is no build."""
        return not self._build

    @property
    def is_ending(self) -> bool:
        """Whether the process is to end as soon as it is idle."""
        return self._ending

    @contextmanager
    def at(self, build: int) -> Iterator[None]:
        """Be at a build."""
        self._build = build
        try:
            yield
        finally:
            self._build = 0

    def end(self) -> None:
        """Take no build any more, and have the server know."""
        self._ending = True
        self.news.set()
