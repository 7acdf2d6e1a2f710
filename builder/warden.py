"""Runs one program and lets none of its processes outlive it, or the builder.

Started as a script, in a process of its own: the kernel gives orphans to this process instead of to init,
and tells it when the builder dies.  It needs nothing but the standard library and must not import from here.
What a program reaches while it runs (files, network) is not limited by this.
"""

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

# From linux/prctl.h.
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

# A killed process may take a moment to go; one in the middle of I/O to a broken disk never does.
_PATIENCE_S = 10.0
# The exit code when the program could not be prepared as ordered.
_UNPREPARED = 125


class _Ended(Exception):
    """The builder wants the program to end, or is gone."""


def main(descriptor: int) -> int:
    """Carry out the order in a file, as `programs.supervise` writes it; return the program's exit code.

    That is 128 + n after signal n.  A report takes the order's place in the file.
    """
    # Any: JSON.
    order: dict[str, Any] = json.loads(os.pread(descriptor, os.fstat(descriptor).st_size, 0))
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
    report: dict[str, Any] = {}
    try:
        return _run(order)
    except _Ended:
        return 128 + signal.SIGTERM
    except subprocess.SubprocessError as error:
        report["fault"] = str(error)
        return _UNPREPARED
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _kill_all()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        report["cpu_s"] = used.ru_utime + used.ru_stime
        report["largest_bytes"] = used.ru_maxrss * 1024
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(report).encode(), 0)


def _run(order: dict[str, Any]) -> int:
    """Start the program and wait for its end."""
    # The object stays alive while we wait: on its way out it would bury its process itself.
    program = subprocess.Popen(
        order["command"],
        env=order["environment"],
        cwd=order["folder"],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=order["descriptors"],
        # Safe here: there are no other threads.
        preexec_fn=lambda: _prepare(order),  # noqa: PLW1509
    )
    return _wait(program.pid)


def _prepare(order: dict[str, Any]) -> None:
    """Limit the process that becomes the program."""
    for door in order["doors"]:
        with Path(door).open("w") as procs:
            procs.write("0")
    for name, value in order["rlimits"].items():
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (most, most))
    # When memory or time is short, it is the builds' and not the builder's.
    Path("/proc/self/oom_score_adj").write_text("800")
    os.nice(order["nice"])


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
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            children.setdefault(_parent(entry), []).append(int(entry.name))
    found: list[int] = []
    wanted = [os.getpid()]
    while wanted:
        ours = children.get(wanted.pop(), [])
        found += ours
        wanted += ours
    return found


def _parent(entry: Path) -> int:
    """Return the parent of a process by its folder in /proc; 0 if it has just gone."""
    try:
        status = (entry / "stat").read_text(errors="replace")
    except OSError:
        return 0
    # The program's name stands in parentheses and may contain anything, parentheses too.
    return int(status.rpartition(")")[2].split()[1])


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
