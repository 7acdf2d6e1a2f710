"""Moves all files from the storage before into the one that is written to, while everybody reads.

A file is copied, read back and compared before anything else is done with it; what is in the new storage
already is passed over, so a move that was stopped goes on.
"""

import heapq
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter

from django.core.files import File

from builds.files import stored
from builds.files.storage import Holder, sha256_of, stored_sha256
from builds.files.stored import LOGS, LOST_AND_FOUND, PREFIXES, Stored, wheel_file
from builds.models import Wheel
from packages.batches import batches
from packages.models import Package

# How long a file stays in the old storage after it was copied: longer than the addresses that we sign for a
# bucket (an hour), and than whoever has just asked where it is needs to open it.
STAYS = timedelta(hours=2)


@dataclass
class Moved:
    """What a move has done, or would do."""

    copied: int = 0
    copied_bytes: int = 0
    there: int = 0
    deleted: int = 0
    too_new: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether the new storage has all that the old one has."""
        return not self.faults


@dataclass
class Move:
    """One move from a storage to another."""

    before: Holder
    new: Holder
    now: datetime
    deletes: bool = False
    is_dry: bool = False
    done: Moved = field(default_factory=Moved)

    def parts(self) -> list[str]:
        """Return the folders that are moved one after the other.

        What is there in both is remembered for a folder at a time: of logs those of ten thousand builds, as
        the first hundred million are all below one name.
        """
        tops = [f"{LOGS}/{top}" for top in self.before.folders(LOGS)]
        logs = [f"{top}/{below}" for top in tops for below in self.before.folders(top)]
        there = set(self.before.folders(""))
        return [*(part for part in (*PREFIXES, LOST_AND_FOUND) if part in there), *logs]

    def strangers(self) -> list[str]:
        """Return what is at the top of the old storage and none of ours, so that it is not moved."""
        return [
            name for name in (*self.before.folders(""), *self.before.loose("")) if not stored.is_ours(name)
        ]

    def run(self, part: str, tell: Callable[[str], None]) -> None:
        """Move what is in a folder, and have the index follow.

        It follows with what is there already, too: whoever was killed having copied it has told nobody.  And
        it does before anything is deleted, after which nobody comes by that name again.
        """
        hashes: set[str] = set()
        there: list[tuple[Stored, Stored]] = []
        try:
            for old, new in _pairs(self.before.walk(part), self.new.walk(part)):
                if stored.is_temporary(old.name):
                    continue
                tell(old.name)
                if of := wheel_file(old.name):
                    hashes.add(of.sha256)
                if new is None or new.size != old.size:
                    with self._apart(old.name):
                        self._copy(old)
                else:
                    there.append((old, new))
        finally:
            if hashes and not self.is_dry:
                _show_anew(part, hashes)
        self.done.there += len(there)
        if self.deletes:
            for old, new in there:
                tell(old.name)
                with self._apart(old.name):
                    self._delete(old, new)

    @contextmanager
    def _apart(self, name: str) -> Iterator[None]:
        """Note what is wrong with one file, which keeps no others."""
        try:
            yield
        except FileNotFoundError:
            # It was taken down, or tidied away, as we came to it.
            pass
        except _Spoilt as error:
            self.done.faults.append(f"{name}: {error}")

    def _copy(self, old: Stored) -> None:
        """Copy a file, and read it back."""
        if not self.is_dry:
            with self.before.open(old.name) as source:
                sha256 = sha256_of(source)
                of = wheel_file(old.name)
                if of and not of.ending and of.sha256 != sha256:
                    raise _Spoilt("its bytes are not those of its name; `check_storage --hashes` tells more.")
                self.new.save(old.name, File(source))
            if _is_taken_down(old.name):
                # They may have been removed from both while we still had them open.  That the old storage
                # lacks them tells nothing: another move deletes what it has found whole in the new one.
                self.new.delete(old.name)
                return
            if stored_sha256(self.new, old.name) != sha256:
                raise _Spoilt("other bytes came out of the new storage than went in; look at its disk.")
        self.done.copied += 1
        self.done.copied_bytes += old.size

    def _delete(self, old: Stored, new: Stored) -> None:
        """Delete a file from the old storage that has been in the new one for long enough."""
        if self.now - new.modified_at < STAYS:
            self.done.too_new += 1
            return
        if stored_sha256(self.before, old.name) != stored_sha256(self.new, old.name):
            raise _Spoilt("the two storages have other bytes of it; `check_storage --hashes` tells which.")
        if not self.is_dry:
            self.before.delete(old.name)
        self.done.deleted += 1


class _Spoilt(Exception):
    """A file cannot be moved; the text says why."""


def _pairs(old: Iterator[Stored], new: Iterator[Stored]) -> Iterator[tuple[Stored, Stored | None]]:
    """Give each old file with the new one of the same name, if there is one; both come in their order."""
    both = heapq.merge(
        ((file.name, False, file) for file in old),
        ((file.name, True, file) for file in new),
        key=itemgetter(0),
    )
    for _, group in groupby(both, key=itemgetter(0)):
        files = {is_new: file for _, is_new, file in group}
        if False in files:
            yield files[False], files.get(True)


def _is_taken_down(name: str) -> bool:
    """Tell whether a file has bytes that must be nowhere, whichever name of theirs it has."""
    of = wheel_file(name.removeprefix(f"{LOST_AND_FOUND}/"))
    return of is not None and of.is_exact and Wheel.objects.is_taken_down(of.filename)


def _show_anew(prefix: str, hashes: set[str]) -> None:
    """Have the published index link the files of wheels where they are now."""
    # Not while they are read: on SQLite nobody writes then.
    wheels = list(Wheel.objects.below(prefix).values_list("sha256", "package_id"))
    for batch in batches(package for sha256, package in wheels if sha256 in hashes):
        Package.objects.show_anew(set(batch))
