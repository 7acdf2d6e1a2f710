"""Takes the wheels that a build left, and nothing that only looks like one."""

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from builder.contract import MAX_WHEELS
from builder.zip_directory import MAX_MEMBERS, has_too_many_members

_NAME = re.compile(r"[A-Za-z0-9_.+!-]{5,200}\.whl")
_LARGEST = 1 << 30


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
    if has_too_many_members(file):
        raise BadOutput(f"{name} has more than {MAX_MEMBERS} members.")
    file.seek(0)
    return Wheel(name, file, status.st_size, hashlib.file_digest(file, "sha256").hexdigest())
