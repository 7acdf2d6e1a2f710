"""Runs a stranger's program: watched, its output in the log, and without survivors."""

import marshal
import os
import selectors
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from builder import warden
from builder.client import DeadTicket
from builder.limits import Gauge, Outcome, Watch
from builder.log import Log

_BLOCK = 64 << 10
# How soon we notice a dead ticket or a limit while a program is silent.
_GLANCE_S = 0.1
# Longer than the warden's own patience.
_END_S = 20.0
_NICE = 10


class NotStarted(Exception):
    """The program could not be started as it was ordered, which says nothing of the program."""


@dataclass(frozen=True)
class Program:
    """What to run, and how."""

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    rlimits: Mapping[str, int] = field(default_factory=dict)  # by the names of the module `resource`
    doors: Sequence[Path] = ()  # the files by which it enters its cgroups
    descriptors: Sequence[int] = ()  # what it inherits besides its output
    processors: int | None = None  # how many of them it may compute on; None is all


@dataclass(frozen=True)
class _Report:
    """What a warden tells at its end."""

    cpu_s: float = 0.0
    largest_bytes: int = 0
    fault: str = ""


def supervise(program: Program, *, log: Log, stop: Event, watch: Watch) -> Outcome:
    """Run a program until it ends or has to; all that it started is dead when this returns.

    Raises NotStarted, or DeadTicket when told to stop.
    """
    order = os.memfd_create("order")
    try:
        os.write(order, marshal.dumps(_order(program)))
        with _start(order, program) as warden_process:
            watch.gauge.begin(warden_process.pid)
            try:
                ended = _watch(warden_process, log, stop, watch)
                duration_s = watch.duration_s
            finally:
                _end(warden_process, watch.gauge)
        report = _report(order)
    finally:
        os.close(order)
    if report.fault:
        raise NotStarted(f"The program could not be started: {report.fault}")
    code = warden_process.returncode
    return Outcome(
        code=code if code >= 0 else 128 - code,
        ended=ended,
        duration_s=duration_s,
        cpu_s=max(watch.cpu_s, report.cpu_s),
        peak_memory_bytes=max(watch.peak_memory_bytes, report.largest_bytes),
    )


def _order(program: Program) -> dict[str, object]:
    """Return what the warden reads."""
    return {
        "builder": os.getpid(),
        "command": list(program.command),
        "environment": dict(program.environment),
        "folder": str(program.folder),
        "rlimits": {"RLIMIT_CORE": 0, **program.rlimits},
        "doors": [str(door) for door in program.doors],
        "descriptors": list(program.descriptors),
        "processors": program.processors,
        "nice": _NICE,
    }


def _start(order: int, program: Program) -> subprocess.Popen[bytes]:
    """Start a warden on an order; there is nothing of the program's in its own environment."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(warden.__file__).resolve()), str(order)],
        env={},
        cwd="/",
        umask=0o022,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=[order, *program.descriptors],
    )


def _report(order: int) -> _Report:
    """Return what the warden wrote in the order's place; nothing if it was killed."""
    numbers, _, fault = os.pread(order, os.fstat(order).st_size, 0).partition(b"\n")
    try:
        cpu_s, largest_bytes = numbers.split()
        return _Report(float(cpu_s), int(largest_bytes), fault.decode())
    except ValueError:
        return _Report()


def _watch(process: subprocess.Popen[bytes], log: Log, stop: Event, watch: Watch) -> str:
    """Copy a program's output to the log until it ends or has to; return which it was."""
    assert process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if stop.is_set():
                raise DeadTicket("The build was called off while it ran.")
            if reached := watch.look():
                return reached
            if selector.select(_GLANCE_S):
                chunk = os.read(process.stdout.fileno(), _BLOCK)
                if not chunk:
                    return watch.last(process.wait(_END_S))
                log.write(chunk)
                watch.hear()
            elif process.poll() is not None:
                # Somebody has the pipe open though the warden is gone: it was killed by what it guarded.
                return watch.last(process.returncode)


def _end(process: subprocess.Popen[bytes], gauge: Gauge) -> None:
    """End the warden, which ends the others, and whoever got away from it."""
    gauge.kill()
    process.terminate()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
    gauge.kill()
