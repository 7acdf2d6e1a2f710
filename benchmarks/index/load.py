"""Asks a server for one thing again and again with wrk, and reads what it measured."""

import re
import shutil
import subprocess
from dataclasses import dataclass, field

CONNECTIONS = 16
# Nobody waits longer than that for a page.
TIMEOUT_S = 20
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


class NotMeasured(Exception):
    """The answer is not the one that was to be measured."""


@dataclass(frozen=True)
class Request:
    """What to ask for, and what the answer must be."""

    path: str
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True)
class Load:
    """What a server did under load."""

    per_second: float
    p99_ms: float
    failed: int


def is_there() -> bool:
    """Whether wrk is installed."""
    return shutil.which("wrk") is not None


def program() -> str:
    """Return wrk's path."""
    found = shutil.which("wrk")
    if not found:
        raise NotMeasured("wrk is not installed.")
    return found


def put(address: str, request: Request, seconds: float) -> Load:
    """Put load on a server for so long; every answer must be a good one."""
    headers = [word for name, value in request.headers.items() for word in ("-H", f"{name}: {value}")]
    words = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", f"--timeout={TIMEOUT_S}s", "--latency", *headers]
    done = subprocess.run(
        [program(), *words, f"{address}{request.path}"], capture_output=True, text=True, check=True
    )
    return read(done.stdout)


def read(printed: str) -> Load:
    """Return what wrk printed."""
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", printed)
    p99 = re.search(r"99%\s+([0-9.]+)(us|ms|s|m)", printed)
    if not rate or not p99:
        raise NotMeasured(f"wrk says {printed!r}.")
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", printed)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", printed)
    failed = sum(map(int, errors.groups())) if errors else 0
    return Load(
        per_second=float(rate[1]),
        p99_ms=float(p99[1]) * _UNITS[p99[2]],
        failed=failed + (int(refused[1]) if refused else 0),
    )
