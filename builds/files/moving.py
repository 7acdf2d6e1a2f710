"""Two storages that are one to whoever reads, while the files of one move into the other.

A file only ever moves one way, and is whole in the new storage before it leaves the old one.  So whoever
looks in the new one, then in the old one, and then once more in the new one, finds it.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from django.core.files import File
from django.core.files.storage import Storage, default_storage, storages

from builds.files.storage import Holder, Unreachable, WholeFileStorage

Answer = TypeVar("Answer")


class MovingStorage(Storage):
    """Writes into the new storage, and reads from the one before what the new one lacks."""

    def __init__(self, new: dict[str, Any], before: dict[str, Any]) -> None:  # Any: as in STORAGES
        self.new: Any = storages.create_storage(new)  # Any: django-stubs knows no `Holder`
        self.before: Any = storages.create_storage(before)

    def _first(self, ask: Callable[[Any], Answer]) -> Answer:
        """Ask the storages that may have a file; raises FileNotFoundError if none has it."""
        for storage in (self.new, self.before):
            try:
                return ask(storage)
            except FileNotFoundError:
                continue
        return ask(self.new)

    def _place(self, name: str) -> Any:  # Any: as above
        """Return the storage that has a file, the new one if none has."""
        return next((each for each in (self.new, self.before) if each.exists(name)), self.new)

    def _open(self, name: str, mode: str = "rb") -> File:  # type: ignore[type-arg]
        return self._first(lambda storage: storage.open(name, mode))

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Return the name itself, as each of the two does."""
        return name

    def _save(self, name: str, content: File) -> str:  # type: ignore[type-arg]
        return str(self.new.save(name, content))

    def exists(self, name: str) -> bool:
        """Tell whether one of them has the file."""
        return bool(self.new.exists(name) or self.before.exists(name) or self.new.exists(name))

    def size(self, name: str) -> int:
        """Return a file's size; raises FileNotFoundError."""
        return self._first(lambda storage: int(storage.size(name)))

    def get_modified_time(self, name: str) -> datetime:
        """Return when a file was written where it is read from."""
        found: datetime = self._place(name).get_modified_time(name)
        return found

    def path(self, name: str) -> str:
        """Return the path of a file; raises NotImplementedError for one that is in a bucket."""
        return str(self._place(name).path(name))

    def url(self, name: str | None) -> str:
        """Return an address in a bucket that a file can be had from for a while.

        It may have been copied into a folder since somebody asked for its path, and is in the bucket still.
        """
        buckets = [each for each in (self.new, self.before) if not isinstance(each, WholeFileStorage)]
        place = next((each for each in buckets if each.exists(name)), self.new)
        return str(place.url(name))

    def delete(self, name: str) -> None:
        """Remove a file from both."""
        self.before.delete(name)
        self.new.delete(name)


def both() -> tuple[Holder, Holder | None]:
    """Return the storage that is written to, and the one before it if files are moving."""
    storage: Any = default_storage  # Any: which class it is, is a setting
    return (storage.new, storage.before) if isinstance(storage, MovingStorage) else (storage, None)


def require() -> None:
    """Raise Unreachable unless each storage that there is can be used."""
    for storage in filter(None, both()):
        storage.require()


def faults() -> tuple[type[Exception], ...]:
    """Return what is raised when a storage fails, OSError among it."""
    return (Unreachable, *(fault for storage in both() if storage for fault in storage.FAULTS))
