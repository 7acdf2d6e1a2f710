"""Takes over builds in the order of their numbers, each with its files, its log and what the files need.

Files before rows: a batch's files are in the storage, and synced, before one transaction writes all that is
said of them and how far the import is.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from django.db import transaction

from builds.importing import theirs, writing
from builds.importing.storing import KeptLog, Store, Taken, Untaken
from builds.importing.taking import Found, Taking
from builds.importing.targets import NAME, Builders
from builds.importing.theirs import File, Made
from builds.models import Target
from packages.importing.original import Original
from packages.importing.progress import Cursor, Progress, Step
from packages.models import ImportRefusal, ImportRefusalQuerySet

LATER = "its version came after the versions were read: say it again"
# Numbers of theirs begin far above it, whatever they are.
_BEFORE_ALL = -(2**62)
# Of so many of the last numbers it is noted that nothing had them.
_LATE = 1000


@dataclass
class Importer:
    """What an import of builds needs."""

    original: Original
    progress: Progress
    store: Store
    targets: Mapping[str, Target]
    workers: Executor
    most: int  # the highest number that is theirs

    def __post_init__(self) -> None:
        self.builders = Builders(self.progress.now)

    def take(self) -> None:
        """Take over all builds behind the last one that was taken."""
        step = self.progress.step("builds")
        # Behind the last number that was read come those of the last ones that nothing had yet.
        after, *gaps = map(int, step.cursor) if step.cursor else [_BEFORE_ALL]
        total = self.original.number("SELECT count(*) FROM builds WHERE build_id > %s", [after])
        with self.progress.bar(total) as bar:
            bar.show("builds")
            # Several of theirs write at a time, and who got the lower number may have been done later.
            if late := theirs.these(self.original, gaps):
                gaps = sorted({*gaps} - {made.number for made in late})
                self._take(step, late, [after, *gaps])
            while builds := theirs.page(self.original, after):
                gaps = _gaps(gaps, after, [made.number for made in builds])
                after = builds[-1].number
                self._take(step, builds, [after, *gaps])
                bar.advance(len(builds))
        step.finish()

    def _take(self, step: Step, builds: Sequence[Made], cursor: Cursor) -> None:
        """Take over some builds that are seen for the first time."""
        taking = self._stored(Taking(), builds)
        with transaction.atomic():
            self._write(taking)
            step.note(taking.batch, cursor)

    def came_too_early(self) -> bool:
        """Tell whether builds came of versions that were released after the versions had been read."""
        return _of_later_versions().exists()

    def take_of_later_versions(self) -> None:
        """Try these builds again, as the versions have been read once more.

        Left for another day, the version would be built here meanwhile, and its file would never come.
        """
        self._take_again(_of_later_versions())

    def take_again(self) -> None:
        """Try again what was not taken before."""
        self._take_again(ImportRefusal.objects.filter(build__isnull=False))

    def _take_again(self, refused: ImportRefusalQuerySet) -> None:
        """Try again of what something was not taken."""
        step = self.progress.step("builds")
        with self.progress.bar(refused.values("build").distinct().count()) as bar:
            bar.show("again")
            for numbers in _numbers(refused):
                taking = self._stored(Taking(is_again=True), theirs.these(self.original, numbers))
                with transaction.atomic():
                    self._write(taking)
                    # Builds and files that were deleted there since are not missed any more.
                    ImportRefusal.objects.forget_builds(numbers)
                    step.note(taking.batch, step.cursor)
                bar.advance(len(numbers))
        step.finish()

    def _stored(self, taking: Taking, builds: Sequence[Made]) -> Taking:
        """Store what there is of some builds."""
        for made in builds:
            taking.read(made)
            if reason := made.refusal(self.targets, self.most):
                taking.refuse_all(made, reason)
            else:
                taking.found.append(Found(made, self.targets[made.abi]))
        if taking.is_again:
            taking.spare_what_is_there()
        self._store_files(taking)
        self._store_logs(taking)
        if not self.progress.is_dry:
            # Once for all of them, as each file would take the disk as long.
            os.sync()
        return taking

    def _store_files(self, taking: Taking) -> None:
        """Store wheels, several at a time."""
        files = [(each, file) for each in taking.found for file in taking.wanted(each.made)]
        for (each, file), came in zip(files, self.workers.map(self._wheel, files), strict=True):
            if isinstance(came, Taken):
                each.files.append(came)
            else:
                taking.refuse_file(each.made, file, came)

    def _store_logs(self, taking: Taking) -> None:
        """Store logs, several at a time."""
        asked = [each for each in taking.found if each.made.number not in taking.logged]
        for each, log in zip(asked, self.workers.map(self._log, asked), strict=True):
            if isinstance(log, KeptLog):
                each.log = log
            else:
                number = each.made.number
                taking.batch.refuse("logs", str(number), log.reason, detail=log.detail, build=number)

    def _wheel(self, pair: tuple[Found, File]) -> Taken | Untaken:
        found, file = pair
        try:
            return self.store.wheel(found.made, file, found.target, NAME.format(found.made.builder))
        except Untaken as error:
            return error

    def _log(self, found: Found) -> KeptLog | Untaken:
        try:
            return self.store.log(found.made)
        except Untaken as error:
            return error

    def _write(self, taking: Taking) -> None:
        """Write what was stored as rows, and count it."""
        if self.progress.is_dry:
            taking.keep_new_names()
            taking.sort_out_needs()
            taking.count()
            return
        known = writing.versions_of([each.made for each in taking.found])
        keys = {
            each.made.number: known[pair]
            for each in taking.found
            if (pair := (each.made.package, each.made.version)) in known
        }
        for each in taking.found:
            if each.made.number not in keys:
                taking.refuse_all(each.made, LATER)
        taking.keep(keys)
        taking.keep_new_names()
        taking.sort_out_needs()
        taking.count()
        self._write_rows(taking, keys)

    def _write_rows(self, taking: Taking, keys: Mapping[int, writing.Known]) -> None:
        """Write builds, their wheels, and what those need."""
        new = [each for each in taking.found if each.made.number not in taking.built]
        writing.write_builds(
            [
                (
                    *(each.made, keys[each.made.number], each.target),
                    *(self.builders.of(each.made.builder, each.target), each.ending()),
                )
                for each in new
            ]
        )
        # Of a failure the log tells why, so without a new one nothing new is known.
        told = [each for each in taking.found if each.made.is_good or each.log]
        writing.correct_endings(
            {each.made.number: each.ending() for each in told if each.made.number in taking.built}
        )
        wheels = [(each, taken) for each in taking.found for taken in each.files]
        writing.write_wheels([(each.made, keys[each.made.number], taken) for each, taken in wheels])
        writing.write_dependencies(
            {
                taken.file.filename: [*writing.requirements(taken), *each.needs[taken.file.filename]]
                for each, taken in wheels
            }
        )
        writing.mark_changed({keys[each.made.number].package for each in taking.found})


def _gaps(before: Sequence[int], after: int, numbers: Sequence[int]) -> list[int]:
    """Return which of the last numbers nothing has: of those before, and of a page's behind its first."""
    last = numbers[-1]
    between = sorted(set(range(max(after, last - _LATE) + 1, last)) - set(numbers))
    return [number for number in [*before, *between] if number > last - _LATE]


def _of_later_versions() -> ImportRefusalQuerySet:
    """Return the builds that were not taken as their versions had not come yet."""
    return ImportRefusal.objects.filter(build__isnull=False, subject="builds", reason=LATER)


def _numbers(refused: ImportRefusalQuerySet) -> Iterator[list[int]]:
    """Give the numbers of builds of which something was not taken, some at a time."""
    after = _BEFORE_ALL
    while True:
        behind = refused.filter(build__gt=after).order_by("build").values_list("build", flat=True)
        numbers = [number for number in behind.distinct()[: theirs.BATCH] if number is not None]
        if not numbers:
            return
        after = numbers[-1]
        yield numbers
