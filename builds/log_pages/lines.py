"""The lines of a log, by their numbers, however long it is and its lines are.  Needs no Django.

A log of ten megabytes may be one line, or ten million.  So it stays bytes, and only what is asked for is cut
into lines.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

# How much of a line is read, in bytes; raw text has the rest.
LINE = 1_000
# Line ends are counted for so many bytes at a time.
_BLOCK = 64 << 10
# So many characters are packed at a time, to see what they take; a number with its anchor takes as much.
_PACKED = 1_000
_NUMBER = 4


@dataclass(frozen=True)
class Line:
    """One line of a log: its number from 1 on, what it says, and how many bytes of it are left out."""

    number: int
    text: str
    left_out: int = 0


class Lines:
    """A log as lines."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    @cached_property
    def count(self) -> int:
        """How many there are; one that has no end yet counts."""
        return self._content.count(b"\n") + (not self._content.endswith(b"\n") and bool(self._content))

    def read(self, first: int, last: int) -> Iterator[Line]:
        """Give the lines from the one to the other, as far as there are any."""
        at = self.start(first)
        for number in range(max(first, 1), last + 1):
            if at >= len(self._content):
                return
            end = self._content.find(b"\n", at)
            end = len(self._content) if end < 0 else end
            yield _line(number, self._content, at, end)
            at = end + 1

    def backwards(self, last: int, first: int) -> Iterator[Line]:
        """Give the lines from the last to the first."""
        end = self.start(last + 1)
        end -= self._content[end - 1 : end] == b"\n"
        for number in range(min(last, self.count), max(first, 1) - 1, -1):
            at = self._content.rfind(b"\n", 0, end) + 1
            yield _line(number, self._content, at, end)
            end = at - 1

    def start(self, number: int) -> int:
        """Return where a line begins, in bytes; the log's length if it has none of that number."""
        left, at = number - 1, 0
        for ends in self._ends:
            if left <= ends:
                break
            left -= ends
            at += _BLOCK
        for _ in range(left):
            at = self._content.find(b"\n", at) + 1
            if at == 0:
                return len(self._content)
        return at

    def number_at(self, at: int) -> int:
        """Return which line a place in the log is in."""
        return self._content.count(b"\n", 0, at) + 1

    @cached_property
    def _ends(self) -> list[int]:
        """How many lines end in each block."""
        return [self._content.count(b"\n", at, at + _BLOCK) for at in range(0, len(self._content), _BLOCK)]

    def places(self, literal: bytes, most: int) -> list[int]:
        """Return where the first lines that begin with this text do; so many at most."""
        found: list[int] = [0] if self._content.startswith(literal) else []
        at = self._content.find(b"\n" + literal)
        while at >= 0 and len(found) < most:
            found.append(at + 1)
            at = self._content.find(b"\n" + literal, at + 1)
        return found

    def find(self, word: str, most: int) -> tuple[list[int], bool]:
        """Return the numbers of the first lines that have a word, and whether there are more.

        In ASCII, capitals are the same as small letters.
        """
        needle, hay = word.encode(errors="replace").lower(), self._content.lower()
        found: list[int] = []
        number, counted, at = 1, 0, hay.find(needle)
        while needle and at >= 0:
            number += hay.count(b"\n", counted, at)
            counted = at
            if len(found) == most:
                return found, True
            found.append(number)
            end = hay.find(b"\n", at)
            at = hay.find(needle, end) if end >= 0 else -1
        return found, False


def _line(number: int, content: bytes, at: int, end: int) -> Line:
    """Return the line between two places in a log."""
    shown = content[at : min(end, at + LINE)]
    return Line(number, shown.decode(errors="replace").removesuffix("\r"), max(0, end - at - LINE))


class Room:
    """How much more of a log a page has room for, in lines, in characters, and in bytes as they are sent."""

    def __init__(self, *, lines: int = 600, characters: int = 100_000, packed: int = 16_000) -> None:
        self._lines = lines
        self._characters = characters
        self._packed = packed
        self._packer = zlib.compressobj(1)
        self._unpacked = ""

    @property
    def is_left(self) -> bool:
        """Whether there is any."""
        return min(self._lines, self._characters, self._packed) > 0

    def take(self, line: Line) -> bool:
        """Take the room that a line needs; False if there is none left."""
        if not self.is_left:
            return False
        self._lines -= 1
        self._characters -= len(line.text)
        self._packed -= _NUMBER
        self._unpacked += line.text
        if len(self._unpacked) > _PACKED:
            packed = self._packer.compress(self._unpacked.encode(errors="replace"))
            self._packed -= len(packed) + len(self._packer.flush(zlib.Z_SYNC_FLUSH))
            self._unpacked = ""
        return True
