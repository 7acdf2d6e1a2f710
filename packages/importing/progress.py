"""How far each part of an import is, kept with what it writes, in the same transaction.

A dry run keeps the same numbers in memory alone.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from packages.batches import batches
from packages.legible import legible
from packages.models import ImportRefusal, ImportStep
from packages.progress_bar import ProgressBar

READ, WRITTEN = "read", "written"
Cursor = list[int | str]


@dataclass
class Batch:
    """What became of some rows, which belong into one transaction."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    refusals: dict[tuple[str, str], ImportRefusal] = field(default_factory=dict)
    taken: set[tuple[str, str]] = field(default_factory=set)

    def read(self, subject: str, count: int = 1) -> None:
        """Count what was seen."""
        self.counts[subject, READ] += count

    def wrote(self, subject: str, key: str | None = None, count: int = 1) -> None:
        """Count what was taken; one that has a key may have been refused before."""
        self.counts[subject, WRITTEN] += count
        if key is not None:
            self.taken.add((subject, key))

    def noted(self, subject: str, what: str, count: int = 1) -> None:
        """Count something else that the report is to tell of a subject."""
        if count:
            self.counts[subject, what] += count

    def took_back(self, subject: str, key: str, reason: str, *, build: int | None = None) -> None:
        """Note that something which was counted as taken is not."""
        self.counts[subject, WRITTEN] -= 1
        self.taken.discard((subject, key))
        self.refuse(subject, key, reason, build=build)

    def refuse(
        self, subject: str, key: str, reason: str, *, detail: str = "", build: int | None = None
    ) -> None:
        """Note what was not taken, and why."""
        self.refusals[subject, kept(key)] = ImportRefusal(
            subject=subject, key=kept(key), reason=reason, detail=kept(detail), build=build
        )


def kept(text: str) -> str:
    """Return as much of a text as a row has room for."""
    return legible(text[:500])


@dataclass
class Told:
    """What one step has counted since the import began."""

    counts: dict[str, dict[str, int]]
    took_s: float


@dataclass
class Progress:
    """The state of all steps of one run."""

    now: datetime
    is_dry: bool
    bar: Callable[[int], ProgressBar]
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    _dry: dict[str, ImportStep] = field(default_factory=dict)

    def step(self, name: str) -> "Step":
        """Return how far a step is."""
        row = self._dry.setdefault(name, ImportStep(name=name)) if self.is_dry else _row(name)
        return Step(self, row)

    def told(self) -> dict[str, Told]:
        """Return what all steps have counted."""
        rows = self._dry.values() if self.is_dry else ImportStep.objects.all()
        return {row.name: Told(row.counts, row.took_s) for row in rows}

    def refusals(self) -> dict[str, dict[str, int]]:
        """Return how many things are not taken, by subject and reason."""
        if not self.is_dry:
            return ImportRefusal.objects.counted()
        found: dict[str, dict[str, int]] = {}
        for (subject, reason), count in sorted(self.refused.items()):
            found.setdefault(subject, {})[reason] = count
        return found


def _row(name: str) -> ImportStep:
    return ImportStep.objects.get_or_create(name=name)[0]


class Step:
    """How far one step is; `note` belongs into the transaction that writes what it tells of."""

    def __init__(self, progress: Progress, row: ImportStep) -> None:
        self._progress, self._row, self._since = progress, row, time.monotonic()

    @property
    def cursor(self) -> Cursor:
        """The key of the last row that was taken; empty at the beginning."""
        return list(self._row.cursor)

    @property
    def is_finished(self) -> bool:
        """Whether it came to its end, and nothing was noted since."""
        return self._row.finished_at is not None

    def begin_again(self, *subjects: str) -> None:
        """Begin at the first row again, and forget what was counted and said of these subjects."""
        self._row.cursor = []
        for subject in subjects:
            self._row.counts.pop(subject, None)
        if not self._progress.is_dry:
            self._row.move([], self._row.counts, self._row.took_s)
            ImportRefusal.objects.filter(subject__in=subjects).delete()

    def note(self, batch: Batch, cursor: Cursor) -> None:
        """Add what became of a batch, which ends at that key."""
        for (subject, what), count in batch.counts.items():
            told = self._row.counts.setdefault(subject, {})
            told[what] = told.get(what, 0) + count
        passed, self._since = time.monotonic() - self._since, time.monotonic()
        if self._progress.is_dry:
            self._row.cursor, self._row.took_s = cursor, self._row.took_s + passed
            self._progress.refused.update(
                (subject, each.reason) for (subject, _), each in batch.refusals.items()
            )
            return
        self._row.move(cursor, self._row.counts, self._row.took_s + passed)
        for subject in {subject for subject, _ in batch.taken}:
            for keys in batches(sorted(key for kind, key in batch.taken if kind == subject)):
                ImportRefusal.objects.forget(subject, keys)
        ImportRefusal.objects.note(list(batch.refusals.values()))

    def finish(self) -> None:
        """Note that there is no more of it."""
        if not self._progress.is_dry:
            self._row.finish(self._progress.now)
