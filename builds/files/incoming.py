"""Bytes that builders bring, until they are a whole file: wheels in parts, resumable after a cut.

They lie in a folder of the build's own, each under the sha256 that it was announced with, so that no name
given by a builder reaches the disk.
"""

import fcntl
import os
import re
import shutil
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import IO, Protocol

from django.conf import settings

from builder.contract import MAX_WHEELS
from builds.files import moving
from builds.files.storage import Unreachable, WholeFileStorage
from packages import disk

_SHA256 = re.compile(r"[0-9a-f]{64}")
_BLOCK = 64 << 10
# How many uploads a builder may have at a time: it sends one wheel after another, and a request that was cut
# may be there for a minute yet.
_AT_ONCE = 2
# What is left of a disk for the others who write to it, the database before all: a part, and bytes at most.
_SPARE, _MOST_SPARE, _MOST_SPARE_FILES = 1 / 20, 2 << 30, 50_000


class BadUpload(ValueError):
    """The bytes do not go on from what is there, or are more than was announced."""


class Busy(BadUpload):
    """Another request is writing the same file."""


class OutOfSpace(BadUpload):
    """The server's disk cannot take the file."""


class Body(Protocol):
    """Where the bytes come from: a request."""

    def read(self, size: int, /) -> bytes:
        """Return at most that many bytes; none at the end."""


def folder(build: int) -> Path:
    """Return the folder for a build's uploads."""
    return settings.PIWHEELS_INCOMING / "wheels" / str(build)


def part(build: int, sha256: str) -> Path:
    """Return where a wheel with that hash gathers; raises BadUpload when it is no hash."""
    if not _SHA256.fullmatch(sha256):
        raise BadUpload("Upload-Sha256 must be the file's sha256 in 64 lower-case hexadecimal digits.")
    return folder(build) / sha256


def received(build: int, sha256: str) -> int:
    """Return how many bytes of a wheel have arrived."""
    path = part(build, sha256)
    return path.stat().st_size if path.exists() else 0


def receive(build: int, sha256: str, body: Body, *, offset: int, length: int, total: int) -> int:
    """Append `length` bytes that begin at `offset` of a file of `total` bytes; return the new offset.

    A body that breaks off keeps what came, so that the builder can go on from there.
    """
    path = part(build, sha256)
    _check_size(path, length=length, offset=offset, total=total)
    with path.open("ab") as file:
        _lock(file)
        size = file.seek(0, os.SEEK_END)
        if size != offset:
            raise BadUpload(f"{size} bytes have arrived, so go on from there and not from {offset}.")
        while length and (block := body.read(min(_BLOCK, length))):
            file.write(block)
            length -= len(block)
        return file.tell()


@contextmanager
def place(builder: int | None) -> Iterator[None]:
    """Hold one of the places that a builder has for its uploads; raises Busy when it has no more.

    Each takes a thread of the web server's.  Tickets are no measure: a builder may get one after another.
    """
    with _one_of(f"{builder}-{number}" for number in range(_AT_ONCE)):
        yield


@contextmanager
def place_to_report(builder: int | None) -> Iterator[None]:
    """Hold the one place that a builder has for its reports; raises Busy while one of them is looked at.

    That takes a thread, too, and the memory for the wheels that come with it.  Who reports a second time, as
    the answer took too long, waits for the first.
    """
    with _one_of([f"{builder}-report"]):
        yield


@contextmanager
def _one_of(names: Iterable[str]) -> Iterator[None]:
    """Hold one of some places until the end, also of the process; raises Busy when none is free."""
    places = settings.PIWHEELS_INCOMING / "places"
    places.mkdir(parents=True, exist_ok=True)
    with ExitStack() as files:
        for name in names:
            file = files.enter_context((places / name).open("ab"))
            with suppress(Busy):
                _lock(file)
                break
        else:
            raise Busy("This builder is sending as much at a time as it may: wait for it.")
        yield


@contextmanager
def cut_off_after(seconds: float, connection: socket.socket | None) -> Iterator[None]:
    """Let what comes over a connection end after a while, as if it were cut.

    A reader of so many bytes waits for all of them, however slowly they come.
    """
    if connection is None:
        yield
        return
    timer = threading.Timer(seconds, _end, [connection])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end(connection: socket.socket) -> None:
    """Read nothing more of a connection; the answer can still be sent."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RD)


@contextmanager
def held(build: int, sha256: str) -> Iterator[BufferedReader]:
    """Hold a wheel that has arrived, so that no late request adds to it while it is read and stored.

    Raises FileNotFoundError when nothing of it has come, Busy when a request is still writing it.
    """
    path = part(build, sha256)
    # For reading alone, NFS gives no lock that keeps others away.
    file: BufferedReader = BufferedReader(path.open("r+b", buffering=0))
    with file:
        _lock(file)
        yield file


def _lock(file: IO[bytes]) -> None:
    """Keep all others from a file until it is closed."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Busy("This file is in use by another request: wait for it.") from error


def _check_size(path: Path, *, length: int, offset: int, total: int) -> None:
    """Refuse what would not fit the announcement, the farm's limit or the disk, before reading it."""
    if not 0 < total <= settings.PIWHEELS_MAX_WHEEL_BYTES:
        raise BadUpload(
            f"Upload-Length is {total}; a wheel has 1 to {settings.PIWHEELS_MAX_WHEEL_BYTES} bytes."
        )
    if offset < 0 or length <= 0 or offset + length > total:
        raise BadUpload(f"{length} bytes from {offset} on are more than the {total} that were announced.")
    path.parent.mkdir(parents=True, exist_ok=True)
    others = [each.stat().st_size for each in path.parent.iterdir() if each != path]
    if len(others) >= MAX_WHEELS:
        raise BadUpload(f"A build may leave {MAX_WHEELS} wheels at most.")
    if sum(others) + total > settings.PIWHEELS_MAX_WHEEL_BYTES:
        raise BadUpload(f"All wheels of a build have {settings.PIWHEELS_MAX_WHEEL_BYTES} bytes at most.")
    # What is still to come, and the copy in the storage, which may be on the same disk.
    if not has_room(2 * total - offset):
        raise OutOfSpace("The server's disk is nearly full: try again later.")


def require() -> None:
    """Raise Unreachable unless this process may write to the folder of uploads, or make it.

    A service may not where its unit leaves it no way there, whoever the folder belongs to.
    """
    there = disk.nearest(settings.PIWHEELS_INCOMING)
    if not disk.may_write(there):
        raise Unreachable(
            f"{there} may not be written to, where uploads and logs go ({settings.PIWHEELS_INCOMING}): it has"
            " to be the farm's, and after deploy/server-setup in ReadWritePaths= of web and worker."
        )


def has_room(needed: int = 0) -> bool:
    """Tell whether storage and uploads have their places, and the disks can take so much and leave some."""
    places, (storage, _) = [settings.PIWHEELS_INCOMING], moving.both()
    try:
        require()
        if isinstance(storage, WholeFileStorage):
            storage.require()
            places.append(Path(storage.path("")))
    except Unreachable:
        return False
    for place in places:
        there = disk.nearest(place)
        usage, files = shutil.disk_usage(there), os.statvfs(there)
        if usage.free < needed + min(_SPARE * usage.total, _MOST_SPARE):
            return False
        # A file system that makes inodes as it needs them has none of its own.
        if files.f_files and files.f_favail < min(_SPARE * files.f_files, _MOST_SPARE_FILES):
            return False
    return True


def scratch() -> Path:
    """Return a folder for what is only looked at: /tmp may be half of the memory."""
    path: Path = settings.PIWHEELS_INCOMING / "scratch"
    path.mkdir(parents=True, exist_ok=True)
    return path


def discard(build: int) -> None:
    """Forget all that a build has uploaded."""
    shutil.rmtree(folder(build), ignore_errors=True)


def builds() -> list[int]:
    """Return the builds that have uploads here."""
    parent = settings.PIWHEELS_INCOMING / "wheels"
    names = [path.name for path in parent.iterdir()] if parent.exists() else []
    return [int(name) for name in names if name.isdecimal()]
