"""Asks upstream's journal what has changed, over XML-RPC as PyPI has it.

An index need not have a journal, and PyPI's own people would like to replace theirs one day.  So "there is
none" is an answer like others, and all that the rest of the code knows of a journal is two questions.
"""

import re
import xmlrpc.client
from collections.abc import Callable
from dataclasses import dataclass
from xml.parsers.expat import ExpatError

from packages import fetch
from packages.fetch import UpstreamUnavailable
from packages.project import MAX_NUMBER

# Upstream sends 50,000 events at most; each takes 500 bytes or so of XML.
PAGE_ROWS = 50_000
PAGE_BYTES = 128 << 20
PAGE_S = 120

# How an index says that it has no such thing; proxies of PyPI refuse the method.
ABSENT = (301, 302, 303, 307, 308, 400, 404, 405, 410, 501)
# What a server that speaks XML-RPC says of a method that it does not have.
NO_METHOD = -32601
# What PyPI adds to its fault for too many calls.
RESET = re.compile(r"in (\d{1,6}) seconds?")
# How long to wait where that text does not say.
LIMIT_S = 60


class NoJournal(Exception):
    """Upstream has no journal that we can read."""


@dataclass(frozen=True)
class Event:
    """That something happened to a project; what it is now has to be asked."""

    serial: int
    name: str  # as upstream spells it
    action: str


class Changelog:
    """A client of the journal at an address."""

    def __init__(self, url: str, session: fetch.Session) -> None:
        self.url = url
        self.session = session

    def last_serial(self) -> int:
        """Return the serial of the last event.

        Raises NoJournal, and UpstreamUnavailable when the answer is not known.
        """
        serial = self._call("changelog_last_serial")
        if isinstance(serial, int) and _is_serial(serial):
            return serial
        raise UpstreamUnavailable(f"{self.url} says that {str(serial)[:80]!r} is its last serial.")

    def since(self, serial: int, pulse: Callable[[], None] = lambda: None) -> list[Event]:
        """Return the events after one, the first 50,000 at most, in the order that upstream has them.

        `pulse` is called while they come, which may take a while.
        Raises NoJournal, and UpstreamUnavailable when the answer is not known: an event that cannot be read
        is not passed over, as nobody would come back for it.
        """
        rows = self._call("changelog_since_serial", serial, pulse=pulse)
        if not isinstance(rows, list):
            raise UpstreamUnavailable(f"{self.url} answers {type(rows).__name__} instead of a list.")
        return [self._event(row) for row in rows]

    def _event(self, row: object) -> Event:
        match row:
            case [name, _, _, action, int() as serial, *_] if _is_serial(serial):
                return Event(serial, name if isinstance(name, str) else "", str(action))
        raise UpstreamUnavailable(f"{self.url} has an event that makes no sense: {str(row)[:200]}")

    def _call(self, method: str, *arguments: int, pulse: Callable[[], None] = lambda: None) -> object:
        """Return what a method returns."""
        request = xmlrpc.client.dumps(arguments, method).encode()
        with fetch.post(self.session, self.url, request) as response:
            if response.status in ABSENT:
                raise NoJournal(f"{self.url} answers {response.status}.")
            if response.status != 200:
                raise UpstreamUnavailable(
                    f"{self.url} answers {response.status}.", fetch.retry_after(response)
                )
            if "html" in response.headers.get("Content-Type", ""):
                raise NoJournal(f"{self.url} answers with a page for people.")
            body = bytearray()
            for chunk in fetch.chunks(response, PAGE_BYTES, PAGE_S):
                body += chunk
                pulse()
        return self._read(bytes(body))

    def _read(self, body: bytes) -> object:
        """Return what an answer says."""
        # XML can name a text and repeat the name, so that a small answer becomes a huge one.
        if b"<!" in body:
            raise UpstreamUnavailable(f"{self.url} answers with XML that declares something.")
        try:
            values, _ = xmlrpc.client.loads(body)
        except xmlrpc.client.Fault as fault:
            raise self._refusal(fault) from fault
        # Its reader believes that the answer is one, and raises whatever comes of that.
        except (ExpatError, xmlrpc.client.Error, *fetch.SENSELESS, AttributeError, TypeError) as error:
            raise UpstreamUnavailable(f"The answer of {self.url} makes no sense: {error}") from error
        return values[0] if len(values) == 1 else None

    def _refusal(self, fault: xmlrpc.client.Fault) -> Exception:
        """Return what a fault means: that there is no journal, that we ask too often, or an outage."""
        text = str(fault.faultString)
        if fault.faultCode == NO_METHOD or "no longer support" in text:
            return NoJournal(f"{self.url} answers: {text[:200]}")
        if "TooManyRequests" in text:
            reset = RESET.search(text)
            return UpstreamUnavailable(
                f"{self.url} wants fewer questions.", int(reset[1]) if reset else LIMIT_S
            )
        return UpstreamUnavailable(f"{self.url} answers: {text[:200]}")


def _is_serial(value: int) -> bool:
    """Whether this can be the number of an event."""
    return not isinstance(value, bool) and 0 <= value <= MAX_NUMBER
