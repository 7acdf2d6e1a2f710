"""Reads an index's page of one package, JSON or HTML, and writes it anew with other addresses.

The formats are those of PEP 503 and PEP 691 with what came after them.  What is not understood is left out,
so nothing of a page gets through unread.  Nothing is asked for here.

The server has pypi-simple for that.  It gives objects, from which no page could be written again, and needs
pydantic, which is Rust that somebody would have to compile for a 32-bit Pi before it can build anything.
"""

import hashlib
import ipaddress
import json
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from urllib.parse import SplitResult, unquote, urljoin, urlsplit, urlunsplit

JSON = "application/vnd.pypi.simple.v1+json"
_HTML = ("application/vnd.pypi.simple.v1+html", "text/html")
# What to ask an index for; the numbers are pip's.
ACCEPT = f"{JSON}, {_HTML[0]}; q=0.1, {_HTML[1]}; q=0.01"

_VERSION_1 = re.compile(r"1\.[0-9]{1,4}")
# What pip unpacks.  On an old index's page other links may lead anywhere.
_SUFFIXES = (
    *(".whl", ".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tar.xz", ".txz"),
    *(".tar.lz", ".tlz", ".tar.lzma"),
)
_SHA256 = re.compile(r"[0-9a-f]{64}")
# The longest file name that a disk takes, and far more than any index has in a URL.
_LONGEST_NAME = 255
_LONGEST_URL = 4000


class BadPage(Exception):
    """This is no page of an index; the text says why."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A file that a page lists."""

    filename: str
    url: str
    sha256: str  # "" when the page does not say
    has_metadata: bool
    metadata_sha256: str  # "" when the page does not say

    @property
    def key(self) -> str:
        """What tells this file from others of its name, and nothing of where it comes from."""
        return hashlib.sha256(self.url.encode(errors="surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True)
class Page:
    """What a page says: the files, and all of it that is passed on."""

    files: tuple[Listed, ...]
    content: Mapping[str, Any]  # Any: JSON; its "files" are those above, in the same order

    def encode(self, address: Callable[[Listed], str]) -> bytes:
        """Return the page as JSON in which each file has another address."""
        entries = [
            {**entry, "url": address(file)}
            for file, entry in zip(self.files, self.content["files"], strict=True)
        ]
        return json.dumps({**self.content, "files": entries}, separators=(",", ":")).encode()


def read(body: bytes, content_type: str, *, url: str, name: str) -> Page:
    """Return the page of a package that came from a URL; raises BadPage."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == JSON:
        content = _load(body)
    elif kind in _HTML:
        content = _Links.read(body)
        url = urljoin(url, content.pop("base"))
    else:
        raise BadPage(f"its content type is {content_type[:100]!a}")
    version = _text(_object(content.get("meta")).get("api-version")) or "1.0"
    if not _VERSION_1.fullmatch(version):
        raise BadPage(f"its version is {version[:20]!a}, and only 1.x is known")
    return _page(content, url, {"meta": {"api-version": version}, "name": name})


def _load(body: bytes) -> dict[str, Any]:
    """Return a JSON object."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadPage("it is not JSON") from error
    if not isinstance(content, dict):
        raise BadPage("it is not a JSON object")
    return content


def _page(content: Mapping[str, Any], url: str, head: dict[str, Any]) -> Page:
    """Return what is passed on of a page."""
    files, entries = [], []
    for entry in _array(content.get("files")):
        file = _listed(_object(entry), url)
        if file is not None:
            files.append(file)
            entries.append(_entry(_object(entry), file))
    if isinstance(content.get("versions"), list):
        head["versions"] = [version for version in content["versions"] if isinstance(version, str)]
    if status := _strings(content.get("project-status")):
        head["project-status"] = status
    return Page(tuple(files), {**head, "files": entries})


def _listed(entry: Mapping[str, Any], page_url: str) -> Listed | None:
    """Return the file of an entry, or None if it cannot be fetched by anyone who is careful."""
    filename, url = _text(entry.get("filename")), absolute(page_url, _text(entry.get("url")))
    if not url or not is_plain(filename):
        return None
    metadata = entry.get("core-metadata", entry.get("dist-info-metadata"))
    return Listed(
        filename,
        url,
        sha256=_sha256(entry.get("hashes")),
        has_metadata=bool(metadata),
        metadata_sha256=_sha256(metadata),
    )


def _entry(entry: Mapping[str, Any], file: Listed) -> dict[str, Any]:
    """Return what is passed on of a file, all but its address."""
    kept: dict[str, Any] = {"filename": file.filename, "hashes": _strings(entry.get("hashes"))}
    for key in ("requires-python", "upload-time"):
        if text := _text(entry.get(key)):
            kept[key] = text
    if type(entry.get("size")) is int and entry["size"] >= 0:
        kept["size"] = entry["size"]
    if isinstance(entry.get("yanked"), bool | str):
        kept["yanked"] = entry["yanked"]
    if file.has_metadata:
        kept["core-metadata"] = {"sha256": file.metadata_sha256} if file.metadata_sha256 else True
    return kept


def is_plain(filename: str) -> bool:
    """Tell whether a name is one of a file that pip unpacks, without a path or signs that print nothing."""
    return (
        0 < len(filename) <= _LONGEST_NAME
        and filename[0] != "."
        and filename.isprintable()
        and not set(filename) & set("/\\")
        and filename.endswith(_SUFFIXES)
    )


def absolute(page_url: str, url: str) -> str:
    """Return a URL as it is from its page, without fragment and password; "" if no index can be there.

    Nobody's index steps down from https: on the builder's own network, http is what routers talk.
    """
    try:
        parts = urlsplit(urljoin(page_url, url))
        host = parts.hostname
    except ValueError:
        return ""
    schemes = ("https",) if page_url.startswith("https:") else ("http", "https")
    if not url or parts.scheme not in schemes or not host or len(url) > _LONGEST_URL:
        return ""
    # Where clouds keep their machines' secrets.
    return "" if _is_link_local(host) else without_password(parts)


def _is_link_local(host: str) -> bool:
    """Tell whether a host is an address of its own wire, in whatever way it is written."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        try:
            address = ipaddress.ip_address(socket.inet_aton(host))
        except OSError:
            return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_link_local


def without_password(parts: SplitResult) -> str:
    """Return a URL without its fragment and whoever it names before the host."""
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))


def shown(url: str) -> str:
    """Return a URL as it can be shown to anyone: what stands behind a "?" may be a key."""
    return urlunsplit(urlsplit(url)._replace(query=""))


def _sha256(hashes: object) -> str:
    """Return the sha256 among hashes, or ""."""
    sha256 = _strings(hashes).get("sha256", "").lower()
    return sha256 if _SHA256.fullmatch(sha256) else ""


def _object(value: object) -> Mapping[str, Any]:
    """Return a JSON object, an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def _array(value: object) -> list[Any]:
    """Return a JSON array; raises BadPage for anything else."""
    if not isinstance(value, list):
        raise BadPage("it has no files")
    return value


def _text(value: object) -> str:
    """Return a string, an empty one in place of anything else."""
    return value if isinstance(value, str) else ""


def _strings(value: object) -> dict[str, str]:
    """Return those entries of a JSON object that are strings."""
    return {key: each for key, each in _object(value).items() if isinstance(each, str)}


class _Links(HTMLParser):
    """Collects the links of a page as PEP 691 would have them."""

    def __init__(self) -> None:
        super().__init__()
        self._meta: dict[str, str] = {}
        self._files: list[dict[str, Any]] = []
        self._base = ""

    @classmethod
    def read(cls, body: bytes) -> dict[str, Any]:
        """Return the content of a page, with its "base"."""
        links = cls()
        links.feed(body.decode(errors="replace"))
        links.close()
        return {"meta": links._meta, "files": links._files, "base": links._base}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a link, the base of links, or the format's version."""
        values = {name: value or "" for name, value in attrs}
        if tag == "base" and not self._base:
            self._base = values.get("href", "")
        elif tag == "meta" and values.get("name") == "pypi:repository-version":
            self._meta["api-version"] = values.get("content", "")
        elif tag == "a" and values.get("href"):
            self._files.append(_link(values))


def _link(values: Mapping[str, str]) -> dict[str, Any]:
    """Return the entry of an <a> element."""
    address, _, fragment = values["href"].strip().partition("#")
    path = address.partition("?")[0]
    entry: dict[str, Any] = {
        "filename": unquote(path.rpartition("/")[2]),
        "url": address,
        "hashes": _hashes(fragment),
        "requires-python": values.get("data-requires-python"),
        "upload-time": values.get("data-upload-time"),
    }
    if "data-yanked" in values:
        entry["yanked"] = values["data-yanked"] or True
    metadata = values.get("data-core-metadata", values.get("data-dist-info-metadata"))
    if metadata is not None:
        entry["core-metadata"] = _hashes(metadata) or metadata == "true"
    return entry


def _hashes(text: str) -> dict[str, str]:
    """Return the hash in a text such as "sha256=..."."""
    name, _, value = text.partition("=")
    return {name: value} if name and value else {}
