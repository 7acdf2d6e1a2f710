"""Fetches the source that an order names, and believes nothing but its sha256."""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from builder.client import DeadTicket
from builder.contract import BuildOrder
from builder.session import BadRedirect, Look, Session
from builder.simple_page import absolute

logger = logging.getLogger(__name__)

_TIMEOUT = (10, 60)
_BLOCK = 256 << 10
# The largest source on PyPI is below 1 GiB.
_LARGEST = 2 << 30
# A server that gives a byte a minute must not keep a builder.
_TIME_LIMIT_S = 3600.0
# An upload is visible in the index some seconds before each server of upstream's network has the file.
PAUSES_S = (1.0, 5.0, 20.0, 60.0)


class BadSource(Exception):
    """The source cannot be had as it was ordered; the text says why."""


class NoSource(BadSource):
    """Upstream says that there is no such file, or not yet."""


class SourceUnreachable(Exception):
    """Nobody could be asked for the source for too long, which says nothing of the package."""


class _Fault(Exception):
    """A fault that may pass."""


class _Absent(_Fault):
    """The source is not there, or not yet."""


def fetch(order: BuildOrder, folder: Path, stop: Event, *, pauses_s: Sequence[float] = PAUSES_S) -> Path:
    """Return the path of the ordered source.

    Raises BadSource, SourceUnreachable, or DeadTicket when told to stop.
    """
    if Path(order.filename).name != order.filename or order.filename[:1] in ("", "."):
        raise BadSource(f"{order.filename!a} is not a plain file name.")
    if urlsplit(order.url).scheme not in ("http", "https"):
        raise BadSource(f"{order.url} is neither https nor http.")
    if not absolute(order.url, order.url):
        raise BadSource(f"{order.url} cannot be fetched: no source can be there.")
    path = folder / order.filename
    for pause in (*pauses_s, None):
        try:
            _check(_download(order.url, path, stop), order)
            return path
        except _Fault as fault:
            if pause is None:
                final = NoSource if isinstance(fault, _Absent) else SourceUnreachable
                raise final(f"{order.url} cannot be fetched: {fault}.") from fault
            logger.warning("%s cannot be fetched: %s. Trying again in %.0f s.", order.url, fault, pause)
        stop.wait(pause)
    raise AssertionError("the last attempt returns or raises")


def _check(sha256: str, order: BuildOrder) -> None:
    """Refuse other bytes than those that were ordered."""
    if sha256 != order.sha256:
        raise BadSource(f"The sha256 of {order.filename} is {sha256}, ordered was {order.sha256}.")


def _download(url: str, path: Path, stop: Event) -> str:
    """Write what is at a URL to a file and return its sha256."""
    # "identity", and no decoding below: what we want is the file, not what a server thinks is in it.
    headers = {"Accept-Encoding": "identity"}
    try:
        with Session(_look(url, stop)) as session, session.ask(url, headers, _TIMEOUT) as answer:
            if answer.status_code != 200:
                _refuse(answer)
            return _copy(answer, path)
    except requests.exceptions.InvalidURL as error:
        raise BadSource(f"{url} cannot be fetched: {error}.") from error
    except BadRedirect as error:
        raise _Fault(f"it {error}") from error
    except (requests.RequestException, HTTPError) as error:
        raise _Fault(str(error)) from error


def _look(url: str, stop: Event) -> Look:
    """Return what ends a download that nobody wants any more, or that takes too long."""

    in_all_s = 0.0

    def look(waited_s: float) -> None:
        nonlocal in_all_s
        in_all_s += waited_s
        if stop.is_set():
            raise DeadTicket("The build was called off while its source was fetched.")
        if in_all_s > _TIME_LIMIT_S:
            raise SourceUnreachable(f"{url} takes more than {_TIME_LIMIT_S:.0f} s.")

    return look


def _refuse(answer: requests.Response) -> None:
    """Tell an answer that may be better later from one that will not."""
    text = f"the answer was {answer.status_code} {answer.reason}"
    if answer.status_code == 404:
        raise _Absent(text)
    if answer.status_code in (408, 425, 429) or answer.status_code >= 500:
        raise _Fault(text)
    raise BadSource(f"{answer.url} cannot be fetched: {text}.")


def _copy(answer: requests.Response, path: Path) -> str:
    """Write a body to a file and return its sha256."""
    sha256 = hashlib.sha256()
    size = 0
    with path.open("wb") as file:
        for block in answer.raw.stream(_BLOCK, decode_content=False):
            size += len(block)
            if size > _LARGEST:
                raise BadSource(f"{answer.url} is larger than {_LARGEST} bytes.")
            sha256.update(block)
            file.write(block)
    return sha256.hexdigest()
