"""What one line of an access log tells: a wheel was given, a look-up was in vain, or nothing (no Django).

Two forms are read: the JSON of `deploy/nginx/log-format.conf`, and the combined format of Apache and nginx.
A line can hold anything; one that cannot be read is refused with a reason, and the next one is read.
"""

import json
import re
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from apachelogs import COMBINED, InvalidEntryError, LogParser

from simple.agents import MAX_LENGTH, is_builders, recognise

# nginx takes no request line and no header beyond 32 KiB, and writes some of their bytes as six.
MAX_LINE = 1 << 17
# Apache may have been told to write names of hosts instead.
_MAX_ADDRESS = 255


class Served(NamedTuple):
    """A wheel was given to somebody."""

    day: date
    hour: int
    project: str
    filename: str
    address: str
    agent: str


class Missed(NamedTuple):
    """An installer looked for a project that we have nothing of."""

    day: date
    project: str


class Refusal(StrEnum):
    """Why a line was not read."""

    TOO_LONG = "longer than any request"
    MALFORMED = "not a line of a log that we know"
    TYPES = "fields are missing or of the wrong type"
    TIME = "its time is none"


# The addresses of simple/urls.py; the files are below /simple/ only, whatever page named them.
_FILE = re.compile(r"/simple/([a-z0-9-]{1,200})/([A-Za-z0-9_.!+-]{1,251}\.whl)")
_PROJECT = {
    "404": re.compile(r"(?:/[a-z0-9.-]{1,50})?/simple(?:-platform)?/([a-z0-9-]{1,200})/"),
    # Who wants all files is sent to upstream for what we have nothing of.
    "302": re.compile(r"/simple-full/([a-z0-9-]{1,200})/"),
}
_FIRST_RANGE = re.compile(r"\s*bytes\s*=\s*0+\s*-", re.IGNORECASE)
_JSON_FIELDS = ("time", "method", "uri", "status", "agent", "address", "range")
_BEGINNING = '{"time":'
# No value holds these: their quotes would have backslashes before them.
_AGENT, _AFTER_AGENT = '"agent":"', '","address":"'

_combined = LogParser(COMBINED, errors="replace")


def read(line: bytes) -> Served | Missed | Refusal | None:
    """Return what a line tells; None if it is nothing that we count.  Never raises."""
    if len(line) >= MAX_LINE:
        return Refusal.TOO_LONG
    text = line.decode(errors="replace").strip("\0 \t\r\n")
    if not text:
        return None
    return _of_json(text) if text[0] == "{" else _of_combined(text)


def is_download(method: str, status: int | str, range_header: str, agent: str) -> bool:
    """Tell whether an answer gives somebody a file, or its beginning: each file that is fetched has one.

    A redirect to a bucket is an answer with the file.  Parts that begin later continue what was counted, or
    are looks into a wheel's list of contents.  Builders, who build with it, are nobody.
    """
    if method != "GET" or is_builders(agent):
        return False
    if str(status) == "200":
        return True
    is_first = _FIRST_RANGE.match(range_header) is not None
    return is_first if str(status) == "206" else str(status) == "302" and (is_first or not range_header)


def _of_json(text: str) -> Served | Missed | Refusal | None:
    start, end = text.find(_AGENT) + len(_AGENT), text.find(_AFTER_AGENT)
    apart = _unescaped(text[start:end]) if len(_AGENT) < start <= end else None
    fields = _loaded(text if apart is None else text[:start] + text[end:])
    if fields is None:
        return Refusal.MALFORMED
    try:
        said = [fields[name] for name in _JSON_FIELDS]
    except (KeyError, TypeError):
        return Refusal.TYPES
    if not all(type(value) is str for value in said):
        return Refusal.TYPES
    time, method, uri, status, agent, address, range_header = said
    return _told(method, uri, status, apart or agent, address, range_header, time=time)


def _unescaped(agent: str) -> str | None:
    """Return what a JSON string says; None if it is none, or too long for an agent."""
    return _parsed(agent) if len(agent) <= 2 * MAX_LENGTH else None


@lru_cache(maxsize=10_000)
def _parsed(agent: str) -> str | None:
    """Return what a JSON string says; None if it is none.

    An agent is JSON in JSON: its sixty escapes take longer than the rest of a line, and it comes again.
    """
    try:
        loaded = json.loads(f'"{agent}"')
    except ValueError:
        return None
    return loaded if isinstance(loaded, str) else None


def _loaded(text: str) -> dict[str, str] | None:
    """Return the object in a line; where a full disk has cut a line off and the next follows it, the next."""
    for start in (0, text.rfind(_BEGINNING)):
        if start >= 0:
            try:
                loaded = json.loads(text[start:])
            except (ValueError, RecursionError):
                continue
            return loaded if isinstance(loaded, dict) else None
    return None


def _of_combined(text: str) -> Served | Missed | Refusal | None:
    try:
        entry = _combined.parse(text)
        at: datetime = entry.request_time
    except (InvalidEntryError, ValueError, OverflowError, AttributeError):
        return Refusal.MALFORMED
    method, _, rest = (entry.request_line or "").partition(" ")
    uri = rest.rpartition(" ")[0]
    agent = entry.headers_in["User-Agent"] or ""
    # The combined format has no range, so that no 206 can be told from another.
    return _told(method, uri, str(entry.final_status or ""), agent, entry.remote_host or "", "bytes=?", at=at)


def _told(
    method: str,
    uri: str,
    status: str,
    agent: str,
    address: str,
    range_header: str,
    *,
    time: str = "",
    at: datetime | None = None,
) -> Served | Missed | Refusal | None:
    """Return what somebody's request and our answer are to us."""
    # What is longer is remembered by nobody, and one letter more shows that it was too long.
    agent, address = agent[: MAX_LENGTH + 1], address[:_MAX_ADDRESS]
    path = uri.partition("?")[0]
    if "%" in path:
        path = unquote(path)
    if is_download(method, status, range_header, agent) and (file := _FILE.fullmatch(path)):
        when = _hour(time) if at is None else _of(at)
        return Served(*when, file[1], file[2], address, agent) if when else Refusal.TIME
    in_vain = _PROJECT.get(status) if method == "GET" else None
    if in_vain and (project := in_vain.fullmatch(path)):
        if not recognise(agent).is_installer:
            return None
        when = _hour(time) if at is None else _of(at)
        return Missed(when[0], project[1]) if when else Refusal.TIME
    return None


def _hour(time: str) -> tuple[date, int] | None:
    """Return day and hour in UTC of an ISO time; None if it is no time."""
    # To the minute, as all the lines of one share the answer; seconds and their parts are passed over.
    return _hour_of_minute(time[:16], "Z" if time.endswith("Z") else time[-6:])


@lru_cache(maxsize=256)
def _hour_of_minute(minute: str, offset: str) -> tuple[date, int] | None:
    if offset[:1] not in ("Z", "+", "-"):
        return None
    try:
        at = datetime.fromisoformat(minute + offset)
    except ValueError:
        return None
    return _of(at)


def _of(at: datetime) -> tuple[date, int] | None:
    try:
        at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except OverflowError:
        return None
    return at.date(), at.hour
