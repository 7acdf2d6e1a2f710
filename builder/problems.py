"""What a builder itself finds wrong with its machine, for which it takes no build, in sentences."""

from collections.abc import Iterator
from datetime import UTC, datetime

# A Pi has no clock of its own: before it has asked the network it believes in an earlier year, in which no
# certificate is valid yet and no source may have been uploaded.
EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
# What of a disk no build gets: a system on a full one falls apart.
_KEPT_BYTES = 1 << 30
_KEPT_PART = 20
# Room for the environment of a build, its objects and its wheel, and what it is of a small disk; with less, a
# build would fail of the disk and not of itself.
_ROOM_BYTES = 2 << 30
_ROOM_PART = 4
# Of its files, too: a small ext4 has 262,144 in 4 GiB.  An environment and a large source have some 30,000.
_KEPT_PART_OF_FILES = 10
_ROOM_FILES = 50_000
# From here on a Pi slows itself down by half and more, and does not get well while it works.
_TOO_HOT_C = 85.0


def kept(disk_bytes: int) -> int:
    """Return how much of a disk of that size is kept from builds."""
    return max(_KEPT_BYTES, disk_bytes // _KEPT_PART)


def kept_files(files: int) -> int:
    """Return how many of the files that a disk can have are kept from builds."""
    return files // _KEPT_PART_OF_FILES


def problems(
    *,
    disk_bytes: int,
    disk_free_bytes: int,
    files: int,
    files_free: int,
    is_writable: bool,
    temperature_c: float | None,
    clock: float,
    ending: bool,
) -> Iterator[str]:
    """Yield each reason to take no build; `files` is how many the disk can have, 0 if that has no limit."""
    if ending:
        yield "It is about to end, as it was told to (SIGTERM)."
    if clock < EARLIEST.timestamp():
        said = datetime.fromtimestamp(clock, UTC)
        yield f"Its clock says {said:%Y-%m-%d}: wait until it is synchronised (timedatectl)."
    if not is_writable:
        yield (
            "Its work folder cannot be written; a worn SD card becomes read-only: look at dmesg, "
            "and mount it anew or replace it."
        )
    least = kept(disk_bytes) + min(_ROOM_BYTES, disk_bytes // _ROOM_PART)
    if disk_free_bytes < least:
        yield (
            f"The disk of its work folder is nearly full: {disk_free_bytes >> 20} MiB are free, "
            f"{least >> 20} MiB are needed."
        )
    fewest = kept_files(files) + min(_ROOM_FILES, files // _ROOM_PART)
    if files_free < fewest:
        yield (
            f"The disk of its work folder has nearly all the files that it can have: {files_free} more fit, "
            f"{fewest} are needed."
        )
    if temperature_c is not None and temperature_c >= _TOO_HOT_C:
        yield f"It is too hot: {temperature_c:.0f} °C; below {_TOO_HOT_C:.0f} °C it goes on by itself."
