"""The log of a build that goes on, as a page follows it: what has come since it last asked.

A page holds no more than some hundred lines of it, however much is printed, and a builder sends whole lines
and parts of lines alike.  What is not a whole line yet is shown, and sent again when there is more of it.
"""

from dataclasses import dataclass

from builds.files import logs
from builds.log_pages.lines import Line, Lines, Room
from builds.log_pages.page import Shown, plain

# How many lines are sent at a time, and how many a page may have before the first of them make room.
SENT, HELD = 300, 900


@dataclass(frozen=True)
class Live:
    """Some lines of a growing log, and from where to go on."""

    lines: list[Shown]
    unfinished: Shown | None  # the line that has no end yet
    offset: int  # where the first line begins that was not sent as a whole, in bytes
    line: int  # its number
    seen: int  # how long the log was
    held: int  # how many lines the page has then
    is_anew: bool  # the page is to forget the lines that it has


def since(build: int, offset: int, line: int, held: int) -> Live:
    """Return what a log has from a line on, which begins at that offset.

    If that is much, only its end; then, and when the page has many lines, they are to be forgotten.
    """
    come = logs.piece(build, offset)
    lines, whole = Lines(come), come.count(b"\n")
    room = Room(lines=SENT, characters=60_000, packed=12_000)
    shown: list[Line] = []
    for each in lines.backwards(whole, 1):
        if not room.take(each):
            break
        shown.insert(0, each)
    is_anew = len(shown) < whole or held + len(shown) > HELD
    rest = [Line(line + whole, each.text, each.left_out) for each in lines.read(whole + 1, whole + 1)]
    return Live(
        lines=plain(Line(line - 1 + each.number, each.text, each.left_out) for each in shown),
        unfinished=plain(rest)[0] if rest else None,
        offset=offset + come.rfind(b"\n") + 1,
        line=line + whole,
        seen=offset + len(come),
        held=len(shown) if is_anew else held + len(shown),
        is_anew=is_anew,
    )
