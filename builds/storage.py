"""Where wheels live: written whole or not at all, and never changed.

Django's default storage does the work, so that a folder and a bucket both serve.  Names hold the sha256 of
their content (`Wheel.path`), so a write that is repeated, or that another process did first, is the same.
"""

import os
import tempfile
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from django.core.files import File
from django.core.files.storage import FileSystemStorage, default_storage


class WholeFileStorage(FileSystemStorage):
    """A folder in which a file is either there with all of its bytes, or not there.

    Django's own writes into the final name, and a crash leaves half a wheel there, which the next try
    would then avoid by inventing another name.
    """

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Return the name itself: what is there already is the same content."""
        return name

    def _save(self, name: str, content: File) -> str:  # type: ignore[type-arg]
        """Write one file."""
        self.write({name: content.chunks()})
        return name

    def write(self, files: Mapping[str, Iterable[bytes]]) -> None:
        """Write temporary files, sync them to the disk, and only then give each its name, in this order."""
        paths = {name: Path(self.path(name)) for name in files}
        folders = {path.parent for path in paths.values()}
        fresh = {each for folder in folders for each in (folder, folder.parent) if not each.exists()}
        written: dict[Path, Path] = {}
        try:
            for name, chunks in files.items():
                paths[name].parent.mkdir(parents=True, exist_ok=True)
                descriptor, temporary = tempfile.mkstemp(dir=paths[name].parent, prefix=".new-")
                written[Path(temporary)] = paths[name]
                with os.fdopen(descriptor, "wb") as new:
                    _write_synced(new, chunks)
            for new_path, path in written.items():
                new_path.replace(path)
        except BaseException:
            for new_path in written:
                new_path.unlink(missing_ok=True)
            raise
        # Each name is in its folder, and the name of a new folder in the one above.
        for folder in folders | {each.parent for each in fresh}:
            _sync_folder(folder)


def _write_synced(file: BinaryIO, chunks: Iterable[bytes]) -> None:
    """Write a file that all may read, and have the disk remember its bytes."""
    for chunk in chunks:
        file.write(chunk)
    file.flush()
    os.fchmod(file.fileno(), 0o644)
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Have the disk remember which names a folder holds."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def store(files: Mapping[str, BinaryIO]) -> None:
    """Store what these files hold under their names, in this order; those that are there stay as they are."""
    new = {name: File(file) for name, file in files.items() if not default_storage.exists(name)}
    if isinstance(default_storage, WholeFileStorage):
        # Together, as a folder then has to be synced only once.
        default_storage.write({name: file.chunks() for name, file in new.items()})
    else:
        for name, file in new.items():
            default_storage.save(name, file)


def store_bytes(name: str, content: bytes) -> None:
    """Store these bytes under that name."""
    store({name: BytesIO(content)})


def read_bytes(name: str) -> bytes:
    """Return what is stored under that name; raises FileNotFoundError."""
    with default_storage.open(name) as file:
        return bytes(file.read())
