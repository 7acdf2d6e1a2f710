"""Writes the lists of all projects, of each index one, in one pass over all names.

A million names are never in memory together: rows come in chunks and go into files as they come, packed at
the same time.  The lists are written again when the names that are shown changed, and where that takes long,
only so often that it takes a hundredth of the time.
"""

import filecmp
import os
import time
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from simple import folders, indexes, pages, tree
from simple.formats import Format, ListedProject
from simple.models import PublishedTree, Shown

# How many rows are read at once, and how much is gathered before it is written.
CHUNK_ROWS = 2000
CHUNK_BYTES = 1 << 16
# zlib's sign for gzip's own format.
_GZIP = 16 + zlib.MAX_WBITS

LOCK = "lists"


def publish(now: datetime, *, at_once: bool = False) -> bool:
    """Write the lists of all projects, if they are due and nobody else does; False if not."""
    with tree.held(LOCK, wait=at_once) as is_ours:
        state = PublishedTree.current()
        if not is_ours or not (at_once or state.is_listing_due(now)):
            return False
        began = time.monotonic()
        _write(now)
        # What was noted while the names were read is for the next time.
        state.note_listed(state.names, now, time.monotonic() - began)
        return True


def _write(now: datetime) -> None:
    """Write the lists of the indexes there are, and take away those of others."""
    existing = tree.published_indexes()
    there_are = indexes.current(existing).names
    with ExitStack() as stack:
        lists = {
            (index, kind): stack.enter_context(_List(tree.folder(index), kind))
            for index in there_are
            for kind in pages.KINDS
        }
        _fill(lists)
        changed = {folder for each in lists.values() for folder in each.finish(int(now.timestamp()))}
    folders.sync(changed)
    for index in existing.difference(there_are):
        for page in tree.PAGE_FILES:
            (tree.folder(index) / page).unlink(missing_ok=True)


def _fill(lists: "Mapping[tuple[str, Format], _List]") -> None:
    """Give each name to the lists that have it; a row is made once for all of them."""
    rows = Shown.objects.listed().values_list("package__name", "display_name", "indexes")
    for name, display_name, listed_in in rows.iterator(chunk_size=CHUNK_ROWS):
        listed = ListedProject(name, display_name)
        made = {kind: pages.row(listed, kind) for kind in pages.KINDS}
        for index in listed_in.split():
            for kind, row in made.items():
                if (index, kind) in lists:
                    lists[index, kind].add(row)


def paths(of: Collection[str]) -> Iterator[tuple[str, Format, Path]]:
    """Give the file of each list: its index, its format, and where it is."""
    for index in of:
        for kind in pages.KINDS:
            yield index, kind, tree.folder(index) / tree.page_name(kind)


def pieces(index: str, kind: Format) -> Iterator[bytes]:
    """Give what the list of an index is to hold, piece by piece."""
    rows = Shown.objects.listed().values_list("package__name", "display_name", "indexes")
    listed = (
        ListedProject(name, display_name)
        for name, display_name, listed_in in rows.iterator(chunk_size=CHUNK_ROWS)
        if index in listed_in.split()
    )
    return pages.root(listed, kind)


class _List:
    """The list of an index in one format, as it is and packed, under names that nobody reads yet."""

    def __init__(self, folder: Path, kind: Format) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._kind = kind
        self._path = folder / tree.page_name(kind)
        self._packed_path = folder / (tree.page_name(kind) + tree.PACKED)
        self._opening, self._between, self._closing = pages.frame(kind)
        self._rows = 0
        self._gathered = bytearray(self._opening)
        self._zip = zlib.compressobj(6, zlib.DEFLATED, _GZIP)

    def __enter__(self) -> "_List":
        self._plain = tree.new(self._path).open("wb")
        self._packed = tree.new(self._packed_path).open("wb")
        return self

    def __exit__(self, *error: object) -> None:
        """Leave nothing half written behind."""
        for file, path in ((self._plain, self._path), (self._packed, self._packed_path)):
            file.close()
            tree.new(path).unlink(missing_ok=True)

    def add(self, row: bytes) -> None:
        """Add a row."""
        if self._rows:
            self._gathered += self._between
        self._gathered += row
        self._rows += 1
        if len(self._gathered) >= CHUNK_BYTES:
            self._flush()

    def _flush(self) -> None:
        """Write what was gathered."""
        self._plain.write(self._gathered)
        self._packed.write(self._zip.compress(self._gathered))
        self._gathered.clear()

    def finish(self, now: int) -> set[Path]:
        """Put the list in the place of the one before, unless it is the same; return what is to be synced."""
        self._gathered += self._closing
        self._flush()
        self._packed.write(self._zip.flush())
        self._plain.close()
        self._packed.close()
        if _is_written(self._path) and _is_written(self._packed_path):
            return set()
        modified = self._modified(now)
        folders.sync([tree.new(self._packed_path), tree.new(self._path)])
        for path in (self._packed_path, self._path):
            tree.new(path).chmod(0o644)
            os.utime(tree.new(path), (modified, modified))
            tree.new(path).replace(path)
        return {self._path.parent, *tree.above(self._path.parent)}

    def _modified(self, now: int) -> int:
        """Return a second that the list has not had."""
        last = max(
            [int(path.stat().st_mtime) for path in (self._path, self._packed_path) if path.exists()],
            default=0,
        )
        return folders.second(self._kind, max(now, last + 1))


def _is_written(path: Path) -> bool:
    """Tell whether a file is already what is about to be written."""
    return path.exists() and filecmp.cmp(path, tree.new(path), shallow=False)
