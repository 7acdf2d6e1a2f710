"""A fake PyPI's journal, and the XML-RPC that shows it.

The real one gives each entry an id, the serial, in the order in which they were written; serials may be left
out, and the times that it notes are those of whichever clock wrote the entry.
"""

import xmlrpc.client
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

# The real one shows no more at once.
PAGE_ROWS = 50_000
FIRST_SERIAL = 1000


@dataclass(frozen=True)
class Entry:
    """A row of the journal."""

    name: str | None
    version: str | None
    at: datetime
    action: str
    serial: int

    @property
    def row(self) -> list[str | int | None]:
        """The row as `changelog_since_serial` shows it."""
        return [self.name, self.version, int(self.at.timestamp()), self.action, self.serial]


class Journal:
    """What happened, in its order."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.serial = FIRST_SERIAL
        self._skipped = 0
        self.entries: list[Entry] = []
        # Each row is shown that often.
        self.copies = 1

    def write(self, name: str | None, version: str | None, action: str) -> int:
        """Write an entry down and return its serial."""
        self.serial += 1 + self._skipped
        self._skipped = 0
        self.now += timedelta(seconds=1)
        self.entries.append(Entry(name, version, self.now, action, self.serial))
        return self.serial

    def skip(self, serials: int) -> None:
        """Leave some serials out, as transactions that were rolled back do."""
        self._skipped += serials

    def jump(self, seconds: float) -> None:
        """Set the clock, back or forth."""
        self.now += timedelta(seconds=seconds)

    def since(self, serial: int, limit: int) -> list[Entry]:
        """Return the first entries after a serial."""
        start = bisect_right(self.entries, serial, key=lambda entry: entry.serial)
        return [entry for entry in self.entries[start : start + limit] for _ in range(self.copies)][:limit]


def call(body: bytes, methods: dict[str, Callable[..., object]]) -> bytes:
    """Answer a call of XML-RPC."""
    try:
        arguments, name = xmlrpc.client.loads(body)
        if name not in methods:
            return fault(-32601, "server error; requested method not found")
        return _marshalled((methods[name](*arguments),))
    except TypeError as error:
        return fault(-32500, f"ValidationError: {error}")


def limited(seconds: int) -> bytes:
    """Return the answer to who called too often."""
    return fault(
        -32500,
        "HTTPTooManyRequests: The action could not be performed because there were too many requests by the"
        f" client. Limit may reset in {seconds} seconds.",
    )


def fault(code: int, text: str) -> bytes:
    """Return an answer that says what went wrong."""
    return _marshalled(xmlrpc.client.Fault(code, text))


def as_serial(value: object) -> int:
    """Return a serial that a client sent; the real one takes nothing but an integer."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"serial is {type(value).__name__}, not int")
    return value


def _marshalled(answer: tuple[object, ...] | xmlrpc.client.Fault) -> bytes:
    text = xmlrpc.client.dumps(answer, methodresponse=True, allow_none=True)
    return text.encode("utf-8", "replace")
