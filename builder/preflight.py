"""Finds out which sandbox this machine offers, by trying; what is missing becomes a sentence that helps."""

import os
import shutil
import tempfile
from pathlib import Path
from threading import Event

from builder import cgroup, syscalls
from builder.contract import LOG_LIMIT
from builder.limits import Limits
from builder.log import Log
from builder.place import PREFLIGHT, made
from builder.sandbox import Box, BrokenBox, Kind, Level, interpreter

_LIMITS = Limits(time_s=30.0, memory_bytes=256 << 20, disk_bytes=64 << 20, processes=32)
# How many filters of system calls a process has (Linux 5.9); under systemd, some for what the unit forbids.
_FILTERS = "Seccomp_filters"
# Asked inside: whether there is anything of ours, and how many filters there are.
_QUESTION = f"""
import os
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print("box", os.getpid() < 9, os.path.exists("/etc/shadow"), os.listdir("/in"), int(status["{_FILTERS}"]))
"""
_USER_NAMESPACES = (
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
    ("/proc/sys/user/max_user_namespaces", "0", "user.max_user_namespaces=15000"),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "kernel.apparmor_restrict_unprivileged_userns=0",
    ),
)


def find(folder: Path, at_most: Level = Level.FULL) -> Kind:
    """Return the best sandbox for builds in a folder, no higher than that."""
    if at_most is Level.BARE:
        return Kind(Level.BARE, ("PIWHEELS_SANDBOX_AT_MOST allows no more.",))
    if missing := _try(Kind(Level.BOX), folder):
        return Kind(Level.BARE, (missing,))
    lacks = []
    content: bytes | None = None
    groups: cgroup.Home | None = None
    try:
        content = syscalls.program()
        if missing := _try(Kind(Level.BOX, filter=content), folder):
            lacks.append(missing)
            content = None
    except syscalls.NoFilter as error:
        lacks.append(str(error))
    if at_most is Level.BOX:
        return Kind(Level.BOX, (*lacks, "PIWHEELS_SANDBOX_AT_MOST allows no more."), content)
    try:
        groups = cgroup.find()
        if missing := _try(Kind(Level.FULL, groups=groups), folder):
            lacks.append(missing)
    except cgroup.NoGroups as error:
        lacks.append(str(error))
    if lacks:
        return Kind(Level.BOX, tuple(lacks), content)
    return Kind(Level.FULL, (), content, groups)


def _try(kind: Kind, folder: Path) -> str:
    """Run a question in a sandbox of that kind; return what keeps it from working, "" if it does."""
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed: apt install bubblewrap."
    with (
        tempfile.TemporaryDirectory(prefix=f"{PREFLIGHT}{os.getpid()}-", dir=folder) as scratch,
        Log(Path(scratch)) as log,
        made(Path(scratch, "place")) as place,
    ):
        try:
            outcome = Box(kind, place).run(
                [str(interpreter()), "-I", "-S", "-c", _QUESTION],
                environment={},
                limits=_LIMITS,
                log=log,
                stop=Event(),
                folder=place.home,
            )
        except BrokenBox as error:
            return _explain(f"{error} {_words(log)}")
        answer = _words(log)
    if outcome.code != 0 or outcome.ended != "exit":
        return _explain(f"A trial in the sandbox ended with {outcome.ended} {outcome.code}: {answer}")
    if answer != f"box True False [] {_filters() + bool(kind.filter)}":
        return f"The sandbox does not keep what it promises: it says {answer!r}."
    return ""


def _filters() -> int:
    """Return how many filters this process has, which all that it starts has too."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status[_FILTERS])


def _explain(complaint: str) -> str:
    """Return what to do about a sandbox that does not start."""
    for path, forbidden, switch in _USER_NAMESPACES:
        try:
            is_forbidden = Path(path).read_text().strip() == forbidden
        except OSError:
            continue
        if is_forbidden:
            where = "/etc/sysctl.d/piwheels.conf"
            return f"The kernel forbids user namespaces: put {switch} into {where}, and reboot."
    if "namespace" in complaint:
        return f"User namespaces must be allowed, by a container's runtime too: {complaint}"
    return f"bubblewrap does not work here: {complaint}"


def _words(log: Log) -> str:
    """Return what was said, on one line."""
    return " ".join(log.read(0, LOG_LIMIT).decode(errors="replace").split())[:500]
