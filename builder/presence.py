"""What this builder is at the moment: the sandbox it offers, the build it is at, whether it is ending.

All of its threads share one presence, which is its only state beside the settings.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock

from builder.contract import BuilderFacts
from builder.facts import facts
from builder.sandbox import Kind, Level

# What a sandbox needs of the system may go or come without us: an upgrade, a sysctl.
_LOOK_AGAIN_S = 6 * 3600.0
# A trial on a machine that is busy can fail of that alone, and what is lacking may be brought soon.
_LOOK_SOON_S = 300.0


class Presence:
    """What a builder says of itself, and why it may take no build."""

    def __init__(self, find: Callable[[Path], Kind], clock: Callable[[], float] = time.monotonic) -> None:
        """Take what finds out which sandbox can be had in a folder; it is asked again every few hours.

        While anything is lacking it is asked sooner, after pauses that grow.
        """
        self.news = Event()  # set when the server should hear at once what has changed
        self.was_stopped = False
        self._find = find
        self._clock = clock
        self._lock = Lock()
        self._sandbox: Kind | None = None
        self._look_at = 0.0
        self._pause_s = _LOOK_SOON_S
        self._build = 0
        self._over_at = 0.0
        self._ending = False

    def facts(self, folder: Path) -> BuilderFacts:
        """Return the facts of this moment; builds happen in that folder."""
        try:
            sandbox = self.sandbox(folder)
        except OSError as fault:
            # The server shall hear of a disk that takes nothing, so this must not be what keeps us silent.
            sandbox = Kind(Level.BARE, (f"No sandbox can be tried in {folder}: {fault.strerror}.",))
        return facts(
            folder,
            sandbox=str(sandbox.level),
            lacks=sandbox.lacks,
            build=self._build,
            ending=self._ending,
        )

    def sandbox(self, folder: Path) -> Kind:
        """Return the sandbox that builds get; what it is is found out while there is none."""
        with self._lock:
            if self._sandbox is None or (self.is_idle and self._clock() > self._look_at):
                before, self._sandbox = self._sandbox, self._find(folder)
                self._pause_s = self._pause_after(before, self._sandbox)
                self._look_at = self._clock() + self._pause_s
            return self._sandbox

    def _pause_after(self, before: Kind | None, now: Kind) -> float:
        """Return how long what was found shall count."""
        if not now.lacks:
            return _LOOK_AGAIN_S
        if before is None or len(now.lacks) > len(before.lacks):
            return _LOOK_SOON_S
        return min(2 * self._pause_s, _LOOK_AGAIN_S)

    @property
    def is_idle(self) -> bool:
        """Whether there is no build."""
        return not self._build

    @property
    def is_ending(self) -> bool:
        """Whether the process is to end as soon as it is idle."""
        return self._ending

    @property
    def is_stuck(self) -> bool:
        """Whether the build should have been over long ago, however it ends."""
        return bool(self._build) and time.monotonic() > self._over_at

    @contextmanager
    def at(self, build: int, longest_s: float) -> Iterator[None]:
        """Be at a build, which is stuck if it takes longer."""
        self._over_at = time.monotonic() + longest_s
        self._build = build
        try:
            yield
        finally:
            self._build = 0

    def end(self) -> None:
        """Take no build any more, and have the server know."""
        self._ending = True
        self.news.set()
