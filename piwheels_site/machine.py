"""How the machine is that answers: its load, memory, heat, and the disks that the farm needs."""

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

_MEMORY = Path("/proc/meminfo")
_HEAT = Path("/sys/class/thermal/thermal_zone0/temp")
# Where Debian's PostgreSQL has its rows; anybody may ask how full that is, though not what is there.
POSTGRESQL = Path("/var/lib/postgresql")
_HERE = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Disk:
    """A disk, and what the farm has on it."""

    holds: tuple[str, ...]
    place: Path  # the first of the folders
    size_bytes: int
    free_bytes: int
    used: float  # the part of it that is in use, 0 to 1, of what others than root may use
    used_files: float  # the same of its inodes; 0 where it makes them as it needs


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
        disks=disks(),
    )


def disks() -> tuple[Disk, ...]:
    """Return each disk that the farm needs once, however many of its folders are on it.

    One that gives only errors has no size, and is left out.
    """
    places = {
        "everything else": settings.VAR,
        "uploads": settings.PIWHEELS_INCOMING,
        "the index": settings.PIWHEELS_PUBLIC,
        "bundles": settings.PIWHEELS_BUNDLES,
    }
    if "://" not in settings.PIWHEELS_STORAGE:
        places["wheels"] = settings.PIWHEELS_STORAGE
    if _is_database_here():
        places["the database"] = POSTGRESQL
    places |= {folder: folder for folder in settings.PIWHEELS_WATCH_DISKS}
    folders: dict[int, dict[str, Path]] = {}
    for name, place in places.items():
        with suppress(OSError):
            if Path(place).is_dir():
                folders.setdefault(Path(place).stat().st_dev, {})[name] = Path(place)
    return tuple(disk for found in folders.values() if (disk := _disk(found)))


def _is_database_here() -> bool:
    """Tell whether PostgreSQL is on this machine, as far as the settings tell."""
    database = settings.DATABASES["default"]
    host = str(database["HOST"])
    is_here = not host or host.startswith("/") or host in _HERE
    return str(database["ENGINE"]).endswith("postgresql") and is_here


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


def _disk(folders: dict[str, Path]) -> Disk | None:
    """Return the disk that these folders are on; None if it does not say how large it is."""
    place = next(iter(folders.values()))
    try:
        told, files = shutil.disk_usage(place), os.statvfs(place)
    except OSError:
        return None
    return Disk(
        tuple(folders),
        place,
        told.total,
        told.free,
        used=told.used / max(1, told.used + told.free),
        used_files=_used(files.f_files, files.f_favail) or 0.0,
    )


def _text(path: Path) -> str:
    """Return what stands in one of the kernel's files; nothing if it is not there."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
