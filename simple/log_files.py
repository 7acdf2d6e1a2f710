"""Reads logs by whole lines: gzip or not, while they grow, from where somebody stopped (no Django)."""

import gzip
import os
import zlib
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

from simple.log_lines import MAX_LINE

_GZIP = b"\x1f\x8b"
# Of the lines of one chunk, so that hostile long ones do not fill the memory.
MOST_BYTES = 8 << 20


class BadLog(Exception):
    """A log cannot be read on; the text says why."""


@dataclass(frozen=True)
class Position:
    """Where a log was read to: the end of a line, and what that line was."""

    offset: int = 0
    last_line: str = ""
    last_line_at: int = 0


@dataclass(frozen=True)
class Chunk:
    """Some lines, and where they end."""

    lines: list[bytes]
    position: Position


# What is wrong with a gzip that was cut off, or is none after all.
_BROKEN = (EOFError, gzip.BadGzipFile, zlib.error)


class LogFile:
    """An open log.

    It is known by its first line: a log that is renamed, copied or compressed has the same one, and no two
    logs have, as each line has a time and who asked for what.
    """

    def __init__(self, path: Path, *, is_over: bool) -> None:
        self.path = path
        self.is_over = is_over
        self.position = Position()
        self.raw: BinaryIO = path.open("rb")
        self.is_packed = self.raw.read(2) == _GZIP
        self.raw.seek(0)
        self._file = cast(BinaryIO, gzip.GzipFile(fileobj=self.raw)) if self.is_packed else self.raw
        try:
            line, _ = self._line()
            self._file.seek(0)
        except _BROKEN:
            line = b""
        self._first_length = len(line)
        # Empty while the first line is not whole.
        self.first_line = _hash(line) if line else ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self.raw.close()

    def status(self) -> os.stat_result:
        """Return what the file system says of the file, wherever it is by now."""
        return os.fstat(self.raw.fileno())

    def begins_as_before(self) -> bool:
        """Tell whether the first line is still the same, which it is not when the file was emptied."""
        # Not by the open file, whose buffer has what was there before; nobody empties a gzip.
        return self.is_packed or _hash(os.pread(self.raw.fileno(), self._first_length, 0)) == self.first_line

    def resume(self, position: Position) -> bool:
        """Go on from there; False, and from the beginning, if there is not what was read then."""
        try:
            if position.offset:
                self._file.seek(position.last_line_at)
                # A line that was cut off counts as it was, though it may have got an end since.
                last = self._file.read(min(position.offset - position.last_line_at, MAX_LINE))
                if _hash(last) != position.last_line:
                    self._file.seek(0)
                    return False
            self._file.seek(position.offset)
        except _BROKEN:
            return False
        self.position = position
        return True

    def read(self, most: int) -> Chunk:
        """Return the next lines; of one that is not whole yet nothing, unless the log is over."""
        lines: list[bytes] = []
        size, offset, last_at = 0, self.position.offset, self.position.last_line_at
        try:
            while len(lines) < most and size < MOST_BYTES:
                line, length = self._line()
                if not length:
                    break
                lines.append(line)
                size += len(line)
                last_at, offset = offset, offset + length
        except _BROKEN as error:
            # What came before is good, and the next call finds the same fault.
            if not lines:
                raise BadLog(f"{self.path} is no whole gzip: {error}") from error
        last = _hash(lines[-1]) if lines else self.position.last_line
        self.position = Position(offset, last, last_at)
        if self._file.tell() != offset:
            self._file.seek(offset)
        return Chunk(lines, self.position)

    def _line(self) -> tuple[bytes, int]:
        """Return the next line, or the beginning of one that is too long, and the bytes that it takes.

        A line without an end takes none, except at the end of a log that is over.
        """
        line = last = self._file.readline(MAX_LINE)
        length = len(line)
        while last and not last.endswith(b"\n"):
            last = self._file.readline(MAX_LINE)
            length += len(last)
        return (line, length) if last or self.is_over else (b"", 0)


def _hash(line: bytes) -> str:
    return sha256(line).hexdigest()
