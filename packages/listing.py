"""Reads an index's list of all its projects while it arrives: it has 40 MB, and we need one line at once."""

import codecs
import json
import re
from collections.abc import Iterable, Iterator

from pypi_simple import parse_links_stream

from packages.project import MAX_NUMBER, canonical

# Where the list begins, in a page as PEP 691 has it; what comes before is small.
START = re.compile(r'"projects"\s*:\s*\[')
LARGEST_HEAD = 1 << 20
# What one project may have; its name has 200 characters at most.
LARGEST_ENTRY = 1 << 16
BETWEEN = re.compile(r"[\s,]*")

# A canonical name, and the serial of the project's last event where the index tells.
Entry = tuple[str, int | None]


def read_html(chunks: Iterator[bytes], url: str, charset: str | None) -> Iterator[Entry]:
    """Return the entries of a page as PEP 503 has it."""
    for link in parse_links_stream(chunks, url, charset):
        if name := canonical(link.text):
            yield name, None


def read_json(chunks: Iterator[bytes]) -> Iterator[Entry]:
    """Return the entries of a page as PEP 691 has it; raises ValueError when it breaks off."""
    for project in _projects(codecs.iterdecode(chunks, "utf-8")):
        spelling, serial = project.get("name"), project.get("_last-serial")
        if isinstance(spelling, str) and (name := canonical(spelling)):
            yield name, serial if isinstance(serial, int) and 0 <= serial <= MAX_NUMBER else None


def _projects(texts: Iterable[str]) -> Iterator[dict[str, object]]:
    """Return the objects in the list of projects."""
    decoder = json.JSONDecoder()
    rest, is_inside = "", False
    for text in texts:
        rest += text
        if not is_inside:
            start = START.search(rest)
            if start is None and len(rest) > LARGEST_HEAD:
                break
            if start is None:
                continue
            rest, is_inside = rest[start.end() :], True
        place = 0
        while True:
            place = _after(BETWEEN, rest, place)
            if rest.startswith("]", place):
                return
            try:
                value, place = decoder.raw_decode(rest, place)
            except json.JSONDecodeError:
                break
            if not isinstance(value, dict):
                raise ValueError("a project on the list is no object")
            yield value
        rest = rest[place:]
        if len(rest) > LARGEST_ENTRY + len(text):
            raise ValueError("a project on the list is too large")
    raise ValueError("the list of projects breaks off")


def _after(pattern: re.Pattern[str], text: str, place: int) -> int:
    """Return the place behind what a pattern matches at a place."""
    match = pattern.match(text, place)
    return match.end() if match else place
