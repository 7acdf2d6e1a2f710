"""What a builder says of itself: its board, its system, its load."""

import os
import platform
import shutil
import sys
import sysconfig
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from builder.contract import CONTRACT, BuilderFacts

_TOLD = ("piwheels", "pip", "celery", "redis", "requests")


def facts(work: Path) -> BuilderFacts:
    """Return the facts of this moment; builds happen in the folder `work`."""
    disk = shutil.disk_usage(work)
    return BuilderFacts(
        contract=CONTRACT,
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        platform=sysconfig.get_platform(),
        os_release=_os_release(),
        model=_model(),
        memory_bytes=_memory("MemTotal"),
        memory_free_bytes=_memory("MemAvailable"),
        swap_bytes=_memory("SwapTotal"),
        swap_free_bytes=_memory("SwapFree"),
        disk_bytes=disk.total,
        disk_free_bytes=disk.free,
        load=os.getloadavg()[0],
        temperature_c=_temperature_c(),
        clock=time.time(),
        sandbox="bare",
        sandbox_lacks=(),
        problems=(),
        build=0,
        versions=_versions(),
    )


def _os_release() -> str:
    """Return the code name of the system's release."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return ""
    return release.get("VERSION_CODENAME") or release["ID"]


def _model() -> str:
    """Return what the board says it is, or else what its processor says."""
    # The device tree's strings end in NUL.
    if board := _text("/proc/device-tree/model").strip("\0\n "):
        return board
    for line in _text("/proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("Model", "model name"):
            return value.strip()
    return platform.machine()


def _memory(name: str) -> int:
    """Return one of the kernel's figures of its memory, in bytes; 0 if it has none of that name."""
    for line in _text("/proc/meminfo").splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    return 0


def _temperature_c() -> float | None:
    """Return the processor's temperature, where one can be read."""
    text = _text("/sys/class/thermal/thermal_zone0/temp").strip()
    return int(text) / 1000 if text.lstrip("-").isdecimal() else None


def _versions() -> dict[str, str]:
    """Return the versions of what builds depend on."""
    versions = {}
    for name in _TOLD:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            # Run from a checkout, this distribution itself is not installed.
            continue
    return versions


def _text(path: str) -> str:
    """Return what stands in one of the kernel's files; nothing if it is not there."""
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
