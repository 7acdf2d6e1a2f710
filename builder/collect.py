"""Takes the wheels that a build left, and nothing that only looks like one."""

import hashlib
import os
import re
import shutil
import stat
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from builder.contract import MAX_WHEELS

_NAME = re.compile(r"[A-Za-z0-9_.+!-]{5,200}\.whl")
_LARGEST = 1 << 30
# As many as the server takes; who reads a zip in Python makes an object of each.
_MOST_MEMBERS = 50_000
# A thousand bytes for each of them.
_LARGEST_DIRECTORY = 50_000_000
# APPNOTE.TXT 4.3.12 to 4.3.16: the end record, whose sixth field is the size of the directory before it, and
# the longest comment behind it; what an entry of the directory begins with, and what leads to one of zip64.
_END, _END_MARK, _LONGEST_COMMENT = struct.Struct("<4s4H2LH"), b"PK\x05\x06", 0xFFFF
_ENTRY_MARK, _ZIP64_MARK, _ZIP64_SIZE = b"PK\x01\x02", b"PK\x06\x07", 20


class BadOutput(Exception):
    """What a build left cannot be taken; the text says what it is."""


class NoWheel(BadOutput):
    """A build left nothing at all."""


@dataclass(frozen=True)
class Wheel:
    """A wheel that a build left, open: what is hashed is what is sent."""

    filename: str
    file: BinaryIO
    size: int
    sha256: str

    def copy_to(self, folder: Path) -> Path:
        """Write the bytes that were hashed to a file of the same name."""
        path = folder / self.filename
        with path.open("wb") as copy:
            self.file.seek(0)
            shutil.copyfileobj(self.file, copy)
        return path


@contextmanager
def collect(folder: Path) -> Iterator[list[Wheel]]:
    """Open the wheels in a folder, in the order of their names; raises BadOutput.

    Only once no process of the build is alive: else it could still change them.
    """
    with ExitStack() as files:
        try:
            inside = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            raise BadOutput(f"The folder for wheels is gone: {error.strerror}.") from error
        files.callback(os.close, inside)
        found = os.listdir(inside)  # noqa: PTH208 - pathlib cannot list an open folder
        names = sorted(name for name in found if name.endswith(".whl"))
        if not names:
            raise NoWheel("pip ended well but left no wheel.")
        if len(names) > MAX_WHEELS:
            raise BadOutput(f"pip left {len(names)} wheels; {MAX_WHEELS} are taken at most.")
        yield [_open(inside, name, files) for name in names]


def _open(folder: int, name: str, files: ExitStack) -> Wheel:
    """Open a wheel if it is a plain file that has no other name."""
    if not _NAME.fullmatch(name):
        raise BadOutput(f"{name[:200]!a} cannot be a wheel's name.")
    try:
        # NOFOLLOW and NONBLOCK: a link may lead to our secrets, and a pipe would keep us waiting.
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError as error:
        raise BadOutput(f"{name} is not a regular file: {error.strerror}.") from error
    files.callback(os.close, descriptor)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or status.st_uid != os.getuid():
        raise BadOutput(f"{name} is not a regular file of its own.")
    if not 0 < status.st_size <= _LARGEST:
        raise BadOutput(f"{name} has {status.st_size} bytes; 1 to {_LARGEST} are taken.")
    file = files.enter_context(os.fdopen(descriptor, "rb", closefd=False))
    if _has_too_many_members(file):
        raise BadOutput(f"{name} has more than {_MOST_MEMBERS} members.")
    file.seek(0)
    return Wheel(name, file, status.st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _has_too_many_members(file: BinaryIO) -> bool:
    """Tell whether a zip has more members than the server takes, before anybody makes an object of each.

    How many it says that it has proves nothing: `zipfile` reads all of the directory.  What is no zip has
    none.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _LONGEST_COMMENT - _END.size))
    tail = file.read()
    at = _end_record(tail)
    if at < 0:
        return False
    # The records of zip64 are for more members and bytes than a wheel may have.
    if tail[max(0, at - _ZIP64_SIZE) : at].startswith(_ZIP64_MARK):
        return True
    directory_size = _END.unpack_from(tail, at)[5]
    start = size - len(tail) + at - directory_size
    if start < 0:
        return False
    if directory_size > _LARGEST_DIRECTORY:
        return True
    file.seek(start)
    return file.read(directory_size).count(_ENTRY_MARK) > _MOST_MEMBERS


def _end_record(tail: bytes) -> int:
    """Return where in a file's last bytes the end record is, as `zipfile` finds it; -1 when there is none."""
    at = len(tail) - _END.size
    if at >= 0 and tail.startswith(_END_MARK, at) and tail.endswith(b"\0\0"):
        return at
    at = tail.rfind(_END_MARK)
    return at if at + _END.size <= len(tail) else -1
