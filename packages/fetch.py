"""Asks an index over HTTP: who we are, what we wait for, and how much of an answer we take."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from importlib import metadata
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3.exceptions import ReadTimeoutError

CONNECT_S, READ_S = 5, 30
# A look-up is two answers; together they take less than the time that a dirty name is held.
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


@contextmanager
def ask(
    session: requests.Session, url: str, accept: str, etag: str = ""
) -> Iterator[requests.Response | None]:
    """Ask for an address; its answer is a good one, or None if there is nothing.

    Raises Unchanged when the answer is still the one that had that ETag.
    """
    try:
        with _follow(session, url, accept, etag) as response:
            if response.status_code == 304 and etag:
                raise Unchanged(f"{url} is as it was.")
            if response.status_code not in (200, 404, 410):
                raise UpstreamUnavailable(f"{url} answers {response.status_code}.", retry_after(response))
            yield response if response.status_code == 200 else None
    except requests.RequestException as error:
        raise _unanswered(url, error) from error


def _unanswered(url: str, error: requests.RequestException) -> UpstreamUnavailable:
    """Return what it means to us that a request failed."""
    kind = UpstreamTimeout if _is_timeout(error) else UpstreamUnavailable
    return kind(f"{url} does not answer: {error}")


def _follow(session: requests.Session, url: str, accept: str, etag: str) -> requests.Response:
    """Ask for an address, following redirects on its own host: it is the one that we were told to trust."""
    host = urlsplit(url).hostname
    for _ in range(MAX_REDIRECTS + 1):
        headers = {"Accept": accept, **({"If-None-Match": etag} if etag else {})}
        response = _send(session, "GET", url, headers)
        if not response.is_redirect:
            return response
        response.close()
        target = urlsplit(urljoin(url, response.headers["Location"]))
        if target.hostname != host or target.scheme not in (urlsplit(url).scheme, "https"):
            raise UpstreamUnavailable(
                f"{url} redirects to {target.geturl()}: if that is right, set PIWHEELS_PYPI to it."
            )
        url = target.geturl()
    raise UpstreamUnavailable(f"{url} redirects too often.")


def _send(
    session: requests.Session, method: str, url: str, headers: dict[str, str], content: bytes | None = None
) -> requests.Response:
    """Send a request and return its answer, whose body is still to come.

    Straight through the session's adapter: what else a session does for a request (cookies, redirects,
    credentials) is nothing that we want, and takes half of the time.
    """
    request = requests.PreparedRequest()
    request.prepare(method, url, {**session.headers, **headers}, data=content)
    return session.get_adapter(url).send(
        request,
        stream=True,
        timeout=(CONNECT_S, READ_S),
        verify=True if session.verify is None else session.verify,
        proxies=session.proxies,
    )


def post(session: requests.Session, url: str, content: bytes) -> requests.Response:
    """Send XML to an address, and return the answer as it is, its body still to come."""
    try:
        headers = {"Accept": "text/xml", "Content-Type": "text/xml"}
        return _send(session, "POST", url, headers, content)
    except requests.RequestException as error:
        raise _unanswered(url, error) from error


def body(response: requests.Response) -> bytes:
    """Return the body of an answer about one project."""
    return b"".join(chunks(response, PAGE_BYTES, PAGE_S))


def chunks(response: requests.Response, limit: int, seconds: float) -> Iterator[bytes]:
    """Return a body in pieces, as long as it is neither too large nor too slow."""
    end = time.monotonic() + seconds
    size = 0
    try:
        for chunk in response.iter_content(1 << 16):
            size += len(chunk)
            if size > limit:
                raise UpstreamUnavailable(f"{response.url} has more than {limit} bytes.")
            if time.monotonic() > end:
                raise UpstreamTimeout(f"{response.url} takes more than {seconds} s.")
            yield chunk
    except requests.RequestException as error:
        raise _unanswered(response.url, error) from error


def _is_timeout(error: requests.RequestException) -> bool:
    """Whether this is a wait that was too long; in the middle of a body it comes as a ConnectionError."""
    return isinstance(error, requests.Timeout) or any(isinstance(arg, ReadTimeoutError) for arg in error.args)


def etag_of(response: requests.Response) -> str:
    """Return the ETag of an answer, or "" for one that cannot be kept."""
    etag: str = response.headers.get("ETag", "")
    return etag if len(etag) <= MAX_ETAG and etag.isascii() and etag.isprintable() else ""


def retry_after(response: requests.Response) -> int | None:
    """Return how many seconds upstream asks us to wait; a date instead of a number is not read."""
    seconds = response.headers.get("Retry-After", "")
    if not (seconds.isascii() and seconds.isdigit()):
        return None
    return min(int(seconds[:9]), MAX_RETRY_AFTER_S)


def open_session(connections: int = 10, url: str = "") -> requests.Session:
    """Return a session that tells who we are, and keeps no cookies: several threads share it.

    It has no more connections than that to a host; a thread that needs one more waits.  Which proxy of the
    environment leads to that address is asked once.
    """
    session = requests.Session()
    session.proxies.update(get_environ_proxies(url) if url else {})
    session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
    session.trust_env = False
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=connections, pool_block=True))
    session.headers["User-Agent"] = f"piwheels/{_own_version()} (+https://github.com/piwheels/piwheels)"
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


def _own_version() -> str:
    """Return our version; a checkout that nobody installed has none."""
    try:
        return metadata.version("piwheels")
    except metadata.PackageNotFoundError:
        return "checkout"
