"""A part of a log, for programs that read it as it grows."""

from dataclasses import dataclass

from builds.files import logs
from builds.log_text import clean
from builds.models import Build

# How much a program gets at a time, in bytes.
MOST = 256 << 10


@dataclass(frozen=True)
class Part:
    """What a log says from an offset on, as text, and from where to go on, in the builder's bytes."""

    text: str
    offset: int


def part(build: Build, offset: int) -> Part:
    """Return what has come of a log since it was read up to an offset.

    Never half a line, as half a letter or half an escape sequence may be in it, unless there is no more.
    """
    come = logs.piece(build.pk, offset, MOST)
    if build.is_open or len(come) == MOST:
        come = come[: come.rfind(b"\n") + 1] or (come if len(come) == MOST else b"")
    return Part(clean(come.decode(errors="replace")), offset + len(come))
