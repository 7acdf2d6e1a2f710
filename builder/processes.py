"""Who the processes of a run are and what they use, read from /proc."""

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from builder.limits import Usage

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Process:
    """A process at one moment."""

    pid: int
    parent: int
    started: int  # in ticks since the system's start; with the id it names a process for good
    threads: int
    cpu_s: float  # with that of its children that have ended
    is_dead: bool  # it has ended, and its parent has not looked


def read(pid: int) -> Process | None:
    """Return a process by its id, None if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # The program's name stands in parentheses and may contain anything, parentheses too.
    words = text.rpartition(")")[2].split()
    return Process(
        pid=pid,
        parent=int(words[1]),
        started=int(words[19]),
        threads=int(words[17]),
        cpu_s=sum(int(word) for word in words[11:15]) / _TICKS,
        is_dead=words[0] in "ZX",
    )


def every() -> list[Process]:
    """Return all processes that there are."""
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
    return [process for pid in pids if (process := read(pid))]


def family(root: int) -> list[Process]:
    """Return a process and all its descendants, of those that live while we look."""
    if not _tells_children():
        return _family_among(root, every())
    found = [process] if (process := read(root)) else []
    for process in found:
        found += [child for pid in _children(process.pid) if (child := read(pid))]
    return found


@cache
def _tells_children() -> bool:
    """Tell whether this kernel lists the children of a process; Debian's and the Pi's do.

    To go down from the root costs 1 ms where to look at all processes of a machine costs 20.
    """
    return Path(f"/proc/self/task/{os.getpid()}/children").exists()


def _children(pid: int) -> Iterator[int]:
    """Yield the children of all threads of a process; none of one that has ended."""
    # Thread by thread, so that one which ends just now hides no other's children.
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                yield from map(int, (thread / "children").read_text().split())


def _family_among(root: int, living: Iterable[Process]) -> list[Process]:
    """Return a process and all its descendants, of those that there are."""
    children: dict[int, list[Process]] = {}
    found = []
    for process in living:
        children.setdefault(process.parent, []).append(process)
        if process.pid == root:
            found.append(process)
    for process in found:
        found += children.get(process.pid, [])
    return found


def kill(process: Process) -> None:
    """Kill a process, and nobody who has its id by now."""
    now = read(process.pid)
    if now is None or now.started != process.started:
        return
    try:
        os.kill(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _belongs(pid: int, folder: Path) -> bool:
    """Tell whether a process has to do with a folder, as far as we may know."""
    try:
        if Path(f"/proc/{pid}/cwd").readlink().is_relative_to(folder):
            return True
        return os.fsencode(folder) + b"/" in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


class Family:
    """The gauge of a run in a folder whose processes are known by their descent alone."""

    def __init__(
        self, folder: Path, *, memory_bytes: int | None = None, processes: int | None = None
    ) -> None:
        self._folder = folder
        self._memory_bytes = memory_bytes
        self._processes = processes
        self._root = os.getpid()
        self._since = 0
        self._members: list[Process] = []
        # Who has ever belonged and still lives: who leaves the family by killing its head stays known.
        self._known: dict[tuple[int, int], Process] = {}

    @property
    def pids(self) -> list[int]:
        """Return who belonged to it at the last look; its head is ours."""
        return [process.pid for process in self._members]

    def begin(self, warden: int) -> None:
        """Take the warden for the family's head."""
        self._root = warden
        head = read(warden)
        self._since = head.started if head else 0

    def look(self) -> Usage:
        """Return what they use now."""
        members = family(self._root)
        cpu_s = sum(process.cpu_s for process in members)
        self._members = [process for process in members if process.pid != self._root]
        living = {(each.pid, each.started): each for each in self._members}
        for name in self._known.keys() - living.keys():
            if (each := read(name[0])) and each.started == name[1]:
                living[name] = each
        self._known = living
        memory = sum(_private(process.pid) for process in self._members)
        return Usage(memory, cpu_s, self._excess())

    def _excess(self) -> str:
        """Return what they have too much of."""
        # Threads count as processes, as they do in a cgroup.
        threads = sum(process.threads for process in self._members if not process.is_dead)
        if self._processes is not None and threads > self._processes:
            return "processes"
        if self._memory_bytes is None or sum(_resident(pid) for pid in self.pids) <= self._memory_bytes:
            return ""
        # Only now: to share out what many use together, the kernel goes through all of their pages.
        return "memory" if sum(_share(pid) for pid in self.pids) > self._memory_bytes else ""

    def kill(self) -> None:
        """Kill all that have ever belonged, and who has to do with the run's folder."""
        for process in self._known.values():
            kill(process)
        for process in every():
            is_ours = process.pid in (self._root, os.getpid())
            if process.started >= self._since and not is_ours and _belongs(process.pid, self._folder):
                kill(process)


def _pages(pid: int) -> tuple[int, int]:
    """Return the bytes that a process has in memory, and how many of them are a file's or are shared."""
    try:
        words = Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:
        return 0, 0
    return int(words[1]) * _PAGE, int(words[2]) * _PAGE


def _resident(pid: int) -> int:
    """Return how much of a process is in memory."""
    return _pages(pid)[0]


def _private(pid: int) -> int:
    """Return how much of a process is in memory and no file."""
    resident, shared = _pages(pid)
    return max(resident - shared, 0)


def _share(pid: int) -> int:
    """Return a process' fair share of the memory that it uses with others."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return _resident(pid)
    sizes = [line.split()[1] for line in text.splitlines() if line.startswith("Pss:")]
    return int(sizes[0]) * 1024 if sizes else 0


def threads_of(user: int) -> int:
    """Return how many threads a user has."""
    count = 0
    for process in every():
        try:
            is_his = Path(f"/proc/{process.pid}").stat().st_uid == user
        except OSError:
            continue
        count += process.threads if is_his else 0
    return count
