"""Is what the rows promise in the storage, and does all that is there belong to a row?

Both are read in the order of their hashes and compared as they come, one part of 256 after the other, so that
ten million files take no more memory than ten.  Here is only looked; `mending` does something about it.
"""

import heapq
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from operator import itemgetter

from builds.files import moving, stored
from builds.files.storage import Holder, Unreachable, stored_sha256
from builds.files.stored import GRACE, LOGS, PREFIXES, Stored
from builds.models import Build, Wheel
from packages.batches import batches
from packages.legible import legible

_HASH = re.compile(r"[0-9a-f]{64}/")


class Kind(StrEnum):
    """What can be wrong."""

    MISSING = "missing"
    SPOILT = "spoilt"
    UNREADABLE = "unreadable"
    TAKEN_DOWN = "taken down"
    FOUND = "found again"
    STRANGER = "stranger"
    TEMPORARY = "leftover"
    UNLOGGED = "without log"


@dataclass(frozen=True)
class Fault:
    """Something that is not as it must be."""

    kind: Kind
    name: str
    said: str
    wheel: Wheel | None = None

    def __str__(self) -> str:
        # A name may have bytes that are no text, which neither a database nor a terminal takes.
        return legible(f"{self.kind}: {self.name}: {self.said}")


@dataclass(frozen=True)
class Step:
    """What was seen of one hash, or of a batch of other files."""

    position: str  # the hash, from which a later check can go on; "" if from none
    wheels: int  # rows that must have a file
    files: int
    size: int
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class Check:
    """One way to look: at which time, whether all bytes are read, and whether every build must have a log."""

    now: datetime
    reads: bool
    holder: Holder
    # What is not there may be in the storage before, while files move.
    before: Holder | None
    with_logs: bool = False

    @classmethod
    def of_storage(cls, now: datetime, *, reads: bool, with_logs: bool = False) -> "Check":
        """Return a check of the storage as it is set; raises Unreachable."""
        holder, before = moving.both()
        # A farm that has nothing yet has no folder for it either.
        if Wheel.objects.standing().exists():
            for each in filter(None, (holder, before)):
                each.require()
            if not holder.folders("") and not before:
                raise Unreachable(
                    f"{holder.said()} is empty, while there are wheels: mount it, or put the setting right."
                )
        return cls(now, reads, holder, before, with_logs)

    def part(self, prefix: str, after: str = "") -> Iterator[Step]:
        """Compare the wheels whose hashes begin so, from after one of them; then this part of the rest.

        What cannot be listed is a fault, and keeps nobody from the rest.
        """
        number = PREFIXES.index(prefix)
        yield from _to_its_end(prefix, self._wheels(prefix, after))
        yield from _to_its_end(LOGS, self._logs(number))
        if self.with_logs:
            yield from _to_its_end(LOGS, self._unlogged(number))
        if prefix == PREFIXES[0]:
            yield from _to_its_end(self.holder.said(), self._others())

    def _wheels(self, prefix: str, after: str) -> Iterator[Step]:
        """Compare the wheels whose hashes begin so, from after one of them."""
        start = f"{prefix}/{after}0" if after else ""  # what comes after all in the folder of that hash
        rows = ((f"{row.sha256}/", row) for row in _rows(prefix, after))
        files = ((stored.hash_folder(file.name), file) for file in self.holder.walk(prefix, start))
        both: Iterable[tuple[str, Wheel | Stored]] = heapq.merge(rows, files, key=itemgetter(0))
        for key, group in groupby(both, key=itemgetter(0)):
            things = [thing for _, thing in group]
            wheels = [thing for thing in things if isinstance(thing, Wheel)]
            found = [thing for thing in things if isinstance(thing, Stored)]
            position = key.rstrip("/") if _HASH.fullmatch(key) else ""
            yield self._compared(position, wheels, {file.name: file for file in found})

    def _compared(self, position: str, wheels: Collection[Wheel], files: Mapping[str, Stored]) -> Step:
        """Compare what must be below one hash with what is."""
        faults = [fault for wheel in wheels for fault in self._wheel(wheel, files)]
        filenames = {wheel.filename for wheel in wheels}
        strangers = [
            file
            for file in files.values()
            if (of := stored.wheel_file(file.name)) is None or of.filename not in filenames
        ]
        return Step(
            position=position,
            wheels=sum(wheel.withdrawn_at is None for wheel in wheels),
            files=len(files),
            size=sum(file.size for file in files.values()),
            faults=(*faults, *self._strange(strangers)),
        )

    def _wheel(self, wheel: Wheel, files: Mapping[str, Stored]) -> Iterator[Fault]:
        """Give what is wrong with the files of one wheel."""
        if wheel.taken_down_at:
            there = [name for name in wheel.paths if name in files]
            yield from (Fault(Kind.TAKEN_DOWN, name, "It is there still or again.", wheel) for name in there)
        elif wheel.lost_at:
            if wheel.path in files and not any(self._all_of(wheel, files, reads=True)):
                yield Fault(Kind.FOUND, wheel.path, "It is whole again.", wheel)
        elif wheel.withdrawn_at is None:
            faults = list(self._all_of(wheel, files, reads=self.reads))
            # Rows and files are not read at the same instant.
            if faults and Wheel.objects.standing().filter(pk=wheel.pk).exists():
                yield from faults

    def _all_of(self, wheel: Wheel, files: Mapping[str, Stored], *, reads: bool) -> Iterator[Fault]:
        """Give what is wrong with the files that a wheel must have."""
        for name, size, sha256 in (
            (wheel.path, wheel.size, wheel.sha256),
            (wheel.metadata_path, None, wheel.metadata_sha256),
            (wheel.provenance_path, None, ""),
        ):
            try:
                kind, said = self._one(name, files, size, sha256 if reads else "")
            except moving.faults() as error:
                kind, said = Kind.UNREADABLE, f"It cannot be read: {error}"
            if kind:
                yield Fault(kind, name, said, wheel)

    def _one(
        self, name: str, files: Mapping[str, Stored], size: int | None, sha256: str
    ) -> tuple[Kind | None, str]:
        """Return what is wrong with one file that must be there, if anything is."""
        place = self.holder if name in files else self._place(name)
        if place is None:
            return Kind.MISSING, "It is not there."
        found = files[name].size if name in files else place.size(name)
        if found == 0 or (size is not None and found != size):
            return Kind.SPOILT, f"It has {found} bytes" + (f" instead of {size}." if size else ".")
        if sha256 and (read := stored_sha256(place, name)) != sha256:
            return Kind.SPOILT, f"Its bytes are others: {read[:16]}… instead of {sha256[:16]}…"
        return None, ""

    def _place(self, name: str) -> Holder | None:
        """Return who has a file that was not listed, None if nobody has."""
        for place in (self.holder, self.before):
            try:
                if place and place.size(name) >= 0:
                    return place
            except FileNotFoundError:
                continue
        return None

    def _strange(self, files: Iterable[Stored]) -> Iterator[Fault]:
        """Give those of files without a row that have been there for long enough."""
        for file in files:
            if self.now - file.modified_at >= GRACE:
                yield (
                    Fault(Kind.TEMPORARY, file.name, "Its writer crashed.")
                    if stored.is_temporary(file.name)
                    else Fault(Kind.STRANGER, file.name, "It belongs to no row.")
                )

    def _logs(self, number: int) -> Iterator[Step]:
        """Compare one of as many parts of the logs as there are of the wheels."""
        tops = ((top, self.holder.folders(f"{LOGS}/{top}")) for top in self.holder.folders(LOGS))
        for folder in stored.log_folders(tops, number, len(PREFIXES)):
            for batch in batches(self.holder.walk(folder)):
                builds = {file.name: stored.log_build(file.name) for file in batch}
                wanted = [build for build in builds.values() if build is not None]
                known = set(Build.objects.filter(pk__in=wanted).values_list("pk", flat=True))
                yield self._batch(batch, [file for file in batch if builds[file.name] not in known])

    def _unlogged(self, number: int) -> Iterator[Step]:
        """Look for builds of one part of the folders of logs that brought a result and left no log."""
        last = Build.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        for folder in range(number, last // stored.LOGS_IN_FOLDER + 1, len(PREFIXES)):
            first = folder * stored.LOGS_IN_FOLDER
            results = Build.objects.filter(state__in=[Build.State.SUCCEEDED, Build.State.FAILED])
            ended = results.filter(
                pk__range=(first, first + stored.LOGS_IN_FOLDER - 1), finished_at__lt=self.now - GRACE
            )
            names = {stored.log_name(build) for build in ended.values_list("pk", flat=True)}
            if names:
                yield self._step_of(names - self._names(stored.log_name(first).rsplit("/", 1)[0]))

    def _names(self, folder: str) -> set[str]:
        """Return the names of all files below a folder, of either storage."""
        return {file.name for place in (self.holder, self.before) if place for file in place.walk(folder)}

    def _step_of(self, missing: Iterable[str]) -> Step:
        """Return what is to be said of logs that are nowhere."""
        said = "Its build ended, and there is no log of it."
        faults = tuple(Fault(Kind.UNLOGGED, name, said) for name in sorted(missing))
        return Step("", wheels=0, files=0, size=0, faults=faults)

    def _others(self) -> Iterator[Step]:
        """Look at what is where nothing of ours is."""
        tops = [LOGS, *(f"{LOGS}/{top}" for top in self.holder.folders(LOGS))]
        loose = [
            *self.holder.loose(""),
            *(f"{top}/{name}" for top in tops for name in self.holder.loose(top)),
        ]
        files = [Stored(n, self.holder.size(n), self.holder.get_modified_time(n)) for n in loose]
        yield self._batch(files, files)
        for top in self.holder.folders(""):
            if not stored.is_ours(top):
                yield from _to_its_end(top, self._below(top))

    def _below(self, top: str) -> Iterator[Step]:
        """Look at what is in a folder that is not ours."""
        for batch in batches(self.holder.walk(top)):
            yield self._batch(batch, batch)

    def _batch(self, files: Collection[Stored], strangers: Iterable[Stored]) -> Step:
        """Return what was seen of some files that are no wheels'."""
        size = sum(file.size for file in files)
        return Step("", wheels=0, files=len(files), size=size, faults=tuple(self._strange(strangers)))


def _to_its_end(name: str, steps: Iterator[Step]) -> Iterator[Step]:
    """Give these steps; that the storage fails before the last of them is a fault of what has that name."""
    try:
        yield from steps
    except moving.faults() as error:
        said = f"It cannot be listed, and what comes after that was not looked at: {error}"
        fault = Fault(Kind.UNREADABLE, name, said)
        yield Step("", wheels=0, files=0, size=0, faults=(fault,))


def _rows(prefix: str, after: str) -> Iterator[Wheel]:
    """Give the wheels of a part, in the order of their hashes."""
    # What is looked at, and not the text of a trial: a part is sorted, and may be twenty thousand.
    looked_at = ("sha256", "filename", "size", "metadata_sha256", "build", "package")
    wheels = Wheel.objects.below(prefix, after).only(*looked_at, "withdrawn_at", "lost_at", "taken_down_at")
    yield from wheels.iterator(chunk_size=1000)
