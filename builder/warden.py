"""Runs one program and lets none of its processes outlive it, or the builder.

Started as a script, in a process of its own: the kernel gives orphans to this process instead of to init,
and tells it when the builder dies.  It needs nothing but the standard library and must not import from here.
Every step of a build waits for its start, so it imports little: no json, no pathlib, no subprocess.
What a program reaches while it runs (files, network) is not limited by this.
"""

from __future__ import annotations

import ctypes
import marshal
import os
import resource
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from types import FrameType
    from typing import Any

# From linux/prctl.h.
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
# From linux/personality.h: the kernel then names a processor of 32 bits.
_PER_LINUX32 = 0x0008

# A killed process may take a moment to go; one in the middle of I/O to a broken disk never does.
_PATIENCE_S = 10.0
# The exit codes when the program could not be prepared as ordered, and when there is no such program.
_UNPREPARED = 125
_NOT_FOUND = 127


class _Ended(Exception):
    """The builder wants the program to end, or is gone."""


class _Unprepared(Exception):
    """The process that was to become the program could not be made as ordered."""


def main(descriptor: int) -> int:
    """Carry out the order in a file, as `programs.supervise` writes it; return the program's exit code.

    That is 128 + n after signal n.  A report takes the order's place in the file: the seconds of processor
    time, the most bytes that a process had, and in further lines what kept the program from being started.
    """
    os.set_inheritable(descriptor, False)
    # Any: an order is a dictionary of words, numbers and lists.  Nobody but the builder has had it so far.
    order: dict[str, Any] = marshal.loads(os.pread(descriptor, os.fstat(descriptor).st_size, 0))  # noqa: S302
    signal.signal(signal.SIGTERM, _end)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    try:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    except OSError as error:
        # QEMU has no such call for the programs that it runs: what leaves its parent there, leaves us.
        sys.stderr.write(f"warden: orphans are not given to us, so a daemon may stay ({error})\n")
    # The builder may have died before we asked to be told.
    if os.getppid() != order["builder"]:
        return 128 + signal.SIGTERM
    fault = ""
    try:
        return _wait(_start(order))
    except _Ended:
        return 128 + signal.SIGTERM
    except _Unprepared as error:
        fault = str(error)
        return _UNPREPARED
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _kill_all()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        report = f"{used.ru_utime + used.ru_stime} {used.ru_maxrss * 1024}\n{fault}"
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, report.encode(), 0)


def _start(order: dict[str, Any]) -> int:
    """Start the program and return its process; raises _Unprepared."""
    # Both close when the program begins.
    reader, writer = os.pipe()
    if (program := os.fork()) == 0:
        _become(order, writer)
    os.close(writer)
    fault = b""
    while block := os.read(reader, 4096):
        fault += block
    os.close(reader)
    if fault:
        raise _Unprepared(fault.decode())
    return program


def _become(order: dict[str, Any], writer: int) -> None:
    """Turn this process, a copy of the warden, into the program; never returns."""
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # Python ignores these two, and what is ignored stays so in the program.
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        _prepare(order)
    except BaseException as error:
        os.write(writer, f"{type(error).__name__}: {error}".encode(errors="replace"))
        os._exit(_UNPREPARED)
    command = order["command"]
    try:
        os.execvpe(command[0], command, order["environment"])  # noqa: S606 - there is no other way
    except BaseException as error:
        os.write(2, f"{command[0]} cannot be started: {error}\n".encode(errors="replace"))
    finally:
        os._exit(_NOT_FOUND)


def _prepare(order: dict[str, Any]) -> None:
    """Set up and limit the process that becomes the program."""
    os.setsid()
    os.chdir(order["folder"])
    for descriptor in order["descriptors"]:
        os.set_inheritable(descriptor, True)
    for door in order["doors"]:
        _write(door, b"0")
    for name, value in order["rlimits"].items():
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (most, most))
    if order["processors"] is not None:
        os.sched_setaffinity(0, last_of(os.sched_getaffinity(0), order["processors"]))
    if is_named_wrongly(os.uname().machine, ctypes.sizeof(ctypes.c_void_p)):
        take_32_bits()
    # When memory or time is short, it is the builds' and not the builder's.
    _write("/proc/self/oom_score_adj", b"800")
    os.nice(order["nice"])


def last_of(processors: Collection[int], count: int) -> list[int]:
    """Return so many of these processors, or all; the last, as the first has the system's interrupts."""
    return sorted(processors)[-count:]


def is_named_wrongly(machine: str, pointer_bytes: int) -> bool:
    """Tell whether the kernel names a processor that this system's programs are not for.

    Raspberry Pi OS has 32 bits on a kernel of 64 bits, where CMake and many a setup.py go by `uname -m`.
    """
    return machine == "aarch64" and pointer_bytes == 4


def take_32_bits() -> None:
    """Have the kernel name a processor of 32 bits to this process and all that it starts, as linux32 does."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.personality(_PER_LINUX32) == -1:
        raise OSError(ctypes.get_errno(), "personality (is LockPersonality in the builder's unit?)")


def _write(path: str, content: bytes) -> None:
    """Write to a file of the kernel's."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)


def _prctl(option: int, value: int) -> None:
    """Ask the kernel for something that concerns this process."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, int(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _end(number: int, frame: FrameType | None) -> None:
    """Leave whatever is going on."""
    raise _Ended


def _wait(program: int) -> int:
    """Bury whoever dies until the program does; return its exit code."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == program:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _kill_all() -> None:
    """Kill all descendants, and those that they start meanwhile."""
    deadline = time.monotonic() + _PATIENCE_S
    while (living := _descendants()) and time.monotonic() < deadline:
        for pid in living:
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue
        _bury()
        time.sleep(0.005)


def _bury() -> None:
    """Take note of the dead, so that they leave the process table."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _descendants() -> list[int]:
    """Return the ids of our children, their children and so on."""
    children: dict[int, list[int]] = {}
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdecimal():
                children.setdefault(_parent(entry.path), []).append(int(entry.name))
    found: list[int] = []
    wanted = [os.getpid()]
    while wanted:
        ours = children.get(wanted.pop(), [])
        found += ours
        wanted += ours
    return found


def _parent(folder: str) -> int:
    """Return the parent of a process by its folder in /proc; 0 if it has just gone."""
    try:
        descriptor = os.open(f"{folder}/stat", os.O_RDONLY)
    except OSError:
        return 0
    try:
        status = os.read(descriptor, 4096)
    except OSError:
        return 0
    finally:
        os.close(descriptor)
    # The program's name stands in parentheses and may contain anything, parentheses too.
    return int(status.rpartition(b")")[2].split()[1])


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
