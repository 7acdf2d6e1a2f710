"""The workbench of one build: its place, its sandbox, the index that it may ask, its log and its limits.

Every step of a build takes the bench and leaves nothing on it that the next could mistake for its own.
"""

import errno
import math
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

from builder import facts, tools
from builder.apt import Extra
from builder.contract import BuildOrder
from builder.limits import Limits, Outcome
from builder.log import Log
from builder.place import Place
from builder.problems import kept, kept_files
from builder.proxy import PackageProxy
from builder.sandbox import Box, Kind, Level

# A build may have what the system does not need for itself: on a Pi with 1 GiB, three quarters.
_MEMORY_KEPT = 256 << 20
_PROCESSES = 512
_INODES = 500_000
_MOST_TOLD = 1 << 20
# Half of what a builder has when it takes a build (`problems`): the rest may have gone for the source.
_LEAST_BYTES = 1 << 30
_LEAST_INODES = 25_000
_LEAST_PART = 8
# As Debian's buildd: longer than any honest compiler thinks without a word and without work.
_STALL_S = 1200.0


def limits_for(order: BuildOrder, folder: Path, disk_bytes: int) -> Limits:
    """Return the most that the order's build may use on this builder; of the disk, no more than that.

    Raises OSError when the disk has too little left for any build.
    """
    memory = facts.memory("MemTotal")
    memory = max(memory - _MEMORY_KEPT, memory // 2)
    return Limits(
        time_s=order.time_limit_s,
        stall_s=_STALL_S,
        memory_bytes=min(memory, order.memory_bytes or memory),
        disk_bytes=min(disk_bytes, _bytes(folder)),
        processes=_PROCESSES,
        inodes=min(_INODES, _inodes(folder)),
    )


def _bytes(folder: Path) -> int:
    """Return how many bytes a build may have."""
    disk = shutil.disk_usage(folder)
    return _enough(disk.free - kept(disk.total), min(_LEAST_BYTES, disk.total // _LEAST_PART), "bytes")


def _inodes(folder: Path) -> int:
    """Return how many files a build may have: what is written when it has them all must not fail."""
    status = os.statvfs(folder)
    # Btrfs has as many as it likes, and says 0.
    if status.f_files == 0:
        return _INODES
    least = min(_LEAST_INODES, status.f_files // _LEAST_PART)
    return _enough(status.f_favail - kept_files(status.f_files), least, "files")


def _enough(left: int, least: int, kind: str) -> int:
    """Return what is left for a build, of which it would fail if that were less."""
    if left < least:
        full = os.strerror(errno.ENOSPC)
        raise OSError(errno.ENOSPC, f"{full}, as {max(0, left)} {kind} are left for a build")
    return left


@dataclass(frozen=True)
class Bench:
    """What each step of a build works with."""

    order: BuildOrder
    kind: Kind
    place: Place
    box: Box
    proxy: PackageProxy
    limits: Limits
    log: Log
    stop: Event
    extra: Extra = field(default_factory=Extra)
    # When, by the monotonic clock, whatever runs here has to end: some runs have their time together.
    until: float = math.inf

    def offline(self) -> "Bench":
        """Return the same bench without the way to the index, whose start costs time."""
        return self._with_box(None)

    def within(self, time_s: float) -> "Bench":
        """Return the same bench for so long from now, or as long as this one has where that is less."""
        return replace(self, until=min(self.until, time.monotonic() + time_s))

    def with_libraries(self, libraries: Path | None) -> "Bench":
        """Return the same bench with only those of the system's libraries in sight, if that can be done."""
        if libraries is None or self.kind.level is Level.BARE:
            return self
        return self._with_box(libraries)

    def _with_box(self, libraries: Path | None) -> "Bench":
        """Return the same bench with a sandbox that has no network at all, unless it is bare."""
        readable = {**tools.readable(), **self.extra.readable()}
        return replace(self, box=Box(self.kind, self.place, readable=readable, libraries=libraries))

    def run(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Log | None = None,
        folder: Path | None = None,
    ) -> Outcome:
        """Run a command in the sandbox, within the limits of the bench and its time.

        Raises DeadTicket when told to stop.
        """
        left_s = max(0.0, self.until - time.monotonic())
        return self.box.run(
            command,
            environment=environment,
            limits=replace(self.limits, time_s=min(self.limits.time_s, left_s)),
            log=log or self.log,
            stop=self.stop,
            folder=folder or self.place.home,
        )

    def ask(self, program: str, *words: str) -> tuple[Outcome, list[str]]:
        """Run one of our own programs, without a network; return how it ended and the lines it printed."""
        alone = self.offline()
        with Log(self.place.root) as told:
            outcome = alone.run(
                tools.program(alone.box, program, *words),
                environment=tools.environment(alone.box, {"LANG": "C.UTF-8"}),
                log=told,
            )
            return outcome, told.read(0, _MOST_TOLD).decode(errors="replace").splitlines()
