"""Writes a bundle's zip: the same content is the same bytes, and what is there is whole (no Django).

A reader of bytes is opened only when its turn comes, and no wheel is ever in memory as a whole.
"""

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from builds.files.stored import TEMPORARY
from packages import disk

# The beginning of time for a zip.
_DATE = (1980, 1, 1, 0, 0, 0)
_BLOCK = 4 << 20


class WrongBytes(Exception):
    """A wheel's bytes are not those that it is known by."""


@dataclass(frozen=True)
class Member:
    """A wheel that goes into the zip."""

    filename: str
    size: int
    sha256: str
    open: Callable[[], BinaryIO]


def write(
    path: Path,
    folder: str,
    papers: Mapping[str, str],
    wheels: Sequence[Member],
    pulse: Callable[[int], None] = lambda size: None,
) -> int:
    """Write the zip of one folder, and return its size; raises WrongBytes.

    It has its name only when all of it is on the disk.  Papers whose names end in `.sh` may be run.  `pulse`
    is told of each part of a wheel how large it was, and may end it by raising what it likes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                for name, text in sorted(papers.items()):
                    archive.writestr(
                        _info(f"{folder}/{name}", 0o755 if name.endswith(".sh") else 0o644), text
                    )
                with ThreadPoolExecutor(1) as reading:
                    for wheel in sorted(wheels, key=lambda each: each.filename):
                        _copy(archive, f"{folder}/wheels/{wheel.filename}", wheel, reading, pulse)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
            size = os.fstat(file.fileno()).st_size
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    disk.sync(path.parent)
    return size


def _info(name: str, mode: int, size: int = 0) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _DATE)
    # Unix, whatever this machine is; a regular file.
    info.create_system, info.external_attr, info.file_size = 3, (0o100000 | mode) << 16, size
    return info


def _copy(
    archive: zipfile.ZipFile,
    name: str,
    wheel: Member,
    reading: ThreadPoolExecutor,
    pulse: Callable[[int], None],
) -> None:
    """Copy a wheel, and look at its bytes on the way.

    Another core reads and hashes a block while this one writes the block before, which has its checksum made.
    """
    digest, size = hashlib.sha256(), 0
    info = _info(name, 0o644, wheel.size)
    with wheel.open() as source, archive.open(info, "w", force_zip64=wheel.size >= 1 << 31) as target:

        def piece() -> bytes:
            block = source.read(_BLOCK)
            digest.update(block)
            return block

        coming = reading.submit(piece)
        while (block := coming.result()) and size <= wheel.size:
            coming = reading.submit(piece)
            target.write(block)
            size += len(block)
            pulse(len(block))
    if size != wheel.size or digest.hexdigest() != wheel.sha256:
        raise WrongBytes(f"{wheel.filename} is not what it was when it was published.")
