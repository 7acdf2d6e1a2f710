"""Control groups: the kernel's own limits on the memory and the processes of a build.

The builder needs a folder of its own in the kernel's tree: with cgroup v2 the one that systemd delegates to
its unit, with v1 whatever it may write to.  It makes a group for each run below it, and never enters one.
"""

import errno
import itertools
import logging
import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from builder.limits import Limits, Usage
from builder.processes import read

logger = logging.getLogger(__name__)

_OURS = re.compile(r"piwheels-(\d+)-(\d+)-\d+")
_PATIENCE_S = 10.0
_PAUSE_S = 0.01
# Who has that part of what it may have is why memory is short, whoever's limit was reached first: that of the
# unit, nine tenths of a machine, comes before that of a build on one with 4 GiB.
_MUCH = 0.75
_COUNTER = itertools.count(1)
# Groups with a process that dies slowly, as one does that waits for a disk; they go when the next is made.
_left: set[Path] = set()
_KERNEL = "add cgroup_enable=memory to the kernel's command line (/boot/firmware/cmdline.txt on a Pi)"
_SYSTEMD = 'let systemd delegate them, with "Delegate=memory pids" in the builder\'s unit'


class NoGroups(Exception):
    """No groups can be made here; the text says what to do."""


@dataclass(frozen=True)
class Home:
    """Where groups can be made: with v2 one folder, with v1 one in the tree of each controller."""

    version: int
    memory: Path
    pids: Path
    cpu: Path


class Group:
    """The group of one run, and its gauge."""

    def __init__(self, home: Home, limits: Limits) -> None:
        """Make it; raises NoGroups."""
        name = f"piwheels-{os.getpid()}-{_started(os.getpid())}-{next(_COUNTER)}"
        self._version = home.version
        self._limits = limits
        self._peak = 0
        self._memory, self._pids, self._cpu = (path / name for path in (home.memory, home.pids, home.cpu))
        self._folders = sorted({self._memory, self._pids, self._cpu})
        try:
            _remove_left()
            for folder in self._folders:
                folder.mkdir()
            self._limit(limits)
        except OSError as error:
            self.remove()
            raise NoGroups(f"A cgroup cannot be made: {error}.") from error

    @property
    def doors(self) -> tuple[Path, ...]:
        """Return the files by which a process enters: it writes 0 into each."""
        return tuple(folder / "cgroup.procs" for folder in self._folders)

    @property
    def pids(self) -> list[int]:
        """Return who is in it."""
        return [int(line) for line in _text(self._pids / "cgroup.procs").split()]

    def begin(self, warden: int) -> None:
        """Take note of nothing: who is in the group is in the kernel's books."""

    def look(self) -> Usage:
        """Return what they use now."""
        denied = _count(self._pids / "pids.events", "max")
        if self._version == 2:
            killed = _count(self._memory / "memory.events", "oom_kill")
            # Of this group's own limit, where the other number is also of those above it, and of the machine.
            reached = _count(self._memory / "memory.events", "oom")
            cpu_s = _count(self._cpu / "cpu.stat", "usage_usec") / 1e6
            # memory.peak came with Linux 5.19.
            memory = _number(self._memory / "memory.peak") or _number(self._memory / "memory.current")
        else:
            killed = _count(self._memory / "memory.oom_control", "oom_kill")
            reached = _number(self._memory / "memory.failcnt")
            cpu_s = _number(self._cpu / "cpuacct.usage") / 1e9
            memory = _number(self._memory / "memory.max_usage_in_bytes")
        self._peak = max(self._peak, memory)
        if killed:
            return Usage(memory, cpu_s, "memory" if reached or self._had_much() else "machine")
        return Usage(memory, cpu_s, "processes" if denied else "")

    def _had_much(self) -> bool:
        """Tell whether they have had most of what they may, as far as we have seen."""
        most = self._limits.memory_bytes
        return most is None or self._peak >= _MUCH * most

    def kill(self) -> None:
        """Kill all who are in it, and wait for their end."""
        end = self._pids / "cgroup.kill"
        if end.exists():
            end.write_text("1")
        else:
            # Nobody starts another meanwhile.
            _write_if_there(self._pids / "pids.max", "0")
        deadline = time.monotonic() + _PATIENCE_S
        while (pids := self.pids) and time.monotonic() < deadline:
            for pid in pids:
                _kill(pid)
            time.sleep(_PAUSE_S)

    def remove(self) -> None:
        """Remove the empty group; one that is not is remembered, as how a run ended is told all the same."""
        for folder in self._folders:
            _remove(folder)

    def _limit(self, limits: Limits) -> None:
        """Tell the kernel the limits."""
        if limits.processes is not None:
            (self._pids / "pids.max").write_text(str(limits.processes))
        if limits.memory_bytes is None:
            return
        memory = str(limits.memory_bytes)
        if self._version == 2:
            (self._memory / "memory.max").write_text(memory)
            # A compiler killed alone leaves a build that goes on for hours only to fail.
            (self._memory / "memory.oom.group").write_text("1")
            # Kernels without accounting of swap have no such file, and mostly no swap.
            _write_if_there(self._memory / "memory.swap.max", "0")
        else:
            (self._memory / "memory.limit_in_bytes").write_text(memory)
            _write_if_there(self._memory / "memory.memsw.limit_in_bytes", memory)


def find() -> Home:
    """Return where groups can be made, having tried it; raises NoGroups."""
    own = _own()
    mounts = _mounts()
    if {"memory", "pids", "cpuacct"} <= mounts.keys():
        home = _find_v1(own, mounts)
    elif "" in mounts:
        home = delegated(own.get("", "/"), mounts[""])
    else:
        raise NoGroups("The kernel's tree of cgroups is not mounted at /sys/fs/cgroup.")
    group = Group(home, Limits(time_s=0, memory_bytes=64 << 20, processes=16))
    try:
        enter = 'for door; do echo 0 > "$door" || exit 1; done'
        tried = subprocess.run(
            ["/bin/sh", "-c", enter, "sh", *map(str, group.doors)],
            capture_output=True,
            text=True,
            check=False,
        )
        if tried.returncode != 0:
            raise NoGroups(f"No process can enter a cgroup ({tried.stderr.strip()}): {_SYSTEMD}.")
    finally:
        group.remove()
    return home


def tidy() -> None:
    """End and remove what builders left that were killed, where groups can be made at all."""
    try:
        home = find()
    except NoGroups:
        return
    for folder in sorted({home.memory, home.pids, home.cpu}):
        for group in folder.iterdir():
            if (match := _OURS.fullmatch(group.name)) and _started(int(match[1])) != int(match[2]):
                for line in _text(group / "cgroup.procs").split():
                    _kill(int(line))
                _remove(group)


def _find_v1(own: dict[str, str], mounts: dict[str, Path]) -> Home:
    """Return our own groups in the trees of the old kind."""
    folders = [
        _writable(mounts[name] / own.get(name, "/").lstrip("/")) for name in ("memory", "pids", "cpuacct")
    ]
    return Home(1, *folders)


def _writable(folder: Path) -> Path:
    """Return a folder of the tree in which we may make groups."""
    if not os.access(folder, os.W_OK):
        raise NoGroups(f"{folder} belongs to somebody else: run the builder as a systemd unit; {_SYSTEMD}.")
    return folder


def delegated(own: str, top: Path) -> Home:
    """Return the folder below a tree's top that was delegated to us, its controllers switched on.

    Raises NoGroups.  A builder that sits in that folder moves aside, into a group named supervisor.
    """
    ours = top / own.lstrip("/")
    missing = {"memory", "pids"} - set(_text(top / "cgroup.controllers").split())
    if missing:
        raise NoGroups(
            f"The kernel has no {' and '.join(sorted(missing))} controller: {_KERNEL}, and reboot."
        )
    home = ours.parent if _is_delegated(ours.parent) else ours
    if not _is_delegated(home):
        raise NoGroups(f"No cgroup is the builder's own: run it as a systemd unit, and {_SYSTEMD}.")
    missing = {"memory", "pids"} - set(_text(home / "cgroup.controllers").split())
    if missing:
        raise NoGroups(f"{' and '.join(sorted(missing))} is not delegated to the builder: {_SYSTEMD}.")
    try:
        _switch_on(home)
    except OSError as error:
        raise NoGroups(f"The controllers of {home} cannot be switched on ({error}): {_SYSTEMD}.") from error
    return Home(2, home, home, home)


def _is_delegated(folder: Path) -> bool:
    """Tell whether we may rearrange a group: an ordinary user if it is his, root if systemd says so."""
    if not os.access(folder / "cgroup.subtree_control", os.W_OK) or not os.access(folder, os.W_OK):
        return False
    if os.geteuid() != 0:
        return True
    # The top of a container's tree has a type and a parent that we do not see; the machine's own has none.
    if not (folder.parent / "cgroup.procs").exists():
        return True
    for name in ("user.delegate", "trusted.delegate"):
        try:
            return os.getxattr(folder, name) == b"1"
        except OSError:
            continue
    return False


def _switch_on(home: Path) -> None:
    """Give groups below a folder their controllers: those in the folder itself must leave it for that."""
    switch = home / "cgroup.subtree_control"
    if {"memory", "pids"} <= set(_text(switch).split()):
        return
    if (home / "cgroup.type").exists() and (pids := _text(home / "cgroup.procs").split()):
        supervisor = home / "supervisor"
        supervisor.mkdir(exist_ok=True)
        for pid in pids:
            (supervisor / "cgroup.procs").write_text(pid)
    switch.write_text("+memory +pids")


def _own() -> dict[str, str]:
    """Return the paths of our own groups, by controller; v2's is the empty one."""
    groups = {}
    for line in _text(Path("/proc/self/cgroup")).splitlines():
        _, names, path = line.split(":", 2)
        groups.update({name: path for name in names.split(",")})
    return groups


def _mounts() -> dict[str, Path]:
    """Return where the trees of the controllers are mounted; v2's is the empty one."""
    mounts: dict[str, Path] = {}
    for line in _text(Path("/proc/self/mountinfo")).splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        point = Path(before.split()[4])
        if kind == "cgroup2":
            mounts.setdefault("", point)
        elif kind == "cgroup":
            mounts.update(
                {name: point for name in options.split(",") if name in ("memory", "pids", "cpuacct")}
            )
    return mounts


def _remove(folder: Path) -> None:
    """Remove a group once its last process has gone, now or later."""
    deadline = time.monotonic() + _PATIENCE_S
    while not _is_removed(folder):
        if time.monotonic() > deadline:
            logger.warning("%s is still in use; it is removed later.", folder)
            _left.add(folder)
            return
        time.sleep(_PAUSE_S)


def _remove_left() -> None:
    """Remove what could not be removed before, unless it is in use even now."""
    _left.difference_update([folder for folder in tuple(_left) if _is_removed(folder)])


def _is_removed(folder: Path) -> bool:
    """Remove a group unless a process is in it; tell whether it has gone."""
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True


def _kill(pid: int) -> None:
    """Kill a process, unless it has just gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _started(pid: int) -> int:
    """Return when a process started, 0 if there is none."""
    process = read(pid)
    return process.started if process else 0


def _write_if_there(path: Path, text: str) -> None:
    """Write to one of the kernel's files that not every kernel has."""
    if path.exists():
        path.write_text(text)


def _number(path: Path) -> int:
    """Return the number in one of the kernel's files, 0 if there is none."""
    return int(_text(path).strip() or 0)


def _count(path: Path, name: str) -> int:
    """Return one of the numbers in one of the kernel's files, 0 if it has none of that name."""
    for line in _text(path).splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0


def _text(path: Path) -> str:
    """Return what stands in one of the kernel's files; nothing if it is not there."""
    try:
        return path.read_text()
    except OSError:
        return ""
