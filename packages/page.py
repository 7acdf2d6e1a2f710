"""Reads a project's page of the simple API, whether it is JSON (PEP 691) or HTML (PEP 503).

`pypi_simple` reads the HTML.  Of JSON it would make objects that know more of each file than we ask, and that
takes half of a look-up's time; what is read here is what `project` keeps.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urljoin

from pypi_simple import ProjectPage, ProjectStatus

# What a page may say of the project (PEP 792); anything else is no reason to keep wheels from anybody.
STATUSES = frozenset(status.value for status in ProjectStatus)


class PageFile(NamedTuple):
    """A file on a page.

    A tuple, like those in `project`: a bootstrap makes thirty million, and a frozen dataclass takes longer.
    """

    filename: str
    url: str
    sha256: str  # "" where the page does not tell
    requires_python: str | None
    size: int | None
    uploaded_at: datetime | None
    yanked: bool
    yanked_reason: str
    metadata_sha256: str = ""  # of a wheel's METADATA, where the index serves that beside it (PEP 658)


@dataclass(frozen=True)
class Page:
    """What a page says of a project."""

    name: str
    status: str
    status_reason: str | None
    serial: object  # whatever the page or its headers say
    files: tuple[PageFile, ...]


def read_html(name: str, body: bytes, url: str, charset: str | None, serial: object) -> Page:
    """Return what a page in HTML says; only its headers can tell a serial."""
    page = ProjectPage.from_html(name, body, url, charset)
    return Page(
        name=name,
        status=page.status.value if page.status else ProjectStatus.ACTIVE.value,
        status_reason=page.status_reason,
        serial=serial,
        files=tuple(
            PageFile(
                filename=package.filename,
                url=package.url,
                sha256=package.digests.get("sha256", ""),
                requires_python=package.requires_python,
                size=package.size,
                uploaded_at=package.upload_time,
                yanked=package.is_yanked,
                yanked_reason=package.yanked_reason or "",
                metadata_sha256=(package.metadata_digests or {}).get("sha256", ""),
            )
            for package in page.packages
        ),
    )


def read_json(body: bytes, url: str, serial: object) -> Page:
    """Return what a page in JSON says; raises ValueError for what is none, or none of version 1."""
    top = _typed(json.loads(body), dict)
    meta = _typed(top.get("meta"), dict)
    if _typed(meta.get("api-version"), str).partition(".")[0] != "1":
        raise ValueError(f"its version is {meta['api-version'][:20]}")
    status = _typed(top.get("project-status") or {}, dict)
    told, reason = status.get("status"), status.get("reason")
    return Page(
        name=_typed(top.get("name"), str),
        status=told if isinstance(told, str) and told in STATUSES else ProjectStatus.ACTIVE.value,
        status_reason=reason if isinstance(reason, str) else None,
        serial=meta.get("_last-serial") or serial,
        files=tuple(_file(_typed(file, dict), url) for file in _typed(top.get("files"), list)),
    )


def _file(file: Mapping[str, Any], page_url: str) -> PageFile:  # Any: what JSON can hold
    """Return a file on a page; one that makes no sense makes the page senseless, or it would be missed."""
    url = _typed(file.get("url"), str)
    yanked = file.get("yanked", False)
    uploaded_at, requires_python, size = (
        file.get("upload-time"),
        file.get("requires-python"),
        file.get("size"),
    )
    sha256 = _typed(file.get("hashes"), dict).get("sha256", "")
    return PageFile(
        filename=_typed(file.get("filename"), str),
        url=url if "://" in url else urljoin(page_url, url),
        sha256=_typed(sha256, str),
        requires_python=None if requires_python is None else _typed(requires_python, str),
        size=size if isinstance(size, int) else None,
        uploaded_at=datetime.fromisoformat(uploaded_at) if isinstance(uploaded_at, str) else None,
        # The reason may be an empty one.
        yanked=isinstance(yanked, str) or yanked is True,
        yanked_reason=yanked if isinstance(yanked, str) else "",
        metadata_sha256=_metadata_sha256(file.get("core-metadata") or file.get("dist-info-metadata")),
    )


def _metadata_sha256(told: object) -> str:
    """Return the hash of a wheel's METADATA; a page may also say that there is one, and no hash of it."""
    sha256 = told.get("sha256") if isinstance(told, dict) else ""
    return sha256 if isinstance(sha256, str) else ""


def _typed(value: object, kind: type[Any]) -> Any:  # Any: of that type
    """Return a value of JSON; raises ValueError if it is not of that type."""
    if not isinstance(value, kind):
        raise ValueError(f"there is {type(value).__name__} instead of {kind.__name__}")
    return value
