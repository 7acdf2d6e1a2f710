"""What of a log is on its build's page: folded by phases, from a line on, or where a word is found.

A page must be light enough for the browser of the smallest Pi, so of a long log it has the parts that matter,
and links to the rest.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from builds import failures
from builds.log_pages.colours import Colours
from builds.log_pages.lines import Line, Lines, Room
from builds.log_pages.phases import Phase, phases
from builds.log_text import clean

# A log that is no longer than this is shown without folds.
SHORT = 40
# How many lines are shown of the beginning of the phase that matters, and of both ends of each other one.
_HEAD, _ENDS = 15, 8
# How many lines with a word are shown, and how many around each.
MOST_FOUND, _AROUND = 40, 2
# The longest word that is looked for, in characters.
WORD = 100
# How many lines at a log's end are searched for the one that tells why it failed.
_REASON = 400
# How many lines are shown up to that one where nobody knows better.
_WORDS = 12


@dataclass(frozen=True)
class Shown:
    """One line as a page shows it."""

    number: int
    html: SafeString
    left_out: int
    is_marked: bool = False

    @property
    def anchor(self) -> str:
        """The name by which links lead to it."""
        return f"L{self.number}"


@dataclass(frozen=True)
class Part:
    """Lines that follow each other, and from which line on some before them are not shown."""

    lines: list[Shown]
    gap: int = 0  # the first line that is left out before these; 0: none is
    gap_count: int = 0


@dataclass(frozen=True)
class Section:
    """A phase of a build, as a page shows it."""

    phase: Phase
    state: str  # "done", "failed" or "going on"; "" if nobody can tell
    is_open: bool
    parts: list[Part]


@dataclass(frozen=True)
class Page:
    """What of a log is on a page."""

    sections: list[Section]
    count: int
    before: int = 0  # from which line on to show what comes before; 0: nothing does
    after: int = 0


def overview(lines: Lines, outcome: str, marked: int = 0) -> Page:
    """Return the phases of a log: the last one open, as it matters most, the others folded."""
    found, is_short = phases(lines), lines.count <= SHORT
    matters, others = Room(lines=200, packed=11_000), Room(lines=150, packed=5_000)
    sections: list[Section] = []
    for phase in reversed(found):
        is_last = phase == found[-1]
        ends = (_HEAD, phase.count) if is_last or is_short else (_ENDS, _ENDS)
        parts = _ends_of(lines, phase, matters if is_last else others, ends, marked)
        sections.append(Section(phase, _state(phase, found, outcome), is_last or is_short, parts))
    return Page(sections[::-1], lines.count)


def window(lines: Lines, first: int, outcome: str, marked: int = 0) -> Page:
    """Return as many lines from that one on as a page has room for, with nothing folded."""
    first = max(1, min(first, lines.count))
    found, colours = phases(lines), Colours()
    taken = _taken(lines.read(first, lines.count), Room())
    after = taken[-1].number + 1 if taken else first
    sections = [
        Section(phase, _state(phase, found, outcome), True, [Part(_shown(some, colours, marked))])
        for phase in found
        if (some := [line for line in taken if phase.first <= line.number <= phase.last])
    ]
    earlier = _taken(lines.backwards(first - 1, 1), Room())
    before = earlier[-1].number if earlier else 0
    return Page(sections, lines.count, before, after if after <= lines.count else 0)


def reason(lines: Lines, about: str) -> int:
    """Return the number of the line that tells why a build failed, which may be known to be about something.

    It is the last one that does, or that reads like an error; 0 for an empty log.
    """
    end, texts = _end(lines)
    if about and (told := [line.number for line, text in zip(end, texts, strict=True) if about in text]):
        return told[-1]
    return end[failures.error_line(texts)].number if end else 0


def last_words(lines: Lines) -> str:
    """Return the last lines up to the one that reads like the reason of a failure."""
    return failures.error_block("\n".join(_end(lines)[1]), _WORDS)


def _end(lines: Lines) -> tuple[list[Line], list[str]]:
    """Return the lines at a log's end, and what they say."""
    end = list(lines.backwards(lines.count, lines.count - _REASON))[::-1]
    return end, [clean(line.text) for line in end]


def _state(phase: Phase, found: list[Phase], outcome: str) -> str:
    """Return how a phase ended, by what came after it."""
    if phase == found[-1]:
        return outcome
    following = found[found.index(phase) + 1]
    return "failed" if following.title == "Trying again with other tools" else "done"


def _taken(lines: Iterable[Line], room: Room) -> list[Line]:
    """Return the first of these lines for which there is room."""
    taken = []
    for line in lines:
        if not room.take(line):
            break
        taken.append(line)
    return taken


def _ends_of(lines: Lines, phase: Phase, room: Room, ends: tuple[int, int], marked: int) -> list[Part]:
    """Return both ends of a phase as long as there is room, and how much there is between them."""
    head, tail = ends
    first = _taken(lines.read(phase.first, min(phase.last, phase.first + head - 1)), room)
    begun = phase.first + len(first)
    last = _taken(lines.backwards(phase.last, max(begun, phase.last - tail + 1)), room)[::-1]
    goes_on = last[0].number if last else phase.last + 1
    parts = [Part(_shown(first, Colours(), marked))]
    if goes_on > begun:
        return [*parts, Part(_shown(last, Colours(), marked), begun, goes_on - begun)]
    return [Part(_shown(first + last, Colours(), marked))]


def _shown(lines: Iterable[Line], colours: Colours, marked: int) -> list[Shown]:
    """Return lines as a page shows them."""
    return [
        Shown(line.number, colours.html(line.text), line.left_out, line.number == marked) for line in lines
    ]


def plain(lines: Iterable[Line]) -> list[Shown]:
    """Return lines that follow each other as a page shows them."""
    return _shown(lines, Colours(), 0)


@dataclass(frozen=True)
class Found:
    """Where a word is in a log."""

    word: str
    parts: list[Part]
    count: int
    is_all: bool


def search(lines: Lines, word: str) -> Found:
    """Return the first lines of a log that have a word, each with those around it."""
    word = word[:WORD]
    numbers, more = lines.find(word, MOST_FOUND)
    spans: list[tuple[int, int]] = []
    for number in numbers:
        first, last = max(1, number - _AROUND), number + _AROUND
        if spans and first <= spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], last)
        else:
            spans.append((first, last))
    room = Room()
    parts = [Part(_found(_taken(lines.read(*span), room), word, set(numbers))) for span in spans]
    return Found(word, [part for part in parts if part.lines], len(numbers), not more)


def _found(lines: Iterable[Line], word: str, numbers: set[int]) -> list[Shown]:
    """Return lines with a word marked where it is."""
    pattern = re.compile(f"({re.escape(word)})", re.IGNORECASE | re.ASCII)
    return [
        Shown(line.number, _marked(clean(line.text), pattern), line.left_out, line.number in numbers)
        for line in lines
    ]


def _marked(text: str, pattern: re.Pattern[str]) -> SafeString:
    """Return a text as HTML with what the pattern finds marked."""
    pieces = [*pattern.split(text), ""]
    pairs = zip(pieces[::2], pieces[1::2], strict=True)
    return format_html_join(
        "", "{}{}", ((said, format_html("<mark>{}</mark>", hit) if hit else "") for said, hit in pairs)
    )
