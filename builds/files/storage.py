"""Where wheels live: written whole or not at all, and never changed.

Django's default storage does the work, so that a folder and a bucket both serve.  Names hold the sha256 of
their content (`Wheel.path`), so a write that is repeated, or that another process did first, is the same.
"""

import hashlib
import os
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Protocol

from django.core.files import File
from django.core.files.storage import FileSystemStorage, Storage, default_storage
from django.utils import timezone

from builds.files.stored import GRACE, MARK, TEMPORARY, Stored, wheel_file
from builds.models import Wheel
from packages import disk

_BLOCK = 1 << 20
# How many of the newest wheels are looked for in a folder without a mark.
_KNOWN_BY = 100


class Holder(Protocol):
    """What a storage of ours can do beyond Django's: be walked, and give a file another name."""

    # What it raises when it fails.
    FAULTS: tuple[type[Exception], ...]

    def save(self, name: str, content: File) -> str:  # type: ignore[type-arg]
        """Write a file whole."""

    def open(self, name: str) -> File:  # type: ignore[type-arg]
        """Open a file; raises FileNotFoundError."""

    def size(self, name: str) -> int:
        """Return a file's size; raises FileNotFoundError."""

    def get_modified_time(self, name: str) -> datetime:
        """Return when a file was written here; raises FileNotFoundError."""

    def delete(self, name: str) -> None:
        """Remove a file, if it is there."""

    def walk(self, folder: str, after: str = "") -> Iterator[Stored]:
        """Give all files below a folder whose names come after that one, in the order of their names."""

    def folders(self, folder: str) -> list[str]:
        """Return the names of a folder's folders, sorted; none if it is not there."""

    def loose(self, folder: str) -> list[str]:
        """Return the names of the files that are directly in a folder, "" for the storage itself."""

    def rename(self, old: str, new: str) -> None:
        """Give a file another name; raises FileNotFoundError."""

    def require(self) -> None:
        """Raise Unreachable if the storage as a whole is not there."""

    def said(self) -> str:
        """Return where it is, as the setting has it."""


class Unreachable(Exception):
    """A storage is not there; the text says what to do."""


class Unreadable(Exception):
    """A file that is to be taken cannot be read; the text says why."""


def blocks(file: BinaryIO) -> Iterator[bytes]:
    """Read a file of somebody else's: its faults are Unreadable's, and not of where it is written to."""
    try:
        while block := file.read(_BLOCK):
            yield block
    except OSError as error:
        raise Unreadable(str(error)) from error


class WholeFileStorage(FileSystemStorage):
    """A folder in which a file is either there with all of its bytes, or not there.

    Django's own writes into the final name, and a crash leaves half a wheel there, which the next try
    would then avoid by inventing another name.
    """

    FAULTS: tuple[type[Exception], ...] = (OSError,)

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Return the name itself: what is there already is the same content."""
        return name

    def get_modified_time(self, name: str) -> datetime:
        """Return when a file was written or linked here; raises FileNotFoundError."""
        return _came_at(Path(self.path(name)).stat())

    def _save(self, name: str, content: File) -> str:  # type: ignore[type-arg]
        """Write one file."""
        self.write({name: content.chunks()})
        return name

    def write(self, files: Mapping[str, Iterable[bytes]]) -> None:
        """Write temporary files, sync them to the disk, and only then give each its name, in this order.

        Raises Unreachable: what is written where a disk is not mounted would be hidden by it later.
        """
        self.require()
        paths = {name: Path(self.path(name)) for name in files}
        folders = {path.parent for path in paths.values()}
        fresh = {each for folder in folders for each in (folder, folder.parent) if not each.exists()}
        written: dict[Path, Path] = {}
        try:
            for name, chunks in files.items():
                paths[name].parent.mkdir(parents=True, exist_ok=True)
                descriptor, temporary = tempfile.mkstemp(dir=paths[name].parent, prefix=TEMPORARY)
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
            disk.sync(folder)

    def remember(self, names: Iterable[str]) -> None:
        """Have the disk remember these names: who gave them to files may have been killed before that."""
        root = Path(self.path(""))
        for folder in {each for name in names for each in Path(self.path(name)).parents}:
            if folder.is_relative_to(root):
                disk.sync(folder)

    def take(self, path: Path, *, by_link: bool) -> Path:
        """Return a temporary file of ours with the bytes of another, linked to it or copied.

        Whatever becomes of that name afterwards, these bytes can be read and then settled.
        """
        new = self.fresh()
        if by_link and disk.link(path, new):
            return new
        try:
            with path.open("rb") as old, new.open("xb") as copy:
                copy.writelines(blocks(old))
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        new.chmod(0o644)
        return new

    def fresh(self) -> Path:
        """Return where a file that is to be settled can be written; raises Unreachable."""
        self.require()
        return Path(self.path(f"{TEMPORARY}{uuid.uuid4().hex}"))

    def settle(self, taken: Path, name: str) -> None:
        """Give a file that was taken its name; whoever needs it after a power cut has the disk synced."""
        path = Path(self.path(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        taken.replace(path)
        # Of two names for one file, renaming one to the other does nothing.
        taken.unlink(missing_ok=True)

    def delete(self, name: str) -> None:
        """Remove a file, and the folders that were there for it alone."""
        super().delete(name)
        self._prune(Path(self.path(name)).parent)

    def rename(self, old: str, new: str) -> None:
        """Give a file another name; raises FileNotFoundError."""
        path, target = Path(self.path(old)), Path(self.path(new))
        if not path.exists():
            raise FileNotFoundError(old)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
        disk.sync(target.parent)
        self._prune(path.parent)

    def walk(self, folder: str, after: str = "") -> Iterator[Stored]:
        """Give all files below a folder whose names come after that one, in the order of their names."""
        for entry in _sorted_entries(Path(self.path(folder))):
            name = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir():
                if f"{name}/" > after or after.startswith(f"{name}/"):
                    yield from self.walk(name, after)
            elif name > after and (found := _stored(name, entry)):
                yield found

    def folders(self, folder: str) -> list[str]:
        """Return the names of a folder's folders, sorted; none if it is not there."""
        return [entry.name for entry in _sorted_entries(Path(self.path(folder))) if entry.is_dir()]

    def loose(self, folder: str) -> list[str]:
        """Return the names of the files that are directly in a folder, "" for the storage itself."""
        return [entry.name for entry in _sorted_entries(Path(self.path(folder))) if not entry.is_dir()]

    def require(self) -> None:
        """Raise Unreachable if the folder is not the storage: a disk that is not mounted leaves an empty one.

        It is known by a mark, which is made where the farm has no wheels yet, or some of them are there.  A
        disk that gives only errors is as good as not mounted.
        """
        try:
            self._know()
        except OSError as error:
            raise Unreachable(f"{self.said()} gives only errors: mend or mount it. {error}") from error

    def _know(self) -> None:
        """Look for the mark, or make it; raises Unreachable."""
        mark = Path(self.path(MARK))
        if mark.exists():
            return
        newest = Wheel.objects.standing().order_by("-pk")[:_KNOWN_BY]
        if newest and not any(default_storage.exists(wheel.path) for wheel in newest):
            raise Unreachable(
                f"None of the newest wheels is in {self.path('')}: mount it, or put the setting right."
                f" If they are lost, put a file {MARK} there, and `check_storage --fix` withdraws them."
            )
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text("Here are the files of a piwheels farm. Without this one nothing is written here.\n")

    def said(self) -> str:
        """Return where it is, as the setting has it."""
        return str(self.base_location)

    def _prune(self, folder: Path) -> None:
        """Remove folders that hold nothing; those at the top stay, as others may just be writing there."""
        root = Path(self.path(""))
        while root in folder.parent.parents:
            try:
                folder.rmdir()
            except OSError:
                return
            folder = folder.parent


def _sorted_entries(folder: Path) -> list["os.DirEntry[str]"]:
    """Return what is in a folder but a storage's mark, in the order of the full names of the files below."""
    try:
        with os.scandir(folder) as entries:
            files = (entry for entry in entries if entry.name != MARK)
            return sorted(files, key=lambda entry: entry.name + "/" * entry.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _stored(name: str, entry: "os.DirEntry[str]") -> Stored | None:
    """Return a file as it is listed; None if it is gone meanwhile."""
    try:
        told = entry.stat()
    except FileNotFoundError:
        return None
    return Stored(name, told.st_size, _came_at(told))


def _came_at(told: os.stat_result) -> datetime:
    """Return since when a file can have had its name.

    The bytes of one that was linked here may be years old; a link, and a new name, changes its inode.
    """
    return datetime.fromtimestamp(told.st_ctime, UTC)


def _write_synced(file: BinaryIO, chunks: Iterable[bytes]) -> None:
    """Write a file that all may read, and have the disk remember its bytes."""
    for chunk in chunks:
        file.write(chunk)
    file.flush()
    os.fchmod(file.fileno(), 0o644)
    os.fsync(file.fileno())


def store(files: Mapping[str, BinaryIO]) -> None:
    """Store what these files hold under their names, in this order; those that are there stay as they are.

    What is there and cannot be what its name says, as half a file, is written anew.
    """
    new = {name: file for name, file in ((n, File(f)) for n, f in files.items()) if not _has(name, file)}
    if isinstance(default_storage, WholeFileStorage):
        # Together, as a folder then has to be synced only once.
        default_storage.write({name: file.chunks() for name, file in new.items()})
        default_storage.remember(files.keys() - new.keys())
    else:
        for name, file in new.items():
            default_storage.save(name, file)


def _has(name: str, file: File) -> bool:  # type: ignore[type-arg]
    """Tell whether a file is stored already.

    One without a row that is old may be set aside at any moment, so that is written anew, too.
    """
    if not default_storage.exists(name):
        return False
    size, of = default_storage.size(name), wheel_file(name)
    if of is None or not of.is_exact:
        # Whatever was first: a log and a statement are not the same bytes twice.
        return size > 0
    is_same = size == file.size and stored_sha256(default_storage, name) == sha256_of(file)
    return is_same and timezone.now() - default_storage.get_modified_time(name) < GRACE / 2


def sha256_of(file: File) -> str:  # type: ignore[type-arg]
    """Return the sha256 of a file from its beginning, and leave it there."""
    file.seek(0)
    digest = hashlib.sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
    file.seek(0)
    return digest.hexdigest()


def stored_sha256(storage: Holder | Storage, name: str) -> str:
    """Return the sha256 of what is stored under a name; raises FileNotFoundError."""
    with storage.open(name) as file:
        return sha256_of(file)


def store_bytes(name: str, content: bytes) -> None:
    """Store these bytes under that name."""
    store({name: BytesIO(content)})


def read_bytes(name: str) -> bytes:
    """Return what is stored under that name; raises FileNotFoundError."""
    with default_storage.open(name) as file:
        return bytes(file.read())
