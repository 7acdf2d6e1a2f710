"""Asks an index over HTTP: who we are, what we wait for, and how much of an answer we take.

With urllib3, on which `requests` stands: what that adds (cookies, credentials, redirects) is nothing that we
want, and takes half of the time of a question.
"""

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib import metadata
from pathlib import Path
from typing import Self
from urllib.parse import urljoin, urlsplit

from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies, select_proxy
from urllib3 import BaseHTTPResponse, PoolManager, Timeout
from urllib3.exceptions import HTTPError, TimeoutError

CONNECT_S, READ_S = 5, 30
# Of an answer about one project; PyPI's own take a second or two.
PAGE_S = 120
PAGE_BYTES = 64 << 20
MAX_REDIRECTS = 3
MAX_ETAG = 200
MAX_RETRY_AFTER_S = 3600
# What parsers raise about an answer that is garbage; a moment in the year 1 is an OverflowError where it is
# not in UTC.
SENSELESS = (ValueError, ArithmeticError, AssertionError, LookupError, RecursionError)


class UpstreamUnavailable(Exception):
    """Upstream did not answer, or not with anything to be relied on; nothing follows from that."""

    def __init__(self, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        # How many seconds upstream asks us to wait.
        self.retry_after = retry_after


class UpstreamTimeout(UpstreamUnavailable):
    """Upstream kept us waiting, as it probably would with the next question."""


class Unchanged(Exception):
    """Upstream's answer is still the one that we have."""


class Session:
    """Connections to an index, shared by several threads; it tells who we are, and keeps no cookies.

    It has no more connections than that to a host; a thread that needs one more waits.  Which proxy of the
    environment leads to that address is asked once.
    """

    def __init__(self, connections: int = 10, url: str = "") -> None:
        proxy = select_proxy(url, get_environ_proxies(url)) if url else None
        adapter = HTTPAdapter(pool_maxsize=connections, pool_block=True)
        self.manager: PoolManager = adapter.proxy_manager_for(proxy) if proxy else adapter.poolmanager
        self.manager.connection_pool_kw |= _trust()
        self._headers = {
            "User-Agent": f"piwheels/{_own_version()} (+https://github.com/piwheels/piwheels)",
            "Accept-Encoding": "gzip, deflate",
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self.manager.clear()

    def send(
        self, method: str, url: str, headers: dict[str, str], content: bytes | None = None
    ) -> BaseHTTPResponse:
        """Send a request and return its answer, whose body is still to come."""
        response = self.manager.urlopen(
            method,
            url,
            body=content,
            headers={**self._headers, **headers},
            timeout=Timeout(connect=CONNECT_S, read=READ_S),
            retries=False,
            redirect=False,
            preload_content=False,
        )
        # Its own is without the host.
        response.url = url
        return response


def _trust() -> dict[str, str]:
    """Return whom to believe that an index is who it says; as elsewhere, the environment may name them."""
    named = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or DEFAULT_CA_BUNDLE_PATH
    return {"cert_reqs": "CERT_REQUIRED", "ca_cert_dir" if Path(named).is_dir() else "ca_certs": named}


@contextmanager
def ask(session: Session, url: str, accept: str, etag: str = "") -> Iterator[BaseHTTPResponse | None]:
    """Ask for an address; its answer is a good one, or None if there is nothing.

    Raises Unchanged when the answer is still the one that had that ETag.
    """
    try:
        with _open(_follow(session, url, accept, etag)) as response:
            if response.status == 304 and etag:
                # It has no body; else the connection would be given up with what may still come on it.
                response.drain_conn()
                raise Unchanged(f"{url} is as it was.")
            if response.status not in (200, 404, 410):
                raise UpstreamUnavailable(f"{url} answers {response.status}.", retry_after(response))
            yield response if response.status == 200 else None
    except HTTPError as error:
        raise _unanswered(url, error) from error


def _unanswered(url: str | None, error: HTTPError) -> UpstreamUnavailable:
    """Return what it means to us that a request failed."""
    kind = UpstreamTimeout if isinstance(error, TimeoutError) else UpstreamUnavailable
    return kind(f"{url} does not answer: {error}")


def _follow(session: Session, url: str, accept: str, etag: str) -> BaseHTTPResponse:
    """Ask for an address, following redirects on its own host: it is the one that we were told to trust."""
    host = urlsplit(url).hostname
    headers = {"Accept": accept, **({"If-None-Match": etag} if etag else {})}
    for _ in range(MAX_REDIRECTS + 1):
        response = session.send("GET", url, headers)
        location = response.get_redirect_location()
        if not location:
            return response
        _end(response)
        target = urlsplit(urljoin(url, location))
        if target.hostname != host or target.scheme not in (urlsplit(url).scheme, "https"):
            raise UpstreamUnavailable(
                f"{url} redirects to {target.geturl()}: if that is right, set PIWHEELS_PYPI to it."
            )
        url = target.geturl()
    raise UpstreamUnavailable(f"{url} redirects too often.")


@contextmanager
def post(session: Session, url: str, content: bytes) -> Iterator[BaseHTTPResponse]:
    """Send XML to an address; its answer is as it comes, its body still to come."""
    headers = {"Accept": "text/xml", "Content-Type": "text/xml"}
    try:
        with _open(session.send("POST", url, headers, content)) as response:
            yield response
    except HTTPError as error:
        raise _unanswered(url, error) from error


@contextmanager
def _open(response: BaseHTTPResponse) -> Iterator[BaseHTTPResponse]:
    """Have an answer end with what is done with it."""
    try:
        yield response
    finally:
        _end(response)


def _end(response: BaseHTTPResponse) -> None:
    """Give the connection of an answer back, closed if there may still be something of it to come."""
    response.close()
    response.release_conn()


def body(response: BaseHTTPResponse) -> bytes:
    """Return the body of an answer about one project."""
    return b"".join(chunks(response, PAGE_BYTES, PAGE_S))


def chunks(response: BaseHTTPResponse, limit: int, seconds: float) -> Iterator[bytes]:
    """Return a body in pieces, as long as it is neither too large nor too slow."""
    end = time.monotonic() + seconds
    size = 0
    try:
        for chunk in response.stream(1 << 16):
            size += len(chunk)
            if size > limit:
                raise UpstreamUnavailable(f"{response.url} has more than {limit} bytes.")
            if time.monotonic() > end:
                raise UpstreamTimeout(f"{response.url} takes more than {seconds} s.")
            yield chunk
    except HTTPError as error:
        raise _unanswered(response.url, error) from error


def url_of(response: BaseHTTPResponse) -> str:
    """Return the address that an answer came from, behind all redirects."""
    return response.url or ""


def etag_of(response: BaseHTTPResponse) -> str:
    """Return the ETag of an answer, or "" for one that cannot be kept."""
    etag: str = response.headers.get("ETag", "")
    return etag if len(etag) <= MAX_ETAG and etag.isascii() and etag.isprintable() else ""


def retry_after(response: BaseHTTPResponse) -> int | None:
    """Return how many seconds upstream asks us to wait, whether it says that as a number or as a date."""
    said = response.headers.get("Retry-After", "")
    if said.isascii() and said.isdigit():
        return min(int(said[:9]), MAX_RETRY_AFTER_S)
    until = _moment(said)
    if until is None:
        return None
    # Where upstream says what its own clock shows, ours may be wrong.
    now = _moment(response.headers.get("Date", "")) or datetime.now(UTC)
    return min(max(math.ceil((until - now).total_seconds()), 0), MAX_RETRY_AFTER_S)


def _moment(said: str) -> datetime | None:
    """Return a moment as headers have it; None for what is none."""
    try:
        moment = parsedate_to_datetime(said)
    except (*SENSELESS, TypeError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _own_version() -> str:
    """Return our version; a checkout that nobody installed has none."""
    try:
        return metadata.version("piwheels")
    except metadata.PackageNotFoundError:
        return "checkout"
