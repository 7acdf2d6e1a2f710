"""Asks indexes for pages and files on a build's behalf, in our name and with nothing that the build sent.

Certificates are verified, with the authorities that the environment names, as requests does.  A password in
an index's address goes to that index alone and stands in no URL after that.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from threading import Event
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import unquote, urlsplit

import requests
from requests.auth import AuthBase, HTTPBasicAuth
from urllib3.exceptions import HTTPError

from builder.contract import AGENT
from builder.session import BadRedirect, Session
from builder.simple_page import shown, without_password

logger = logging.getLogger(__name__)

# To connect, and to wait for an answer's next byte.  Together with the pauses less than what pip should wait.
TIMEOUT_S = (10.0, 30.0)
PAUSES_S = (0.5, 2.0)
# So long upstream may let us wait for a page, which is less than what pip waits, and for a file.
_PAGE_WAIT_S = 90.0
_FILE_WAIT_S = 3600.0
_BLOCK = 64 << 10
# The largest pages of a package had some 10 MB in 2026.
_LARGEST_PAGE = 32 << 20
_USER_AGENT = f"{AGENT} (+https://github.com/piwheels/piwheels)"

_Result = TypeVar("_Result")


class NotThere(Exception):
    """Upstream says that it has no such thing."""


class UpstreamFailed(Exception):
    """Upstream cannot be asked, or is broken, which says nothing of the package; the text says which."""


class TooSlow(UpstreamFailed):
    """Upstream gives too little in all the time that there is; nobody waits for that once more."""


class _Passwords(AuthBase):
    """Sends the passwords in the indexes' addresses, and none from a .netrc."""

    def __init__(self, indexes: Sequence[str]) -> None:
        self._known = {}
        for parts in map(urlsplit, indexes):
            if parts.username is not None:
                user, password = unquote(parts.username), unquote(parts.password or "")
                self._known[_origin(without_password(parts))] = HTTPBasicAuth(user, password)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        password = self._known.get(_origin(request.url or ""))
        return password(request) if password else request


@dataclass(frozen=True)
class Body:
    """What an address had, whole."""

    content: bytes
    content_type: str
    url: str  # where it was in the end


@dataclass(frozen=True)
class Indexes:
    """The simple indexes of a builder and how patiently they are asked."""

    addresses: tuple[str, ...]
    timeout_s: tuple[float, float] = TIMEOUT_S
    pauses_s: tuple[float, ...] = PAUSES_S

    def page_url(self, index: int, name: str) -> str:
        """Return the address of a package's page."""
        return without_password(urlsplit(f"{self.addresses[index].rstrip('/')}/{name}/"))


class Upstream:
    """One thread's connections to the indexes."""

    def __init__(self, indexes: Indexes, stop: Event) -> None:
        """Ask until `stop` is set."""
        self.indexes = indexes
        self._stop = stop
        self._wait("", _PAGE_WAIT_S)
        self._session = Session(self._look)
        self._session.auth = _Passwords(indexes.addresses)
        self._session.headers["User-Agent"] = _USER_AGENT
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def read(self, url: str, accept: str, count: Callable[[int], None], *, most: int | None = None) -> Body:
        """Return what is at a URL, and no larger than that, or a page; raises NotThere or UpstreamFailed.

        `count` is told of the bytes as they come, and may raise what ends it.
        """
        self._wait(url, _PAGE_WAIT_S)
        return self._patiently(
            lambda: self._read(url, accept, count, _LARGEST_PAGE if most is None else most)
        )

    def open(self, url: str) -> requests.Response:
        """Return an answer whose body is to be read by `blocks`; raises NotThere or UpstreamFailed."""
        # "identity", as what we want is the file, not what a server thinks is in it.
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        self._wait(url, _FILE_WAIT_S)
        return self._patiently(lambda: self._ask(url, headers))

    def _patiently(self, deed: Callable[[], _Result]) -> _Result:
        """Do what may fail, again after pauses."""
        for pause_s in self.indexes.pauses_s:
            try:
                return deed()
            except TooSlow:
                raise
            except UpstreamFailed as failure:
                logger.warning("%s Trying again in %.1f s.", failure, pause_s)
            if self._stop.wait(pause_s):
                raise UpstreamFailed("The build is over.")
        return deed()

    def _read(self, url: str, accept: str, count: Callable[[int], None], most: int) -> Body:
        """Ask for something and read it."""
        with self._ask(url, {"Accept": accept}) as answer:
            content = bytearray()
            for block in blocks(answer, url, decode=True):
                count(len(block))
                content += block
                if len(content) > most:
                    raise UpstreamFailed(f"{shown(url)} is larger than {most} bytes.")
            return Body(bytes(content), answer.headers.get("Content-Type", ""), answer.url)

    def _ask(self, url: str, headers: dict[str, str]) -> requests.Response:
        """Ask where a URL leads to; the answer is 200.

        An error names no other URL than the first, as a redirect's may hold a key.
        """
        try:
            answer = self._session.ask(url, headers, self.indexes.timeout_s)
        except BadRedirect as error:
            raise UpstreamFailed(f"{shown(url)} {error}.") from error
        except (requests.RequestException, HTTPError, ValueError) as error:
            raise _failure(shown(url), error) from error
        return _check(answer, shown(url))

    def _wait(self, url: str, most_s: float) -> None:
        """Begin to wait for what is at a URL, through all redirects and tries."""
        self._asked, self._most_s, self._waited_s = shown(url) if url else "", most_s, 0.0

    def _look(self, waited_s: float) -> None:
        """End what nobody wants any more, or what has been waited for too long."""
        self._waited_s += waited_s
        if self._stop.is_set():
            raise UpstreamFailed("The build is over.")
        if self._waited_s > self._most_s:
            raise TooSlow(f"{self._asked} takes more than {self._most_s:.0f} s.")


def blocks(answer: requests.Response, url: str, *, decode: bool = False) -> Iterator[bytes]:
    """Yield the body of an answer; raises UpstreamFailed when it ends too early."""
    stream = answer.raw.stream(_BLOCK, decode_content=decode)
    with closing(stream):
        while True:
            try:
                block = next(stream, None)
            except (requests.RequestException, HTTPError, OSError) as error:
                raise _failure(shown(url), error) from error
            if block is None:
                return
            yield block


def _failure(url: str, error: Exception) -> UpstreamFailed:
    """Return what to say of a fault on the way; what kind it is, as its text may hold a redirect's key."""
    logger.warning("%s cannot be fetched: %s.", url, error)
    return UpstreamFailed(f"{url} cannot be fetched: {type(error).__name__}.")


def _check(answer: requests.Response, url: str) -> requests.Response:
    """Return an answer that has what was asked for."""
    if answer.status_code == 200:
        return answer
    answer.close()
    if answer.status_code in (404, 410):
        raise NotThere(f"{url} is not there.")
    raise UpstreamFailed(f"{url} was answered by {answer.status_code} {answer.reason}.")


def _origin(url: str) -> tuple[str, str]:
    """Return scheme and host of a URL."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()
