"""PyPI's client: bytes in, dataclasses out.

What it returns is described and joined in `project`; rows are made of it in `merge`, and `fetch` does the
asking.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import requests
from packaging.utils import canonicalize_name
from pypi_simple import (
    ACCEPT_HTML_PREFERRED,
    ACCEPT_JSON_PREFERRED,
    IndexPage,
    ProjectPage,
    UnsupportedRepoVersionError,
    parse_links_stream,
)

from packages import fetch
from packages.changelog import Changelog
from packages.fetch import UpstreamUnavailable
from packages.project import Facts, Project, canonical, join, read_facts

__all__ = ["NoSuchProject", "PyPI", "UpstreamUnavailable"]

# The root page had 40 MB in 2026.  Its reader writes to the database as it comes.
ROOT_S = 3600
ROOT_BYTES = 512 << 20


class NoSuchProject(Exception):
    """Upstream has no project of that name."""


class PyPI:
    """A client of an index with the APIs of PyPI, which may be used by several threads."""

    def __init__(self, simple_url: str, session: requests.Session | None = None) -> None:
        self.simple_url = simple_url.rstrip("/") + "/"
        self.session = session or fetch.open_session()
        self.changelog = Changelog(self._beside("pypi"), self.session)

    def project(self, name: str) -> Project:
        """Return the state of a project.

        Raises NoSuchProject when neither API has it, and UpstreamUnavailable when the state is not known.
        """
        name = canonicalize_name(name)
        page = self._page(name)
        facts = self._facts(name)
        if page is None and facts is None:
            raise NoSuchProject(f"There is no {name} at {self.simple_url}.")
        if page is None:
            # One of the two answers is an old one from a cache.
            raise UpstreamUnavailable(f"The simple API has no {name}, but the JSON API has.")
        with _reading(f"{self.simple_url}{name}/"):
            return join(name, page, facts or Facts(), allow_http=self.simple_url.startswith("http:"))

    def names(self) -> Iterator[str]:
        """Return the canonical names of all projects, while they arrive."""
        with fetch.ask(self.session, self.simple_url, ACCEPT_HTML_PREFERRED) as response:
            if response is None:
                raise UpstreamUnavailable(f"There is no index at {self.simple_url}.")
            chunks = fetch.chunks(response, ROOT_BYTES, ROOT_S)
            with _reading(self.simple_url):
                for spelling in _spellings(chunks, response):
                    if name := canonical(spelling):
                        yield name

    def _beside(self, path: str) -> str:
        """Return the address of something that PyPI has beside its simple API."""
        return self.simple_url.removesuffix("simple/") + path

    def _page(self, name: str) -> ProjectPage | None:
        """Return what the simple API says of a project; None if it does not know it."""
        url = f"{self.simple_url}{name}/"
        with fetch.ask(self.session, url, ACCEPT_JSON_PREFERRED) as response, _reading(url):
            if response is None:
                return None
            body = fetch.body(response)
            if _is_json(response):
                page = ProjectPage.from_json_data(json.loads(body), response.url)
            else:
                page = ProjectPage.from_html(name, body, response.url, _charset(response))
            if canonicalize_name(page.project) != name:
                raise ValueError(f"the answer is about {page.project}")
            page.last_serial = page.last_serial or response.headers.get("X-PyPI-Last-Serial")
            return page

    def _facts(self, name: str) -> Facts | None:
        """Return what the JSON API says of a project; None if it does not know it.

        Nor does it know one that is quarantined or has no version.
        """
        url = self._beside(f"pypi/{name}/json")
        with fetch.ask(self.session, url, "application/json") as response, _reading(url):
            if response is None:
                return None
            return read_facts(name, json.loads(fetch.body(response)))


def _spellings(chunks: Iterator[bytes], response: requests.Response) -> Iterator[str]:
    """Return the names on the root page."""
    if _is_json(response):
        yield from IndexPage.from_json_data(json.loads(b"".join(chunks))).projects
    else:
        for link in parse_links_stream(chunks, response.url, _charset(response)):
            yield link.text


def _charset(response: requests.Response) -> str | None:
    """Return the charset that an answer declares; `requests` would assume Latin-1 where it declares none."""
    return response.encoding if "charset" in response.headers.get("Content-Type", "") else None


def _is_json(response: requests.Response) -> bool:
    """Whether an answer of the simple API is JSON; else it is HTML."""
    kind: str = response.headers.get("Content-Type", "").split(";")[0].strip()
    if kind in ("application/vnd.pypi.simple.v1+json", "application/json"):
        return True
    if kind in ("application/vnd.pypi.simple.v1+html", "text/html"):
        return False
    raise ValueError(f"the answer is {kind or 'of no kind'}")


@contextmanager
def _reading(url: str) -> Iterator[None]:
    """Turn what parsers raise about an answer into UpstreamUnavailable."""
    try:
        yield
    except (*fetch.SENSELESS, UnsupportedRepoVersionError) as error:
        raise UpstreamUnavailable(f"The answer of {url} makes no sense: {error}") from error
