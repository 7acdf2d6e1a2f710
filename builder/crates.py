"""The registry of Rust's crates, as a build may ask for it: Cargo's sparse protocol, and nothing else of it.

Many packages have parts in Rust, and Cargo fetches what those are made of.  The registry's index says of each
version of a crate which sha256 it has; so what a build gets is what the index promised, and can be kept.
The protocol: https://doc.rust-lang.org/cargo/reference/registry-index.html#sparse-protocol
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from urllib.parse import urlsplit

from builder.passing import BYTES, Passing
from builder.proxy_http import Answer, Refused
from builder.upstream import Upstream, UpstreamFailed

# Below which path of the proxy all of it is.
ROOT = "/crates/"
_NAME = r"[A-Za-z0-9_-]{1,64}"
_PATH = re.compile(
    rf"{ROOT}(?:index/(?P<config>config\.json)"
    rf"|index/(?P<prefix>[12]|3/[a-z0-9_-]|[a-z0-9_-]{{2}}/[a-z0-9_-]{{2}})/(?P<entry>{_NAME})"
    rf"|files/(?P<crate>{_NAME})/(?P<version>[0-9A-Za-z.+-]{{1,100}}))"
)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ACCEPT = "application/json, text/plain"
# Versions of crates of which we remember the sha256; a forgotten one's index is read again.
_MOST_KNOWN = 100_000
# A line of some KiB for each version of a crate, of which few have a thousand.
_LARGEST_ENTRY = 8 << 20


class Crates:
    """A registry behind the package proxy."""

    def __init__(self, index: str, passing: Passing) -> None:
        """Take the address of the registry's sparse index, without Cargo's `sparse+`."""
        self._index = index.removeprefix("sparse+").rstrip("/") + "/"
        self._passing = passing
        self._lock = Lock()
        self._downloads = ""
        self._known: dict[tuple[str, str], str] = {}

    @contextmanager
    def answer(self, path: str, asks: Upstream, *, address: str, is_head: bool) -> Iterator[Answer]:
        """Answer for a path of the registry; `address` is where the build finds this proxy.

        Raises Refused, NotThere, UpstreamFailed or OverBudget.
        """
        match = _PATH.fullmatch(path)
        if match is None:
            raise Refused(403, "Only a registry's index and its crates can be had here.")
        if match["config"]:
            yield _whole(json.dumps({"dl": f"{address}{ROOT}files/{{crate}}/{{version}}"}).encode())
        elif match["entry"]:
            if prefix_of(match["entry"].lower()) != match["prefix"]:
                raise Refused(404, "The index has no such place.")
            with self._passing.pages:
                yield _whole(self._entry(match["entry"], asks))
        elif is_head:
            yield Answer(BYTES, None, iter(()))
        else:
            crate, version = match["crate"], match["version"]
            sha256 = self._promised(crate, version, asks)
            url = self._download(crate, version, sha256, asks)
            with self._passing.file(url, f"{crate}-{version}.crate", sha256, asks) as answer:
                yield answer

    def _read(self, url: str, asks: Upstream) -> bytes:
        """Return what the registry has at a URL, and count it."""
        return asks.read(url, _ACCEPT, self._passing.account.take_bytes, most=_LARGEST_ENTRY).content

    def _entry(self, crate: str, asks: Upstream) -> bytes:
        """Return what the index has of a crate, and remember what it promises."""
        url = f"{self._index}{prefix_of(crate.lower())}/{crate.lower()}"
        with self._passing.noting(url):
            content = self._read(url, asks)
            promised = dict(_promises(content, crate, url))
        with self._lock:
            if len(self._known) > _MOST_KNOWN:
                self._known.clear()
            self._known |= promised
        return content

    def _promised(self, crate: str, version: str, asks: Upstream) -> str:
        """Return the sha256 that the index has of a version."""
        with self._lock:
            sha256 = self._known.get((crate, version))
        if sha256 is None:
            with self._passing.pages:
                self._entry(crate, asks)
            with self._lock:
                sha256 = self._known.get((crate, version))
        if sha256 is None:
            raise Refused(404, "The index does not list this version.")
        return sha256

    def _download(self, crate: str, version: str, sha256: str, asks: Upstream) -> str:
        """Return where upstream has a crate, by the form that its configuration gives."""
        if not self._downloads:
            url = f"{self._index}config.json"
            with self._passing.noting(url):
                self._downloads = _downloads(self._read(url, asks), url)
        values = {
            "{crate}": crate,
            "{version}": version,
            "{prefix}": prefix_of(crate),
            "{lowerprefix}": prefix_of(crate.lower()),
            "{sha256-checksum}": sha256,
        }
        form = self._downloads
        if not any(marker in form for marker in values):
            form = f"{form.rstrip('/')}/{{crate}}/{{version}}/download"
        for marker, value in values.items():
            form = form.replace(marker, value)
        return form


def prefix_of(crate: str) -> str:
    """Return the folder of the index that a crate is in."""
    if len(crate) <= 2:
        return str(len(crate))
    return f"3/{crate[0]}" if len(crate) == 3 else f"{crate[:2]}/{crate[2:4]}"


def _whole(body: bytes) -> Answer:
    """Return an answer that is sent at once."""
    return Answer("text/plain; charset=utf-8", len(body), iter((body,)))


def _promises(content: bytes, crate: str, url: str) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield the versions of a crate with their sha256; a line of the index is one version."""
    try:
        for line in content.splitlines():
            entry = json.loads(line)
            name, version, sha256 = entry["name"], entry["vers"], entry["cksum"]
            if name.lower() == crate.lower() and _SHA256.fullmatch(sha256):
                yield (name, str(version)), sha256
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise UpstreamFailed(f"{url} is no entry of a registry's index.") from error


def _downloads(content: bytes, url: str) -> str:
    """Return where a registry's configuration says that its crates are."""
    try:
        form = json.loads(content)["dl"]
        scheme = urlsplit(form).scheme
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise UpstreamFailed(f"{url} is no configuration of a registry.") from error
    # Nobody's registry steps down from https.
    if scheme != "https" and not (scheme == "http" and url.startswith("http:")):
        raise UpstreamFailed(f"{url} names no place for crates that can be asked.")
    return str(form)
