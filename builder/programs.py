"""Runs a stranger's program: within a time limit, its output in the log, and without survivors."""

import os
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event

from builder import warden
from builder.client import DeadTicket
from builder.log import Log

_BLOCK = 64 << 10
# How soon we notice a dead ticket or the time limit while a program is silent.
_GLANCE_S = 0.2
# Longer than the warden's own patience.
_END_S = 20.0


class TookTooLong(Exception):
    """The program reached its time limit and was killed."""


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    log: Log,
    time_limit_s: float,
    stop: Event,
) -> int:
    """Run a command in a folder and return its exit code; all that it started is dead by then.

    Raises TookTooLong, or DeadTicket when told to stop.
    """
    with subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(warden.__file__).resolve()), str(os.getpid()), *command],
        env=dict(environment),
        cwd=folder,
        umask=0o022,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            return _watch(process, log, time.monotonic() + time_limit_s, stop)
        finally:
            _end(process)


def _watch(process: subprocess.Popen[bytes], log: Log, deadline: float, stop: Event) -> int:
    """Copy a program's output to the log until it ends; return its exit code."""
    assert process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if stop.is_set():
                raise DeadTicket("The build was called off while it ran.")
            if time.monotonic() > deadline:
                raise TookTooLong
            if selector.select(_GLANCE_S):
                chunk = os.read(process.stdout.fileno(), _BLOCK)
                if not chunk:
                    return process.wait(_END_S)
                log.write(chunk)
            elif process.poll() is not None:
                # Somebody has the pipe open though the warden is gone: it was killed by what it guarded.
                return process.returncode


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the warden, which ends the others."""
    process.terminate()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
