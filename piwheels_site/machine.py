"""How the machine is that answers: its load, memory, heat, and the disks that the farm writes to."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from piwheels_site import attention

_MEMORY = Path("/proc/meminfo")
_HEAT = Path("/sys/class/thermal/thermal_zone0/temp")


@dataclass(frozen=True)
class Disk:
    """A disk, and what the farm has on it."""

    holds: tuple[str, ...]
    size_bytes: int
    free_bytes: int


@dataclass(frozen=True)
class Server:
    """The machine at the moment; None where it has no such thing, or does not say."""

    load: float
    processors: int
    memory_used: float | None  # the part of it that is in use, 0 to 1
    swap_used: float | None
    temperature_c: float | None
    disks: tuple[Disk, ...]


def server() -> Server:
    """Return how this machine is."""
    memory = _memory()
    return Server(
        load=os.getloadavg()[0],
        processors=os.cpu_count() or 1,
        memory_used=_used(memory.get("MemTotal"), memory.get("MemAvailable")),
        swap_used=_used(memory.get("SwapTotal"), memory.get("SwapFree")),
        temperature_c=_temperature_c(),
        disks=_disks(),
    )


def _memory() -> dict[str, int]:
    """Return the kernel's figures of its memory, in KiB."""
    found = {}
    for line in _text(_MEMORY).splitlines():
        name, _, value = line.partition(":")
        number = value.split()[:1]
        if number and number[0].isdecimal():
            found[name] = int(number[0])
    return found


def _used(total: int | None, free: int | None) -> float | None:
    """Return which part of something is in use; None where there is none of it."""
    return None if not total or free is None else min(max(1 - free / total, 0.0), 1.0)


def _temperature_c() -> float | None:
    text = _text(_HEAT).strip()
    return int(text) / 1000 if text.lstrip("-").isdecimal() else None


def _disks() -> tuple[Disk, ...]:
    """Return each disk once, however many of the farm's folders are on it."""
    holds: dict[int, list[str]] = {}
    places: dict[int, Path] = {}
    for name, place in attention.disks().items():
        device = place.stat().st_dev
        holds.setdefault(device, []).append(name)
        places[device] = place
    usages = {device: shutil.disk_usage(place) for device, place in places.items()}
    return tuple(Disk(tuple(holds[device]), told.total, told.free) for device, told in usages.items())


def _text(path: Path) -> str:
    """Return what stands in one of the kernel's files; nothing if it is not there."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
