"""Brings the published tree to what the database says, one changed package after the other.

Only one process writes at a time, and it takes the lock before it reads: so of two states the older one is
never published last.  A crash at any place leaves the package to be done again, which ends the same.
"""

import hashlib
import json
import logging
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TypeVar

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Q

from builds.files import moving
from builds.files.storage import Unreachable, WholeFileStorage
from builds.models import Wheel
from builds.wheels.coverage import Need
from packages import keyset
from packages.batches import batches
from packages.models import Package
from simple import folders, index, indexes, pages, shown, tree
from simple.folders import Page, Pages, Writing
from simple.formats import LAYOUT, Format, ProjectDetail
from simple.index import Holdings
from simple.indexes import ALL, Indexes
from simple.models import PublishedTree, Shown

logger = logging.getLogger(__name__)

# How many packages are read at once.
TOGETHER = 50
# How long one run goes on when there is no end of work.
RUN_S = 20.0

Of = TypeVar("Of", Holdings, "_Written")
Done = TypeVar("Done")

LOCK = "writer"
_KEY = f"{tree.PRIVATE}key"
# A package whose files are nowhere is looked at again then: whoever brings them back may not tell.
LOOK_AGAIN = timedelta(hours=1)


def publish(now: datetime, *, wait: bool = False, run_s: float = RUN_S) -> int:
    """Write what has changed into the tree, if nobody else does; return how many packages were looked at."""
    with tree.held(LOCK, wait=wait) as is_ours:
        return _publish(now, run_s) if is_ours else 0


def _publish(now: datetime, run_s: float) -> int:
    """Write what has changed, for as long as there is something, but not without end."""
    existing = tree.published_indexes()
    there_are = indexes.current(existing)
    settle(there_are)
    writer = _Writer(there_are, tuple(sorted({*existing, *there_are.names})), now)
    done, began = 0, time.monotonic()
    while time.monotonic() - began < run_s:
        batch, passed_over = shown.look(now, TOGETHER)
        done += passed_over
        if batch:
            done += writer.publish(batch)
        elif passed_over < shown.LOOKED_AT:
            break
    return done


def settle(there_are: Indexes) -> None:
    """Have all pages written anew when the folder is another one, or something that all depend on changed."""
    state, key = PublishedTree.current(), Path(settings.PIWHEELS_PUBLIC) / _KEY
    made_of = _made_of(there_are)
    is_same_folder = bool(state.key) and key.exists() and key.read_text() == state.key
    if is_same_folder and state.made_of == made_of:
        return
    if state.key and not is_same_folder:
        logger.warning(
            "%s is not the folder that the index was published in before: all of it is written anew. Have all"
            " workers and the web server use one folder (PIWHEELS_PUBLIC).",
            settings.PIWHEELS_PUBLIC,
        )
    # What waits for it since a try that was cut short need not be marked again.
    shown = Shown.objects.filter(package__shown_revision__gte=0)
    for batch in batches(keyset.keys(shown)):
        Package.objects.show_anew(batch)
    new = state.key if is_same_folder else uuid.uuid4().hex
    state.begin(new, made_of)
    key.write_text(new)


def _made_of(there_are: Indexes) -> str:
    """Return a hash of what the pages of all packages depend on."""
    releases = {index: [_told(need) for need in needs] for index, needs in there_are.releases.items()}
    facts = [LAYOUT, settings.PIWHEELS_FILES_URL, there_are.has_full, releases, _is_local()]
    # Only where there are any: most farms have none, whose trees were written before there was this fact.
    facts += [there_are.targets_alone] if there_are.targets_alone else []
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@cache
def _told(need: Need) -> str:
    """Return a need as a text; kept, as it has hundreds of tags and is asked for twice a second."""
    return f"{sorted(map(str, need.supported))} {need.python} {need.os_release} {need.glibc} {need.glibcxx}"


def _is_local() -> bool:
    """Whether the storage is a folder, whose files can be linked."""
    return isinstance(moving.both()[0], WholeFileStorage)


@dataclass(frozen=True)
class _Written:
    """A package whose pages are written, and not shown yet."""

    held: Holdings
    row: Shown
    writing: Writing
    indexes: frozenset[str]
    wanted: frozenset[str]
    latest: int
    lacks: bool  # files of wheels that it should list

    @property
    def package(self) -> Package:
        """Whose pages these are."""
        return self.held.package

    @property
    def modified(self) -> int:
        """The latest second that any page has then."""
        return self.writing.stamp + 1 if self.writing.written else self.latest

    @property
    def is_unsure(self) -> bool:
        """Whether a pass that was killed may have changed pages and noted nothing."""
        return self.latest > self.row.modified or set(self.row.indexes.split()) != self.indexes


@dataclass(frozen=True)
class _Outcome:
    """What there is of a package in the tree after it was written."""

    written: _Written
    sweep_at: datetime | None


@dataclass(frozen=True)
class _Writer:
    """Writes packages into the tree as it is to be now."""

    there_are: Indexes
    # A page in an index that is no more has to go, too.
    folders: tuple[str, ...]
    now: datetime
    began: float = field(default_factory=time.monotonic)

    def publish(self, batch: Sequence[int]) -> int:
        """Write some packages, read together, and note what is shown; return how many were looked at.

        A package that changes while it is read is left for the next round, as its rows may not fit together.
        """
        Shown.announce(batch)
        packages = list(Package.objects.filter(pk__in=batch).order_by("pk"))
        held = index.holdings(packages, with_upstream=self.there_are.has_full)
        still = dict(Package.objects.filter(pk__in=batch).values_list("pk", "revision"))
        rows = Shown.objects.in_bulk(batch)
        written = [
            done
            for each in held
            if still.get(each.package.pk) == each.package.revision
            and (done := self._or_put_off(self._write, each, rows[each.package.pk]))
        ]
        folders.sync(set[Path]().union(*(each.writing.unsynced for each in written)))
        shown_now = (self._or_put_off(self._show, each, each.row) for each in written)
        outcomes = [outcome for outcome in shown_now if outcome]
        folders.sync(set[Path]().union(*(each.written.writing.touched for each in outcomes)))
        self._note(outcomes)
        return len(batch)

    @transaction.atomic
    def _note(self, outcomes: Sequence[_Outcome]) -> None:
        """Note what is shown by now, as the disk will remember it."""
        are_names_new = [
            outcome.written.row.note(
                indexes=outcome.written.indexes,
                display_name=outcome.written.package.display_name,
                modified=outcome.written.modified,
                sweep_at=outcome.sweep_at,
            )
            for outcome in outcomes
        ]
        if any(are_names_new):
            PublishedTree.current().rename()
        packages = [outcome.written.package for outcome in outcomes]
        Package.objects.hold(package.pk for package in packages)
        Package.objects.note_shown({each.pk: (each.revision, each.shown_revision) for each in packages})

    def _or_put_off(self, deed: Callable[[Of, Shown], Done], of: Of, row: Shown) -> Done | None:
        """Do something for a package, which must not keep others from being written."""
        try:
            return deed(of, row)
        except Unreachable:
            raise
        except Exception:
            logger.exception("The pages of %s could not be written; they are tried again.", of.package)
            row.put_off(self.now)
            self._take_down(of.package)
            return None

    def _take_down(self, package: Package) -> None:
        """Have nobody get what must be nowhere, also while the pages that list it cannot be written."""
        try:
            folders.sweep(package.name, _doomed(package, folders.leftovers(package.name, frozenset())))
        except OSError:
            logger.exception("What was taken down of %s is still in the index.", package)

    def _write(self, held: Holdings, row: Shown) -> _Written:
        """Link a package's files, and write its pages."""
        name, linked = held.package.name, files(held)
        lost = _lost(
            folders.link(name, {entry: source for each in linked.values() for entry, source in each.items()}),
            linked,
        )
        details = index.details(held.without(lost), self.there_are)
        latest = max(row.modified, folders.latest(name, self.folders))
        stamp = folders.second(Format.HTML, max(latest + 1, int(self.now.timestamp())))
        writing = Writing(name, stamp)
        made = rendered(details)
        for each in self.folders:
            if each in made:
                writing.put(each, made[each])
            else:
                writing.drop(each)
        wanted = {entry for wheel, entries in linked.items() if wheel not in lost for entry in entries}
        written = _Written(held, row, writing, frozenset(made), frozenset(wanted), latest, bool(lost))
        if written.is_unsure:
            writing.doubt(self.folders)
        return written

    def _show(self, written: _Written, row: Shown) -> _Outcome:
        """Have the pages that were written read from now on, and take away files that are offered no more."""
        written.writing.place()
        swept_at = [self._sweep(written), self.now + LOOK_AGAIN if written.lacks else None]
        return _Outcome(written, sweep_at=min(filter(None, swept_at), default=None))

    def _sweep(self, written: _Written) -> datetime | None:
        """Take away each file that no page lists in its time, and return when the next one is to go.

        What may be malware, or was taken down, goes at once.
        """
        package = written.package
        left = folders.leftovers(package.name, written.wanted)
        # Others were written before this one, and it was there meanwhile.
        unlisted_at = self.now + timedelta(seconds=time.monotonic() - self.began)
        # What a pass that was killed has shown, nobody knows.
        noted = {} if written.is_unsure else folders.unlisted(package.name)
        since = {path: noted.get(path.name, unlisted_at) for path in left}
        doomed = _doomed(package, left)
        gone = {path for path in left if path in doomed or since[path] + Shown.LINGER <= self.now}
        if gone:
            folders.sweep(package.name, gone)
            written.writing.touched.add(tree.folder(ALL, package.name))
        stays = {path.name: since[path] for path in left if path not in gone}
        folders.note_unlisted(package.name, stays)
        return min(stays.values()) + Shown.LINGER if stays else None


def _doomed(package: Package, left: Collection[Path]) -> set[Path]:
    """Return which files that no page lists must be nowhere, whoever has just read of them."""
    if not left or package.is_hidden:
        return set(left)
    never = Wheel.objects.filter(~Q(held_reason="") | Q(taken_down_at__isnull=False), package=package)
    names = set(never.values_list("filename", flat=True))
    return {path for path in left if path.name.removesuffix(".metadata") in names}


def files(held: Holdings) -> dict[str, dict[str, Path]]:
    """Return which stored file is behind which name of a project's folder, by wheel; none for a bucket."""
    found: dict[str, dict[str, Path]] = {}
    for wheel in held.wheels:
        names = {wheel.filename: wheel.path, f"{wheel.filename}.metadata": wheel.metadata_path}
        # While files move, some are in a folder and some in a bucket.
        if paths := {entry: path for entry, name in names.items() if (path := _path(name))}:
            found[wheel.filename] = paths
    return found


def hashes(held: Holdings) -> dict[str, str]:
    """Return the sha256 of each file in a project's folder."""
    found = {wheel.filename: wheel.sha256 for wheel in held.wheels}
    return found | {f"{wheel.filename}.metadata": wheel.metadata_sha256 for wheel in held.wheels}


def _path(name: str) -> Path | None:
    """Return where a stored file is on this machine, None for one in a bucket."""
    try:
        return Path(default_storage.path(name))
    except NotImplementedError:
        return None


def _lost(missing: Collection[str], files: Mapping[str, Mapping[str, Path]]) -> set[str]:
    """Return the wheels that cannot be had, as their files are nowhere; no page may list them.

    Raises Unreachable if the storage itself is not there.
    """
    lost = {wheel for wheel, entries in files.items() if not entries.keys().isdisjoint(missing)}
    if lost:
        # Or the whole storage is away, in which case nothing is published meanwhile.
        moving.require()
    for wheel in sorted(lost):
        logger.error("%s is not in the storage, so the index does not list it.", wheel)
    return lost


def rendered(details: Mapping[str, ProjectDetail]) -> dict[str, Pages]:
    """Return the pages of a project by index; the same content is rendered once."""
    made = {
        detail: {kind: Page.of(pages.project(detail, kind)) for kind in pages.KINDS}
        for detail in set(details.values())
    }
    return {each: made[detail] for each, detail in details.items()}
