"""Counts what logs tell, each line of each log once, whatever happens in between.

How far a log was read is written in the same transaction as what was counted of it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from django.db.models import Exists, OuterRef

from packages.batches import batches
from packages.models import Package
from simple import misses
from simple.index import offered
from simple.known_wheels import KnownWheels
from simple.log_files import LogFile, Position
from simple.log_lines import Missed, Refusal, Served, read
from simple.models import MOST_PATH, Log
from simple.tally import Tally

LINES = 10_000
# A clock may be wrong by so much; a day that is to come later is none.
_AHEAD = timedelta(days=1)


class ReadByOthers(Exception):
    """Somebody else has read the same log on; where it is now is in its row."""


class OtherLog(Exception):
    """A log begins as one that was read, and goes on differently."""


@dataclass
class Told:
    """What some lines have told."""

    served: list[Served] = field(default_factory=list)
    missed: Counter[tuple[str, date]] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)


class LogCounter:
    """Counts logs for one process."""

    def __init__(self) -> None:
        self._tally = Tally()
        self._wheels = KnownWheels()

    def open_row(self, file: LogFile, *, is_followed: bool = False) -> Log:
        """Return what is known of a log, and go to where it was read to; raises OtherLog."""
        log, _ = Log.objects.get_or_create(
            first_line=file.first_line,
            defaults={"path": str(file.path)[-MOST_PATH:], "is_followed": is_followed},
        )
        if not file.resume(Position(log.offset, log.last_line, log.last_line_at)):
            raise OtherLog(
                f"{file.path} begins as {log.path} did, which was counted, but goes on differently. Was it"
                " changed since? Cut off what was counted, and count the rest."
            )
        return log

    def count_some(self, log: Log, file: LogFile, *, now: datetime) -> int:
        """Count the next lines of a log; return how many there were.  Raises ReadByOthers, BadLog."""
        chunk = file.read(LINES)
        if not chunk.lines or (not file.is_over and not file.begins_as_before()):
            return 0
        told = _told(chunk.lines, latest=(now + _AHEAD).date())
        taken = self._wheels.taken(told.served)
        missed = _of_packages(told.missed)

        def move(new: int) -> None:
            misses.add(missed)
            if not _move(
                log, file, chunk.position, _Counts(len(chunk.lines), new, missed, told.refused), now
            ):
                raise ReadByOthers(f"{file.path} is being read by another process.")

        self._tally.add(taken, then=move)
        log.refresh_from_db()
        return len(chunk.lines)


@dataclass(frozen=True)
class _Counts:
    """What was counted of some lines."""

    lines: int
    downloads: int
    misses: Mapping[tuple[int, date], int]
    refused: Mapping[str, int]


def _told(lines: Iterable[bytes], latest: date) -> Told:
    """Return what lines tell; a day after the latest is none."""
    told = Told()
    for line in lines:
        what = read(line)
        if what is None:
            continue
        if isinstance(what, Refusal):
            told.refused[what] += 1
        elif what.day > latest:
            told.refused[Refusal.TIME] += 1
        elif isinstance(what, Served):
            told.served.append(what)
        elif isinstance(what, Missed):
            told.missed[what.project, what.day] += 1
    return told


def _of_packages(missed: Mapping[tuple[str, date], int]) -> dict[tuple[int, date], int]:
    """Return the misses of names that are packages of which there is nothing.

    Nothing else that is asked for could be built, so the table cannot grow by names that somebody makes up.
    What a part of the index lacks, another may have.
    """
    keys: dict[str, int] = {}
    there = Exists(offered().filter(package=OuterRef("pk")))
    for names in batches({name for name, _ in missed}):
        keys |= dict(Package.objects.filter(~there, name__in=names).values_list("name", "pk"))
    return {(keys[name], day): count for (name, day), count in missed.items() if name in keys}


def _move(log: Log, file: LogFile, position: Position, counts: _Counts, now: datetime) -> bool:
    """Note how far a log was read, and what it has told."""
    return log.move(
        position.offset,
        path=str(file.path)[-MOST_PATH:],
        last_line=position.last_line,
        last_line_at=position.last_line_at,
        lines=log.lines + counts.lines,
        downloads=log.downloads + counts.downloads,
        misses=log.misses + sum(counts.misses.values()),
        refused={**Counter(log.refused) + Counter(counts.refused)},
        modified_at=datetime.fromtimestamp(file.status().st_mtime, UTC),
        read_at=now,
    )
