"""PyPI's client: bytes in, dataclasses out.

What it returns is described and joined in `project`; rows are made of it in `merge`, and `fetch` does the
asking.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from packaging.utils import canonicalize_name
from pypi_simple import (
    ACCEPT_JSON_PREFERRED,
    UnsupportedRepoVersionError,
)
from requests.utils import get_encoding_from_headers
from urllib3 import BaseHTTPResponse

from packages import fetch, listing, page
from packages.changelog import Changelog
from packages.fetch import UpstreamUnavailable
from packages.listing import Entry
from packages.page import Page
from packages.project import Facts, Project, join, read_facts

__all__ = ["NoSuchProject", "PyPI", "UpstreamUnavailable"]

# The list of all projects had 40 MB in 2026.  Its reader writes to the database as it comes.
ROOT_S = 3600
ROOT_BYTES = 512 << 20
# Where a page ends; PyPI's have a comment behind it.
PAGE_END = 200


class NoSuchProject(Exception):
    """Upstream has no project of that name."""


@dataclass(frozen=True)
class Listing:
    """The list of all projects, to be read once."""

    entries: Iterator[Entry]
    has_serials: bool
    etag: str


class PyPI:
    """A client of an index with the APIs of PyPI, which may be used by several threads."""

    def __init__(self, simple_url: str, session: fetch.Session | None = None) -> None:
        self.simple_url = simple_url.rstrip("/") + "/"
        self.session = session or fetch.Session(url=simple_url)
        self.changelog = Changelog(self._beside("pypi"), self.session)

    def project(self, name: str, etag: str = "") -> Project:
        """Return the state of a project.

        Raises NoSuchProject when neither API has it, UpstreamUnavailable when the state is not known, and
        Unchanged when it is still the one that had that ETag.
        """
        name = canonicalize_name(name)
        found = self._page(name, etag)
        facts = self._facts(name)
        if found is None and facts is None:
            raise NoSuchProject(f"There is no {name} at {self.simple_url}.")
        if found is None:
            # One of the two answers is an old one from a cache.
            raise UpstreamUnavailable(f"The simple API has no {name}, but the JSON API has.")
        shown, etag = found
        with _reading(f"{self.simple_url}{name}/"):
            is_http = self.simple_url.startswith("http:")
            return join(name, shown, facts, allow_http=is_http, etag=etag)

    def has(self, name: str) -> bool:
        """Whether the simple API has a project; raises UpstreamUnavailable when that is not known."""
        return self._page(canonicalize_name(name), "") is not None

    @contextmanager
    def listing(self, etag: str = "") -> Iterator[Listing]:
        """Open the list of all projects, which arrives while it is read.

        Raises Unchanged when it is still the one that had that ETag, and UpstreamUnavailable, also while the
        entries are read.
        """
        url = self.simple_url
        with fetch.ask(self.session, url, ACCEPT_JSON_PREFERRED, etag) as response, _reading(url):
            if response is None:
                raise UpstreamUnavailable(f"There is no index at {url}.")
            chunks = fetch.chunks(response, ROOT_BYTES, ROOT_S)
            if has_serials := _is_json(response):
                entries = listing.read_json(chunks)
            else:
                entries = listing.read_html(chunks, fetch.url_of(response), _charset(response))
            yield Listing(_guarded(entries, url), has_serials=has_serials, etag=fetch.etag_of(response))

    def _beside(self, path: str) -> str:
        """Return the address of something that PyPI has beside its simple API."""
        return self.simple_url.removesuffix("simple/") + path

    def _page(self, name: str, etag: str) -> tuple[Page, str] | None:
        """Return what the simple API says of a project, and its ETag; None if it does not know it."""
        url = f"{self.simple_url}{name}/"
        with fetch.ask(self.session, url, ACCEPT_JSON_PREFERRED, etag) as response, _reading(url):
            if response is None:
                return None
            body = fetch.body(response)
            serial = response.headers.get("X-PyPI-Last-Serial")
            if _is_json(response):
                found = page.read_json(body, fetch.url_of(response), serial)
            elif b"</html>" not in body[-PAGE_END:].lower():
                # Its beginning would be read as a page with fewer files, or none.
                raise ValueError("the page breaks off")
            else:
                found = page.read_html(name, body, fetch.url_of(response), _charset(response), serial)
            if canonicalize_name(found.name) != name:
                raise ValueError(f"the answer is about {found.name}")
            return found, fetch.etag_of(response)

    def _facts(self, name: str) -> Facts | None:
        """Return what the JSON API says of a project; None if it does not know it.

        Nor does it know one that is quarantined or has no version.
        """
        url = self._beside(f"pypi/{name}/json")
        with fetch.ask(self.session, url, "application/json") as response, _reading(url):
            if response is None:
                return None
            return read_facts(name, json.loads(fetch.body(response)))


def _charset(response: BaseHTTPResponse) -> str | None:
    """Return the charset that an answer declares; `requests` assumes Latin-1 where it declares none."""
    is_declared = "charset" in response.headers.get("Content-Type", "")
    return get_encoding_from_headers(response.headers) if is_declared else None


def _is_json(response: BaseHTTPResponse) -> bool:
    """Whether an answer of the simple API is JSON; else it is HTML."""
    kind: str = response.headers.get("Content-Type", "").split(";")[0].strip()
    if kind in ("application/vnd.pypi.simple.v1+json", "application/json"):
        return True
    if kind in ("application/vnd.pypi.simple.v1+html", "text/html"):
        return False
    raise ValueError(f"the answer is {kind or 'of no kind'}")


def _guarded(entries: Iterator[Entry], url: str) -> Iterator[Entry]:
    """Return the entries of a list, and turn what its reader raises into UpstreamUnavailable."""
    with _reading(url):
        yield from entries


@contextmanager
def _reading(url: str) -> Iterator[None]:
    """Turn what parsers raise about an answer into UpstreamUnavailable."""
    try:
        yield
    except (*fetch.SENSELESS, UnsupportedRepoVersionError) as error:
        raise UpstreamUnavailable(f"The answer of {url} makes no sense: {error}") from error
