"""What a build may use, how it ended, and the watch that ends one which uses more."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from builder.disk import Disk

# How often we look, and the part of our time that looking may take: a look through /proc of a Pi is slow.
_PAUSE_S = 0.1
_SHARE = 0.05
_LONGEST_PAUSE_S = 1.0
# A program that waits for something still wakes up now and then: less than this part of a processor is rest.
_REST = 1 / 500
# A compiler of C++ takes this much; two at a time on a Pi with 1 GiB would both be killed.
_MEMORY_A_JOB = 768 << 20


@dataclass(frozen=True)
class Limits:
    """The most that one run may use; what is None is not limited."""

    time_s: float
    stall_s: float | None = None
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    processes: int | None = None
    inodes: int | None = None

    @property
    def jobs(self) -> int:
        """How many programs may compute at a time: as many as there are processors, and as memory allows."""
        there = len(os.sched_getaffinity(0))
        if self.memory_bytes is None:
            return there
        return max(1, min(there, self.memory_bytes // _MEMORY_A_JOB))


@dataclass(frozen=True)
class Outcome:
    """How a run ended and what it took."""

    code: int  # 128 + n after signal n, as shells say it
    # "exit", or the limit: "time", "stall", "memory", "disk", "processes"; or "machine", as in Usage.
    ended: str
    duration_s: float
    cpu_s: float
    # From a cgroup where there is one, which counts the files that the kernel keeps in memory too.
    peak_memory_bytes: int


@dataclass(frozen=True)
class Usage:
    """What the processes of a run use at the moment."""

    memory_bytes: int
    cpu_s: float
    # "memory" or "processes" when they want more than they may have; "machine" when the kernel has killed one
    # of them as others had taken the machine's memory.
    excess: str = ""


class Gauge(Protocol):
    """Knows what the processes of a run use, and can kill them."""

    @property
    def pids(self) -> Sequence[int]:
        """Return who they are, or were when we last looked."""
        ...

    def begin(self, warden: int) -> None:
        """Take note of the process whose descendants they will be."""
        ...

    def look(self) -> Usage:
        """Return what they use now."""
        ...

    def kill(self) -> None:
        """Kill them all."""
        ...


@dataclass
class Watch:
    """Looks at a run again and again, and says when it has to end."""

    limits: Limits
    gauge: Gauge
    disk: Disk | None = None
    began: float = field(default_factory=time.monotonic)
    cpu_s: float = 0.0
    peak_memory_bytes: int = 0

    def __post_init__(self) -> None:
        self._next = self.began
        self._heard = self.began
        self._cpu_heard = 0.0

    @property
    def duration_s(self) -> float:
        """How long the run has taken so far."""
        return time.monotonic() - self.began

    def hear(self) -> None:
        """Note that the program printed something."""
        self._heard = time.monotonic()
        self._cpu_heard = self.cpu_s

    def look(self) -> str:
        """Return which limit the run has reached, "" if none."""
        now = time.monotonic()
        if now - self.began > self.limits.time_s:
            return "time"
        if now < self._next:
            return ""
        ended = self._look()
        took = time.monotonic() - now
        self._next = now + took + min(max(_PAUSE_S, took / _SHARE), _LONGEST_PAUSE_S)
        return ended or self._stall(now)

    def last(self, code: int) -> str:
        """Return how a run ended that ended by itself: one that was denied something failed of that."""
        reached = self._look()
        return (reached if code != 0 else "") or "exit"

    def _look(self) -> str:
        """Return which of its quotas the run has used up."""
        usage = self.gauge.look()
        self.cpu_s = max(self.cpu_s, usage.cpu_s)
        self.peak_memory_bytes = max(self.peak_memory_bytes, usage.memory_bytes)
        if usage.excess:
            return usage.excess
        limits = self.limits
        if self.disk is None or not self.disk.is_over(
            size=limits.disk_bytes, inodes=limits.inodes, pids=self.gauge.pids
        ):
            return ""
        return "disk"

    def _stall(self, now: float) -> str:
        """Return "stall" for a program that has long neither said nor computed anything."""
        if self.limits.stall_s is None:
            return ""
        if self.cpu_s - self._cpu_heard > _REST * self.limits.stall_s:
            self.hear()
        return "stall" if now - self._heard > self.limits.stall_s else ""
