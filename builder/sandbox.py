"""Where strangers' code runs: a world that begins and ends with each run, at the best level to be had here.

`full` is bubblewrap with a filter of system calls, and control groups that limit memory and processes; `box`
is bubblewrap, with limits on single processes and a watch over all; `bare` is that watch alone, for a
developer's machine.  docs/builders.md says what each keeps in.
"""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from threading import Event

from builder import cgroup, processes, programs, walls
from builder.disk import Disk
from builder.limits import Gauge, Limits, Outcome, Watch
from builder.log import Log
from builder.place import Place

_FILES = 4096
# A single process may reserve more than it ever uses, and the watch, which knows what all of them use, comes
# first where it can.
_RESERVE = 2


class Level(StrEnum):
    """How far builds are kept apart from their builder; the values are those of the contract."""

    BARE = "bare"
    BOX = "box"
    FULL = "full"


@dataclass(frozen=True)
class Kind:
    """The sandbox that this machine offers."""

    level: Level
    lacks: tuple[str, ...] = ()  # what keeps it from the next level, each in a sentence that says what to do
    filter: bytes | None = field(default=None, repr=False)  # of system calls, as the kernel reads it
    groups: cgroup.Home | None = None


class BrokenBox(Exception):
    """The sandbox could not be set up, which says nothing of what was to run in it."""


def interpreter() -> Path:
    """Return the path of this Python, outside of its virtual environment, as it is inside and outside."""
    python = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    return python if python.exists() else Path(sys.executable).resolve()


class Box:
    """The sandbox of one build: each run in it finds the build's folders as the last one left them."""

    def __init__(
        self,
        kind: Kind,
        place: Place,
        *,
        readable: Mapping[Path, Path] | None = None,
        doorway: Path | None = None,
        libraries: Path | None = None,
    ) -> None:
        """Take a fresh place; `readable` are paths outside and where they are inside, read-only.

        `doorway` is the package proxy's socket, which is at walls.PROXY_SOCKET inside.  `libraries` is what
        stands in the place of the system's folder of libraries (`visible.show`).
        """
        self._kind = kind
        self._place = place
        self._readable = dict(readable or {})
        self._doorway = doorway
        self._libraries = libraries
        self._disk = Disk(place.root)

    def inside(self, path: Path) -> Path:
        """Return where a path of the place, or one that was made readable, is inside."""
        if self._kind.level is Level.BARE:
            return path
        for outside, within in {**walls.inside(self._place), **self._readable}.items():
            if path.is_relative_to(outside):
                return within / path.relative_to(outside)
        if walls.shows(path):
            return path
        raise ValueError(f"{path} is not visible inside the sandbox.")

    def run(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        limits: Limits,
        log: Log,
        stop: Event,
        folder: Path,
    ) -> Outcome:
        """Run a command in a folder of the place; all that it started is dead when this returns.

        Raises BrokenBox, or DeadTicket when told to stop.
        """
        with ExitStack() as stack:
            status = _file(stack)
            gauge, doors = self._gauge(limits, stack)
            program = programs.Program(
                command,
                environment,
                folder,
                rlimits=self._rlimits(limits),
                doors=doors,
                processors=limits.jobs,
            )
            if self._kind.level is not Level.BARE:
                program = self._boxed(program, status, stack)
            try:
                outcome = programs.supervise(
                    program, log=log, stop=stop, watch=Watch(limits, gauge, self._disk)
                )
            except programs.NotStarted as error:
                raise BrokenBox(str(error)) from error
            if self._kind.level is not Level.BARE and _never_began(status, outcome):
                raise BrokenBox("bubblewrap could not make the sandbox; the log says why.")
            return outcome

    def _boxed(self, program: programs.Program, status: int, stack: ExitStack) -> programs.Program:
        """Return a program in its box; bubblewrap tells in the file `status` how it went."""
        written = {path: _file(stack, text.encode()) for path, text in walls.WRITTEN.items()}
        words = walls.words(
            self._place,
            readable=self._readable,
            written=written,
            doorway=self._doorway,
            libraries=self._libraries,
        )
        words += ["--chdir", str(self.inside(program.folder)), "--json-status-fd", str(status)]
        for name, value in program.environment.items():
            words += ["--setenv", name, value]
        descriptors = [status, *written.values()]
        if self._kind.filter is not None:
            filtered = _file(stack, self._kind.filter)
            words += ["--seccomp", str(filtered)]
            descriptors.append(filtered)
        # Not as arguments: those of the first process inside can be read inside.
        arguments = _file(stack, b"".join(os.fsencode(word) + b"\0" for word in words))
        command = [shutil.which("bwrap") or "bwrap", "--args", str(arguments), "--"]
        if self._doorway:
            command += [str(interpreter()), "-I", "-S", str(walls.DOORWAY), str(walls.PROXY_SOCKET)]
        return replace(
            program,
            command=[*command, *program.command],
            environment={},
            folder=Path("/"),
            descriptors=[*descriptors, arguments],
        )

    def _gauge(self, limits: Limits, stack: ExitStack) -> tuple[Gauge, Sequence[Path]]:
        """Return what measures a run, and what the run has to enter for that."""
        if self._kind.groups is None:
            return processes.Family(
                self._place.root, memory_bytes=limits.memory_bytes, processes=limits.processes
            ), ()
        try:
            group = cgroup.Group(self._kind.groups, limits)
        except cgroup.NoGroups as error:
            raise BrokenBox(str(error)) from error
        stack.callback(group.remove)
        return group, group.doors

    def _rlimits(self, limits: Limits) -> dict[str, int]:
        """Return the limits of each process."""
        most = {"RLIMIT_NOFILE": _FILES}
        if limits.disk_bytes is not None:
            most["RLIMIT_FSIZE"] = _RESERVE * limits.disk_bytes
        if self._kind.groups is None and limits.memory_bytes is not None:
            most["RLIMIT_DATA"] = _RESERVE * limits.memory_bytes
        # The kernel lets root have as many processes as it likes.
        if self._kind.groups is None and limits.processes is not None and os.getuid() != 0:
            most["RLIMIT_NPROC"] = processes.threads_of(os.getuid()) + _RESERVE * limits.processes
        return most


def _file(stack: ExitStack, content: bytes = b"") -> int:
    """Return a descriptor of a file in memory that lasts as long as the stack."""
    descriptor = os.memfd_create("box")
    stack.callback(os.close, descriptor)
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _never_began(status: int, outcome: Outcome) -> bool:
    """Tell whether bubblewrap failed before the command began; what is killed proves nothing."""
    if outcome.ended != "exit" or outcome.code >= 128:
        return False
    # bubblewrap reports an exit code only of what it could start.
    return b'"exit-code"' not in os.pread(status, 4096, 0)
