"""Is the published tree what the rows say it should be?

Each package's pages are made again and compared, each of its files looked for, and all that is there must be
of a package.  Here is only looked: what is found is written anew by `rebuilding`.  A package that changes
while it is looked at is passed over, as the writer comes to it by itself.
"""

import gzip
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, cast

from django.core.files import File

from builds.files.storage import sha256_of
from packages.batches import batches
from packages.models import Package
from simple import folders, index, indexes, publishing, roots, tree
from simple.folders import Pages
from simple.index import Holdings
from simple.indexes import ALL, Indexes
from simple.models import PublishedTree, Shown


class Kind(StrEnum):
    """What can be wrong."""

    MISSING_PAGE = "missing page"
    OTHER_PAGE = "other page"
    EXTRA_PAGE = "extra page"
    MISSING_FILE = "missing file"
    DEAD_LINK = "link to nothing"
    OTHER_FILE = "other file"
    SPOILT = "spoilt file"
    EXTRA_FILE = "extra file"
    EXTRA_FOLDER = "extra folder"
    LIST = "other list"


@dataclass(frozen=True)
class Fault:
    """Something in the tree that is not as it must be."""

    kind: Kind
    place: str  # below the tree
    said: str
    name: str = ""  # the package's, or what has its place

    def __str__(self) -> str:
        return f"{self.kind}: {self.place}: {self.said}"


@dataclass(frozen=True)
class Step:
    """What was seen of some packages."""

    packages: int
    files: int
    faults: tuple[Fault, ...]


def of_packages(names: Collection[str], *, reads: bool) -> Iterator[Step]:
    """Compare packages with the tree, all that may be in it if none are named; with `reads` all bytes."""
    existing = tree.published_indexes()
    there_are = indexes.current(existing)
    look = _Look(there_are, tuple(sorted({*existing, *there_are.names})), reads)
    for batch in batches(Shown.objects.keys_of(names), publishing.TOGETHER):
        yield look.at(batch)


def of_tree() -> Iterator[Step]:
    """Look for folders of no package, and compare the lists of all projects."""
    for each in sorted(tree.published_indexes()):
        with suppress(FileNotFoundError), os.scandir(tree.folder(each)) as entries:
            folders_there = (entry.name for entry in entries if entry.is_dir())
            for batch in batches(folders_there):
                yield Step(0, 0, tuple(_strangers(each, batch)))
    yield Step(0, 0, tuple(_lists()))


def _strangers(each: str, names: Collection[str]) -> Iterator[Fault]:
    """Give the folders of an index that are of nothing which the tree was ever told of."""
    known = set(Shown.objects.filter(package__name__in=names).values_list("package__name", flat=True))
    for name in sorted(set(names) - known):
        yield Fault(Kind.EXTRA_FOLDER, f"{each}/{name}", "It is of no package that has wheels.", name)


def _lists() -> Iterator[Fault]:
    """Give the lists of all projects that are not what they were last written to be."""
    state = PublishedTree.current()
    if state.names != state.names_listed:
        return  # The writer is about to write them.
    there_are = indexes.current(tree.published_indexes()).names
    for each, kind, path in roots.paths(there_are):
        for file, is_packed in ((path, False), (path.with_name(path.name + tree.PACKED), True)):
            try:
                with file.open("rb") as raw, gzip.open(raw) if is_packed else nullcontext(raw) as read:
                    is_same = _is_same(roots.pieces(each, kind), cast("IO[bytes]", read))
            except OSError:
                is_same = False
            if not is_same and PublishedTree.current().names == state.names:
                yield Fault(Kind.LIST, f"{each}/{file.name}", "It does not list the packages that are shown.")


def _is_same(pieces: Iterator[bytes], file: IO[bytes]) -> bool:
    """Tell whether a file holds just that."""
    return all(file.read(len(piece)) == piece for piece in pieces) and not file.read(1)


@dataclass(frozen=True)
class _Look:
    """One way to look at packages."""

    there_are: Indexes
    folders: tuple[str, ...]
    reads: bool

    def at(self, batch: Sequence[int]) -> Step:
        """Compare some packages, read together."""
        settled = _settled(batch)
        packages = list(Package.objects.filter(pk__in=settled).order_by("pk"))
        held = index.holdings(packages, with_upstream=self.there_are.has_full)
        rows = Shown.objects.in_bulk(settled)
        seen = [
            (each.package.pk, len(each.wheels), list(self._package(each, rows[each.package.pk])))
            for each in held
        ]
        # Rows and files are not read at the same instant.
        still = _settled(batch)
        sure = [(files, faults) for key, files, faults in seen if still.get(key) == settled[key]]
        return Step(
            packages=len(batch),
            files=sum(files for files, _ in sure),
            faults=tuple(fault for _, faults in sure for fault in faults),
        )

    def _package(self, held: Holdings, row: Shown) -> Iterator[Fault]:
        """Give what is wrong with one package."""
        name, files = held.package.name, publishing.files(held)
        sources = {entry: source for each in files.values() for entry, source in each.items()}
        yield from self._files(name, sources, publishing.hashes(held))
        lost = {wheel for wheel, entries in files.items() if _is_lost(name, entries)}
        made = publishing.rendered(index.details(held.without(lost), self.there_are))
        for each in self.folders:
            yield from _pages(each, name, made.get(each))
        # What no page lists any more goes when whoever has just read one is done.
        if row.sweep_at is None:
            for path in folders.leftovers(name, sources):
                yield Fault(Kind.EXTRA_FILE, f"{ALL}/{name}/{path.name}", "No page lists it.", name)

    def _files(self, name: str, sources: Mapping[str, Path], hashes: Mapping[str, str]) -> Iterator[Fault]:
        """Give what is wrong with the links to a package's files."""
        for entry, source in sorted(sources.items()):
            path, place = tree.folder(ALL, name) / entry, f"{ALL}/{name}/{entry}"
            if not path.exists():
                kind = Kind.DEAD_LINK if path.is_symlink() else Kind.MISSING_FILE
                lost = "" if source.exists() else ", nor in the storage: `check_storage` tells more"
                yield Fault(kind, place, f"It is not there{lost}.", name)
            elif source.exists() and not path.samefile(source):
                yield Fault(Kind.OTHER_FILE, place, "It is not the stored file.", name)
            elif self.reads and _sha256(path) != hashes[entry]:
                yield Fault(
                    Kind.SPOILT, place, "Its bytes are others: `check_storage --hashes --fix` mends it.", name
                )


def _settled(batch: Sequence[int]) -> dict[int, int]:
    """Return which of these packages the tree shows as they are, with their revision."""
    shown = Package.objects.filter(pk__in=batch).values_list("pk", "revision", "shown_revision")
    return {key: revision for key, revision, of_tree in shown if revision == of_tree}


def _is_lost(name: str, entries: Mapping[str, Path]) -> bool:
    """Tell whether a wheel cannot be had, so that no page may list it."""
    folder = tree.folder(ALL, name)
    return any(not source.exists() and not (folder / entry).exists() for entry, source in entries.items())


def _pages(each: str, name: str, made: Pages | None) -> Iterator[Fault]:
    """Give what is wrong with a package's pages in one index."""
    wanted: dict[str, bytes | None] = {}
    for kind, page in (made or {}).items():
        wanted[tree.page_name(kind)] = page.plain
        wanted[tree.page_name(kind) + tree.PACKED] = page.packed
    folder = tree.folder(each, name)
    for page_name in tree.PAGE_FILES:
        content, place = wanted.get(page_name), f"{each}/{name}/{page_name}"
        found = folders.read(folder / page_name)
        if found == content:
            continue
        if found is None:
            yield Fault(Kind.MISSING_PAGE, place, "It is not there.", name)
        elif content is None:
            yield Fault(Kind.EXTRA_PAGE, place, "It should not be there.", name)
        else:
            yield Fault(Kind.OTHER_PAGE, place, "It does not say what the rows say.", name)


def _sha256(path: Path) -> str:
    """Return the sha256 of a file; "" of one that has just gone."""
    try:
        with path.open("rb") as file:
            return sha256_of(File(file))
    except FileNotFoundError:
        return ""
