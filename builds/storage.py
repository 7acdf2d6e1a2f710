"""Where wheels live: written whole or not at all, and never changed.

Django's default storage does the work, so that a folder and a bucket both serve.  Names hold the sha256 of
their content (`Wheel.path`), so a write that is repeated, or that another process did first, is the same.
"""

import os
import tempfile
from pathlib import Path

from django.core.files import File
from django.core.files.base import ContentFile
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
        """Write a temporary file, sync it to the disk, and only then give it its name."""
        path = Path(self.path(name))
        fresh = [folder for folder in (path.parent, path.parent.parent) if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".new-", delete=False) as new:
            try:
                for chunk in content.chunks():
                    new.write(chunk)
                new.flush()
                os.fchmod(new.fileno(), 0o644)
                os.fsync(new.fileno())
                Path(new.name).replace(path)
            except BaseException:
                Path(new.name).unlink(missing_ok=True)
                raise
        # Each name is in its folder, and the name of a new folder in the one above.
        for folder in (path.parent, *(folder.parent for folder in fresh)):
            _sync_folder(folder)
        return name


def _sync_folder(folder: Path) -> None:
    """Have the disk remember which names a folder holds."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def store_file(name: str, path: Path) -> None:
    """Store a file of this machine under that name."""
    if not default_storage.exists(name):
        with path.open("rb") as source:
            default_storage.save(name, File(source))


def store_bytes(name: str, content: bytes) -> None:
    """Store these bytes under that name."""
    if not default_storage.exists(name):
        default_storage.save(name, ContentFile(content))


def read_bytes(name: str) -> bytes:
    """Return what is stored under that name; raises FileNotFoundError."""
    with default_storage.open(name) as file:
        return bytes(file.read())
