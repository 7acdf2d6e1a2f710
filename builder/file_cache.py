"""Keeps files that builds fetched, by their sha256, so that not every build fetches setuptools again.

What lies here is what an index page promised by its sha256, or it is not given out: a file is checked when it
comes and again when it is used, as memory cards forget.  Several builds, also of several processes, may share
a folder.
"""

import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

logger = logging.getLogger(__name__)

_BLOCK = 256 << 10
# Build tools are small; what is larger would push them all out.
_LARGEST = 64 << 20
_PART = ".part"
# Nothing takes that long to come; what is older was left by a builder that was killed.
_PART_S = 86_400.0


class Unreadable(Exception):
    """A kept file cannot be read to its end, though it could a moment ago; the text says why."""


class FileCache:
    """A folder of files, of which those that nobody used for the longest time go first."""

    def __init__(self, folder: Path, *, total_bytes: int = 1 << 30) -> None:
        self._folder = folder
        self._total_bytes = total_bytes
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def open(self, sha256: str) -> BinaryIO | None:
        """Return the file with that sha256, to be read and closed, or None.

        One that changed, or that the disk does not give any more, is removed.
        """
        path = self._folder / sha256
        try:
            file = path.open("rb")
        except OSError:
            return None
        if fault := _fault(file, sha256):
            file.close()
            logger.warning("%s %s and is removed.", path, fault)
            _remove(path)
            return None
        file.seek(0)
        _touch(path)
        return file

    def keep(self, sha256: str, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Pass the blocks of a file on; when all have come and are what they should be, the file is kept."""
        part = _Part(self._folder)
        try:
            for block in blocks:
                part.write(block)
                yield block
            if part.keep(self._folder / sha256, sha256):
                self._trim()
        finally:
            part.close()

    def _trim(self) -> None:
        """Remove what is too much."""
        room = self._total_bytes
        for used_at, size, path in sorted(self._files(), reverse=True):
            room -= size
            is_left = path.suffix == _PART and used_at < time.time() - _PART_S
            if is_left or (room < 0 and path.suffix != _PART):
                path.unlink(missing_ok=True)

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """Yield when each file was used last, its size and its path."""
        for path in self._folder.iterdir():
            try:
                status = path.stat()
            except OSError:
                continue  # Another build removed it.
            yield status.st_mtime, status.st_size, path


class _Part:
    """A file that is on its way into the cache; a full disk ends it, not the build."""

    def __init__(self, folder: Path) -> None:
        self._sha256 = hashlib.sha256()
        self._size = 0
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        try:
            descriptor, name = tempfile.mkstemp(suffix=_PART, dir=folder)
        except OSError as error:
            logger.warning("Nothing can be kept in %s: %s.", folder, error)
            return
        self._path = Path(name)
        self._file = os.fdopen(descriptor, "wb", buffering=0)

    def write(self, block: bytes) -> None:
        """Add a block, unless the file is too large or the disk too small."""
        if self._file is None:
            return
        self._size += len(block)
        self._sha256.update(block)
        try:
            written = self._file.write(block) if self._size <= _LARGEST else 0
        except OSError as error:
            logger.warning("A file cannot be kept: %s.", error)
            written = 0
        if written != len(block):
            self.close()

    def keep(self, path: Path, sha256: str) -> bool:
        """Put the file in its place if it is complete and what it should be; tell whether it is."""
        if self._file is None or self._path is None or self._sha256.hexdigest() != sha256:
            return False
        try:
            self._path.replace(path)
        except OSError as error:
            logger.warning("A file cannot be kept: %s.", error)
            return False
        return True

    def close(self) -> None:
        """Leave nothing but a file that was kept."""
        if self._file is not None and self._path is not None:
            self._file.close()
            self._path.unlink(missing_ok=True)
        self._file = None


def read(file: BinaryIO) -> Iterator[bytes]:
    """Yield a file's blocks; raises Unreadable."""
    try:
        while block := file.read(_BLOCK):
            yield block
    except OSError as error:
        raise Unreadable(f"A file that was kept cannot be read: {error}.") from error


def _fault(file: BufferedReader, sha256: str) -> str:
    """Return what is wrong with a kept file, "" if nothing is."""
    try:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"cannot be read ({error})"
    return "" if found == sha256 else "has changed on the disk"


def _remove(path: Path) -> None:
    """Remove a file, where the disk still takes that."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        logger.warning("%s cannot be removed: %s.", path, error)


def _touch(path: Path) -> None:
    """Note that a file was used."""
    try:
        os.utime(path)
    except OSError:
        logger.debug("%s has just gone.", path)
