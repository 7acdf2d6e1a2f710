"""Runs `pip wheel` on a source, in an environment that holds nothing of ours."""

import os
import sys
import sysconfig
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Event

from builder import programs
from builder.contract import BuildOrder
from builder.log import Log
from builder.place import Place
from builder.settings import Settings

# 1980-01-01: the formats of archives know no earlier time.
_EARLIEST_EPOCH = 315_532_800
# What must come from our own environment where a farm has certificates of its own; never a secret.
_PASSED_ON = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")


class PipFailed(Exception):
    """`pip wheel` did not do it; the text says how it ended."""

    def __init__(self, reason: str, duration_s: float) -> None:
        super().__init__(reason)
        self.duration_s = duration_s


def pip_wheel(
    order: BuildOrder, source: Path, place: Place, *, settings: Settings, log: Log, stop: Event
) -> float:
    """Build the wheels of a source into `place.out`; return how many seconds pip took.

    Raises PipFailed, or DeadTicket when told to stop.
    """
    began = time.monotonic()
    try:
        code = programs.run(
            command(source, place.out, settings),
            environment=environment(order, place, os.environ),
            folder=place.home,
            log=log,
            time_limit_s=order.time_limit_s,
            stop=stop,
        )
    except programs.TookTooLong as error:
        reason = f"`pip wheel` took longer than {order.time_limit_s:g} s and was stopped."
        raise PipFailed(reason, time.monotonic() - began) from error
    duration_s = time.monotonic() - began
    if code != 0:
        end = f"was killed by signal {code - 128}" if code > 128 else f"ended with exit code {code}"
        raise PipFailed(f"`pip wheel` {end}; the log says why.", duration_s)
    return duration_s


def command(source: Path, out: Path, settings: Settings) -> list[str]:
    """Return the command that builds a source file: not `name==version`, so pip has nothing to choose."""
    indexes = []
    if settings.build_index:
        indexes += ["--index-url", settings.build_index]
    if settings.extra_build_index:
        indexes += ["--extra-index-url", settings.extra_build_index]
    return [
        *(sys.executable, "-P", "-m", "pip", "wheel"),
        *("--no-deps", "--no-cache-dir", "--no-input", "--prefer-binary"),
        *("--no-color", "--progress-bar", "off", "--disable-pip-version-check"),
        *indexes,
        *("--wheel-dir", str(out), str(source)),
    ]


def environment(order: BuildOrder, place: Place, ours: Mapping[str, str]) -> dict[str, str]:
    """Return all that a build may know of where it runs."""
    variables = {
        "HOME": str(place.home),
        "TMPDIR": str(place.tmp),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        # Without these a `git clone` in a setup.py waits for a password, or fetches who knows what.
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_ASKPASS": "/bin/false",
        "GIT_TERMINAL_PROMPT": "0",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INPUT": "1",
        # The sign by which a setup.py knows this farm, as it knew piwheels.org.
        "PIWHEELS_BUILD": "1",
    }
    if order.uploaded_at is not None and order.uploaded_at >= _EARLIEST_EPOCH:
        variables["SOURCE_DATE_EPOCH"] = str(order.uploaded_at)
    if order.platform != sysconfig.get_platform():
        # A 32-bit system on a 64-bit kernel would name its wheels for the kernel.
        variables["_PYTHON_HOST_PLATFORM"] = order.platform
    return variables | {name: ours[name] for name in _PASSED_ON if ours.get(name)}
