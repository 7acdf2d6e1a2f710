"""The farm's own servers, as a measurement runs them, and what they cost."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil
from django.conf import settings

from tests.farm import PATIENCE, Farm

# Nothing listens here: whatever a measurement needs from upstream is in the database before.
NOWHERE = "http://127.0.0.1:9/simple/"
MIB = 1 << 20


class Servers(Farm):
    """Some of the farm's processes, on the PostgreSQL and in the folder of this measurement."""

    def __init__(self, *names: str) -> None:
        super().__init__(settings.VAR, NOWHERE, database=os.environ["DATABASE_URL"])
        self.names = names
        # Tests are in a hurry; what is measured has the site's own times.
        for setting in PATIENCE:
            del self.env[setting]
        self.env |= {"PIWHEELS_DEPTH": "1", "PIWHEELS_REFRESH_S": str(24 * 3600)}

    def __enter__(self) -> Self:
        try:
            super().__enter__()
        except BaseException:
            self.__exit__()
            raise
        return self

    def commands(self) -> dict[str, list[str]]:
        """Return the command lines of those that were asked for."""
        return {name: words for name, words in super().commands().items() if name in self.names}

    def trees(self) -> dict[str, list[psutil.Process]]:
        """Return each server's process with all of its descendants; PostgreSQL among them."""
        roots = {name: psutil.Process(process.pid) for name, process in self.processes.items()}
        for child in psutil.Process().children():
            if child.name() == "postgres":
                roots["postgresql"] = child
        return {name: [root, *root.children(recursive=True)] for name, root in roots.items()}

    def cpu_s(self) -> dict[str, float]:
        """Return how many seconds of CPU time each server has taken so far, in user and kernel mode."""
        return {name: sum(cpu_s(process) for process in tree) for name, tree in self.trees().items()}

    def memory(self) -> "dict[str, Memory]":
        """Return how much memory each server has now."""
        return {name: memory_of(tree) for name, tree in self.trees().items()}


@dataclass(frozen=True)
class Memory:
    """Memory of a process and its descendants, in MiB."""

    # Pages that processes share count once for each of them ...
    rss: float
    # ... and here in equal parts.
    pss: float
    # Of that, what they made to use together: PostgreSQL's buffers, whose size is a setting.
    shared: float


def cpu_s(process: psutil.Process) -> float:
    """Return a process's CPU time with that of the children that it has outlived."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        # It ended while we looked, so its parent has its time by now or at the next look.
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def memory_of(tree: list[psutil.Process]) -> Memory:
    """Return how much memory processes have; one that ended while we looked has none."""
    sums = dict.fromkeys(("Rss", "Pss", "Pss_Shmem"), 0.0)
    for process in tree:
        # One without memory has ended and waits for its parent; of one that is gone there is nothing to read.
        with suppress(FileNotFoundError, ProcessLookupError):
            for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
                name, _, rest = line.partition(":")
                if name in sums:
                    sums[name] += int(rest.split()[0]) / 1024
    return Memory(rss=sums["Rss"], pss=sums["Pss"], shared=sums["Pss_Shmem"])


def open_files(tree: list[psutil.Process]) -> int:
    """Return how many files, sockets and the like processes have open."""
    count = 0
    for process in tree:
        with suppress(psutil.NoSuchProcess):
            count += process.num_fds()
    return count
