"""The logs of two builds, compared for a page."""

from dataclasses import dataclass

from builds.files import logs
from builds.log_pages import diff
from builds.log_pages.lines import Line, Lines, Room
from builds.log_pages.signs import Signs
from builds.log_text import clean
from builds.models import Build

# How many lines a page shows of a run that is in one log alone.
RUN = 60


@dataclass(frozen=True)
class Run:
    """Lines of a difference: in both logs, in the first alone, or in the second alone."""

    kind: str
    lines: list[Line]
    build: Build  # whose lines they are
    left_out: int  # how many more of them there are


@dataclass(frozen=True)
class Compared:
    """Two builds, and where their logs differ."""

    first: Build
    second: Build
    differences: list[list[Run]]
    after: int  # so many were shown before
    count: int
    more: int  # after how many to go on; 0: these are the last
    is_all: bool  # both logs were compared as a whole
    lines: tuple[int, int]


def compare(first: Build, second: Build, after: int = 0) -> Compared:
    """Compare two logs and return what differs, from the difference after that one on."""
    before, now = (Lines(logs.content(build.pk)) for build in (first, second))
    a, b = _end(before), _end(now)
    found = diff.compare(a, b, (_signs(first, a), _signs(second, b)))
    shown: list[list[Run]] = []
    room = Room(lines=400, characters=60_000, packed=12_000)
    for difference in found[after:]:
        if not room.is_left:
            break
        shown.append([_cut(run, first, second, room) for run in difference.runs])
    more = after + len(shown)
    return Compared(
        first=first,
        second=second,
        differences=shown,
        after=after,
        count=len(found),
        more=more if more < len(found) else 0,
        is_all=max(before.count, now.count) <= diff.MOST,
        lines=(before.count, now.count),
    )


def _end(lines: Lines) -> list[Line]:
    """Return as many lines of a log's end as are compared."""
    some = list(lines.backwards(lines.count, lines.count - diff.MOST + 1))[::-1]
    return [Line(line.number, clean(line.text), line.left_out) for line in some]


def _signs(build: Build, lines: list[Line]) -> list[str]:
    """Return the signs of a build's lines."""
    name, number = build.version.package.name, build.version.number
    written = {name, name.replace("-", "_"), build.version.package.display_name}
    own = [f"{each}{between}{number}" for each in sorted(written) for between in ("-", "==", " ")]
    signs = Signs(own)
    return [signs.of(line.text) for line in lines]


def _cut(run: diff.Run, first: Build, second: Build, room: Room) -> Run:
    """Return a run as a page shows it, as far as there is room."""
    build = first if run.kind == "first" else second
    lines = [line for line in run.lines[:RUN] if room.take(line)]
    return Run(run.kind, lines, build, len(run.lines) - len(lines))
