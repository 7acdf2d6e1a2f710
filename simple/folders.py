"""Makes a project's folders in the published tree what they are to be; knows files and no rows.

In this order, so that no page ever lists a file that is not there: files are linked, pages replaced, and only
then files taken away.  Whatever happens in between, doing it again ends the same.

Pages are written under other names first.  The disk has their bytes before they get their own (`unsynced`),
as a power cut would leave empty pages otherwise, and their names before anybody notes them (`touched`).  Both
are for the caller to see to, of many packages at once: of many syncs only the first takes the disk long.
"""

import gzip
import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from packages import disk
from simple import tree
from simple.formats import Format
from simple.indexes import ALL

# What a page of this size or less would spare, its header costs.
PACKED_FROM = 200
# The note of since when no page lists files that are still there.
_UNLISTED = f"{tree.PRIVATE}unlisted"


@dataclass(frozen=True)
class Page:
    """A page, as it is and packed."""

    plain: bytes
    packed: bytes | None

    @classmethod
    def of(cls, plain: bytes) -> "Page":
        """Return a page; the same text is always packed into the same bytes."""
        packed = gzip.compress(plain, 6, mtime=0) if len(plain) > PACKED_FROM else None
        return cls(plain, packed)


# A project's page in each format.
Pages = Mapping[Format, Page]


def link(name: str, sources: Mapping[str, Path]) -> set[str]:
    """Link stored files into a project's folder, and return which of them are nowhere."""
    folder = tree.folder(ALL, name)
    if sources:
        folder.mkdir(parents=True, exist_ok=True)
    return {entry for entry, source in sources.items() if not _link(source, folder / entry)}


def _link(source: Path, entry: Path) -> bool:
    """Link a stored file; False if there is none.  What is linked is there, whatever became of the store."""
    if not source.exists():
        return entry.exists()
    if entry.exists() and entry.samefile(source):
        return True
    # The storage has moved, or has the file anew; whoever asks meanwhile gets the one or the other.
    new = tree.new(entry)
    new.unlink(missing_ok=True)
    try:
        new.hardlink_to(source)
    except FileNotFoundError:
        return entry.exists()
    except OSError as error:
        if error.errno not in disk.NO_HARD_LINK:
            raise
        new.symlink_to(source.absolute())
    new.replace(entry)
    return True


@dataclass
class Writing:
    """One pass over a project's pages in all indexes, which takes effect with `place`."""

    name: str
    # Whole seconds that no page of the project has had: nginx tells pages apart by this and by their size.
    stamp: int
    # What was written in this pass, by its name and hash; pages with the same content become one file.
    written: dict[tuple[str, bytes], Path] = field(default_factory=dict)
    # Files whose bytes, and folders whose names, the disk may not have got yet.
    unsynced: set[Path] = field(default_factory=set)
    touched: set[Path] = field(default_factory=set)
    # Where each page was written, None if it is to go; and the folders that may be empty then.
    _places: list[tuple[Path, Path | None]] = field(default_factory=list)
    _dropped: list[Path] = field(default_factory=list)

    def doubt(self, indexes: Collection[str]) -> None:
        """Have the disk remember what is there, too, as who put it there may have been killed before that."""
        for path in _page_files(self.name, indexes):
            self.unsynced.add(path)
            self.touched |= {path.parent, *tree.above(path.parent)}

    def put(self, index: str, pages: Pages) -> None:
        """Write the project's page in an index, if it is another one now."""
        folder = tree.folder(index, self.name)
        folder.mkdir(parents=True, exist_ok=True)
        self._tidy(folder)
        for format, page in pages.items():
            path = folder / tree.page_name(format)
            packed_path = path.with_name(path.name + tree.PACKED)
            before = read(path)
            # Both are written if either is another one, so that they have the same second again after a pass
            # that was killed between them; else who takes one and then the other would see it go back.
            if (before, read(packed_path)) == (page.plain, page.packed):
                continue
            # The folder of a first page may be new, and those above it.
            self.touched |= {folder, *(tree.above(folder) if before is None else ())}
            # Of whoever takes it packed, nobody is to get an old page when the new one is read to be there.
            if page.packed is not None:
                self._write(packed_path, page.packed, format)
            self._write(path, page.plain, format)
            if page.packed is None:
                self._places.append((packed_path, None))

    def drop(self, index: str) -> None:
        """Have no page of the project in an index."""
        folder = tree.folder(index, self.name)
        self._tidy(folder)
        self._places += [(folder / page, None) for page in tree.PAGE_FILES]
        self._dropped.append(folder)

    def place(self) -> None:
        """Give each page that was written its name, and take away what is to go, in the order of `put`."""
        for path, new in self._places:
            if new is None:
                self._remove(path)
            else:
                new.replace(path)
                # A rename onto another name of the same file would leave both.
                new.unlink(missing_ok=True)
        for folder in self._dropped:
            with suppress(OSError):
                folder.rmdir()

    def _write(self, path: Path, content: bytes, format: Format) -> None:
        """Write what is to replace a file as a whole."""
        new = tree.new(path)
        key = path.name, hashlib.sha256(content).digest()
        twin = self.written.get(key)
        if twin is None or not disk.link(twin, new):
            new.write_bytes(content)
            # The web server is somebody else, whatever this process keeps to itself.
            new.chmod(0o644)
            modified = second(format, self.stamp)
            os.utime(new, (modified, modified))
            self.unsynced.add(new)
        self.written[key] = new
        self._places.append((path, new))

    def _tidy(self, folder: Path) -> None:
        """Take away what a pass that was cut off had begun to write."""
        for path in list(folder.glob(f"{tree.PRIVATE}*.new")):
            path.unlink(missing_ok=True)

    def _remove(self, path: Path) -> None:
        """Take a file away, if it is there."""
        with suppress(FileNotFoundError):
            path.unlink()
            self.touched.add(path.parent)


def latest(name: str, indexes: Collection[str]) -> int:
    """Return the latest second that a page of a project has; 0 if there is none."""
    return max((int(path.stat().st_mtime) for path in _page_files(name, indexes)), default=0)


def second(format: Format, earliest: int) -> int:
    """Return the first second from one on that a page of this format may have.

    HTML has even seconds and JSON odd ones, so that no two formats ever share a validator.
    """
    return earliest + (earliest % 2 != (format is Format.JSON))


def _page_files(name: str, indexes: Collection[str]) -> Iterator[Path]:
    """Give the files that hold a project's pages."""
    for index in indexes:
        for page in tree.PAGE_FILES:
            path = tree.folder(index, name) / page
            if path.exists():
                yield path


def leftovers(name: str, wanted: Collection[str]) -> list[Path]:
    """Return the files in a project's folder that are neither pages nor wanted, nor our note of such."""
    ours = {*tree.PAGE_FILES, *wanted, _UNLISTED}
    try:
        entries = list(os.scandir(tree.folder(ALL, name)))
    except FileNotFoundError:
        return []
    return [Path(entry.path) for entry in entries if entry.name not in ours]


def unlisted(name: str) -> dict[str, datetime]:
    """Return since when no page lists files of a project, as it was noted; nothing if that note is spoilt."""
    try:
        noted = json.loads((tree.folder(ALL, name) / _UNLISTED).read_bytes())
        return {entry: datetime.fromisoformat(at) for entry, at in noted.items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return {}


def note_unlisted(name: str, since: Mapping[str, datetime]) -> None:
    """Note since when no page lists files of a project, beside them; without such, leave no note.

    One that a power cut takes is made anew, and its files stay the longer for it.
    """
    path = tree.folder(ALL, name) / _UNLISTED
    if since == unlisted(name) and (since or not path.exists()):
        return
    if since:
        new = path.with_name(f"{path.name}.new")
        new.write_text(json.dumps({entry: at.isoformat() for entry, at in sorted(since.items())}))
        new.replace(path)
        return
    path.unlink(missing_ok=True)
    with suppress(OSError):
        path.parent.rmdir()


def sweep(name: str, files: Collection[Path]) -> None:
    """Take files away, and the folder when it was the last."""
    for path in files:
        path.unlink(missing_ok=True)
    with suppress(OSError):
        tree.folder(ALL, name).rmdir()


def remove(name: str, indexes: Collection[str]) -> bool:
    """Take away all that the tree has of a name; False if there was nothing."""
    there = [index for index in indexes if tree.folder(index, name).is_dir()]
    for index in there:
        writing = Writing(name, stamp=0)
        writing.drop(index)
        writing.place()
    sweep(name, leftovers(name, wanted=()))
    note_unlisted(name, {})
    return bool(there)


def sync(paths: Collection[Path]) -> None:
    """Have the disk remember files and folders; one that is gone again needs no memory."""
    for path in sorted(paths, key=lambda path: path.is_dir()):
        with suppress(FileNotFoundError):
            disk.sync(path)


def read(path: Path) -> bytes | None:
    """Return what a file holds, None if it is not there."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
