"""Logs of builds: a growing file while the build runs, a compressed one in the storage afterwards.

A log is what a stranger's program printed.  Nothing here interprets it; who shows it escapes it.
"""

import codecs
import gzip
import logging
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from django.conf import settings
from django.core.files.storage import default_storage

from builder.contract import LOG_LIMIT
from builds.files import moving, storage
from builds.files.stored import log_name
from builds.log_text import clean
from builds.models import Build

logger = logging.getLogger(__name__)

# A page that is open asks every 2 seconds.
WATCHED_S = 10.0
# How much of a log is cleaned and sent at a time, in bytes.
_PIECE = 64 << 10


def _growing(build: int) -> Path:
    """Return where the log of a running build gathers."""
    return settings.PIWHEELS_INCOMING / "logs" / f"{build}.log"


def begin(build: int) -> None:
    """Remove the log that lies under the number of a build which has just begun: it is another build's.

    A database that is older than the files, as after a restore, gives numbers a second time.
    """
    try:
        _growing(build).unlink(missing_ok=True)
        if default_storage.exists(log_name(build)):
            default_storage.delete(log_name(build))
    except moving.faults() as error:
        # The build is worth more than its log.
        logger.error("What may lie where the log of build %s is to be cannot be removed: %s", build, error)


def append(build: int, offset: int, chunk: bytes) -> int:
    """Write a chunk at its offset and return how far the log now reaches.

    A chunk that comes twice is written over itself.  One that would leave a hole is not taken: the answer
    tells the builder from where to go on.
    """
    path = _growing(build)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Only the first chunk makes the file: one that comes after the build has ended must not hide its log.
    make = os.O_CREAT if offset == 0 else 0
    try:
        descriptor = os.open(path, os.O_WRONLY | make, 0o644)
    except FileNotFoundError:
        return 0
    try:
        size = os.fstat(descriptor).st_size
        if size >= LOG_LIMIT:
            return offset + len(chunk)
        if offset > size:
            return size
        os.pwrite(descriptor, chunk[: max(0, LOG_LIMIT - offset)], offset)
    finally:
        os.close(descriptor)
    return max(size, offset + len(chunk))


def watch(build: int) -> None:
    """Note that somebody looks at a log as it grows: in the time of its last reading."""
    path = _growing(build)
    with suppress(FileNotFoundError):
        os.utime(path, (time.time(), path.stat().st_mtime))


def is_watched(build: int) -> bool:
    """Tell whether somebody has looked at a growing log just now."""
    try:
        return time.time() - _growing(build).stat().st_atime < WATCHED_S
    except FileNotFoundError:
        return False


def end(build: int, offset: int, chunk: bytes) -> None:
    """Take the last bytes of a log, before its build is closed.

    A log that has come with them as a whole goes straight into the storage.
    """
    if not chunk:
        return
    if offset == 0 and not _growing(build).exists():
        _store(build, chunk)
    else:
        append(build, offset, chunk)


def growing() -> list[int]:
    """Return the builds that have a log which is not in the storage yet."""
    names = [path.stem for path in _growing(0).parent.glob("*.log")]
    return [int(name) for name in names if name.isdecimal()]


def keep(build: int) -> None:
    """Move a log into the storage, when its build has ended."""
    path = _growing(build)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        # There was none, or somebody else has moved it just now.
        return
    _store(build, content)
    path.unlink(missing_ok=True)


def remove(build: int) -> None:
    """Remove a log, wherever it is; once more does no harm."""
    _growing(build).unlink(missing_ok=True)
    default_storage.delete(log_name(build))


def _store(build: int, content: bytes) -> None:
    """Put a whole log into the storage."""
    # Without a name and a time in its header, the same log is the same file.
    storage.store_bytes(log_name(build), gzip.compress(content, mtime=0))


def tail(build: Build, size: int) -> tuple[str, bool]:
    """Return the end of a build's log as text, and whether that is not all of it."""
    raw = content(build.pk)
    return clean(raw[-size:].decode(errors="replace")), len(raw) > size


def lines(build: Build) -> Iterator[str]:
    """Return a build's whole log as text, piece by piece, so that a huge one fills no memory."""
    raw = content(build.pk)
    decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
    for start in range(0, len(raw), _PIECE):
        yield clean(decode(raw[start : start + _PIECE], start + _PIECE >= len(raw)))


def packed(build: int) -> bytes:
    """Return a build's whole log as text, compressed; the same log is the same bytes."""
    stored, raw = _stored(build), content(build)
    # What a person unpacks goes to a terminal, so nothing in it may act on one.
    text = clean(raw.decode(errors="replace")).encode()
    return stored if stored and text == raw else gzip.compress(text, mtime=0)


def unpacked(packed: bytes) -> bytes:
    """Return the text of a compressed log."""
    return gzip.decompress(packed)


def growing_size(build: int) -> int | None:
    """Return how long the log of a running build is by now; None if it has none that grows."""
    try:
        return _growing(build).stat().st_size
    except FileNotFoundError:
        return None


def piece(build: int, offset: int, most: int = LOG_LIMIT) -> bytes:
    """Return a part of a log, from an offset on; of one that grows, no more of it is read."""
    try:
        with _growing(build).open("rb") as file:
            file.seek(offset)
            return file.read(most)
    except FileNotFoundError:
        return content(build)[offset : offset + most]


def content(build: int) -> bytes:
    """Return a log's bytes as the builder sent them, wherever they are."""
    if stored := _stored(build):
        return gzip.decompress(stored)
    try:
        return _growing(build).read_bytes()
    except FileNotFoundError:
        return b""


def _stored(build: int) -> bytes:
    """Return the file of a finished log; nothing if there is none in the storage."""
    try:
        with default_storage.open(log_name(build)) as file:
            stored: bytes = file.read()
            return stored
    except FileNotFoundError:
        return b""
