"""What a fake PyPI shows of its projects: the simple API's pages, the JSON API, and files with Range."""

import copy
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from html import escape
from typing import Any, Self
from urllib.parse import quote

from packaging.utils import canonicalize_name

SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"


@dataclass
class FakeFile:
    """A file of one version."""

    filename: str
    packagetype: str
    content: bytes
    uploaded_at: datetime
    requires_python: str | None = None
    yanked: str | None = None  # the reason, or None when it is not yanked
    announced: str | None = None  # a digest that the index shows instead of the true one

    @property
    def sha256(self) -> str:
        """The digest that the index shows."""
        return self.announced or hashlib.sha256(self.body).hexdigest()

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return len(self.body)

    @property
    def body(self) -> bytes:
        """The bytes that are served."""
        return self.content


@dataclass
class FakeProject:
    """A project, its versions and their files."""

    name: str
    serial: int = 0
    summary: str | None = "Made for a test"
    status: str | None = None
    status_reason: str | None = None
    versions: dict[str, list[FakeFile]] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)  # versions that are in quarantine

    @property
    def releases(self) -> dict[str, list[FakeFile]]:
        """The versions that are shown, with their files."""
        if self.status == "quarantined":
            return {}
        return {version: files for version, files in self.versions.items() if version not in self.hidden}

    @property
    def files(self) -> list[FakeFile]:
        """The files that the simple API shows."""
        return [file for files in self.releases.values() for file in files]

    def copy(self) -> Self:
        """Return the project as it is now, whatever becomes of it."""
        versions = {version: [copy.copy(file) for file in files] for version, files in self.versions.items()}
        return replace(self, versions=versions, hidden=set(self.hidden))


@dataclass(frozen=True)
class Answer:
    """An answer before faults are done to it."""

    body: bytes
    content_type: str = "text/html; charset=utf-8"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


NOT_FOUND = Answer(b"Not Found", status=404)


def root(projects: Iterable[tuple[str, int]], serial: int, accepts_json: bool, tells_serials: bool) -> Answer:
    """Return the page of all names."""
    told = serial if tells_serials else None
    if accepts_json:
        return _json(
            {
                "meta": {"api-version": "1.4"} | _last_serial(told),
                "projects": [
                    {"name": name} | _last_serial(own if tells_serials else None) for name, own in projects
                ],
            },
            SIMPLE_JSON,
            told,
        )
    links = [f'<a href="/simple/{canonicalize_name(name)}/">{escape(name)}</a><br/>' for name, _ in projects]
    return _page([], links, told)


def detail_json(base: str, project: FakeProject, tells_serials: bool) -> Answer:
    """Return a project's page as PEP 691 has it, with PEP 700 and 792."""
    serial = project.serial if tells_serials else None
    folder = _folder(base, project)
    status: dict[str, str] = {"status": project.status or "active"}
    if project.status_reason is not None:
        status["reason"] = project.status_reason
    return _json(
        {
            "meta": {"api-version": "1.4"} | _last_serial(serial),
            "name": canonicalize_name(project.name),
            "project-status": status,
            "versions": [version for version, files in project.releases.items() if files],
            "files": [
                {
                    "filename": file.filename,
                    "url": folder + quote(file.filename),
                    "hashes": {"sha256": file.sha256},
                    "requires-python": file.requires_python,
                    "yanked": False if file.yanked is None else file.yanked or True,
                    "size": file.size,
                    "upload-time": _time(file.uploaded_at),
                }
                for file in project.files
            ],
        },
        SIMPLE_JSON,
        serial,
    )


def detail_html(base: str, project: FakeProject, tells_serials: bool) -> Answer:
    """Return a project's page as PEP 503 has it, with PEP 592 and 792."""
    metas = []
    if project.status is not None:
        metas.append(f'<meta name="pypi:project-status" content="{escape(project.status)}">')
    if project.status_reason is not None:
        metas.append(f'<meta name="pypi:project-status-reason" content="{escape(project.status_reason)}">')
    links, folder = [], _folder(base, project)
    for file in project.files:
        attributes = ""
        if file.requires_python is not None:
            attributes += f' data-requires-python="{escape(file.requires_python)}"'
        if file.yanked is not None:
            attributes += f' data-yanked="{escape(file.yanked)}"'
        href = f"{folder}{quote(file.filename)}#sha256={file.sha256}"
        links.append(f'<a href="{escape(href)}"{attributes}>{escape(file.filename)}</a><br/>')
    return _page(metas, links, project.serial if tells_serials else None)


def json_api(base: str, project: FakeProject) -> Answer:
    """Return what the JSON API says; nothing of a project that shows no version."""
    if not project.releases:
        return NOT_FOUND
    folder = _folder(base, project)
    releases = {
        version: [
            {
                "filename": file.filename,
                "url": folder + quote(file.filename),
                "packagetype": file.packagetype,
                "digests": {"sha256": file.sha256},
                "size": file.size,
                "upload_time_iso_8601": _time(file.uploaded_at),
                "requires_python": file.requires_python,
                "yanked": file.yanked is not None,
                "yanked_reason": file.yanked or None,
            }
            for file in files
        ]
        for version, files in project.releases.items()
    }
    last = list(releases)[-1]
    return _json(
        {
            "info": {"name": project.name, "summary": project.summary, "version": last},
            "last_serial": project.serial,
            "releases": releases,
            "urls": releases[last],
        },
        "application/json",
        project.serial,
    )


def file(file: FakeFile, wanted: str) -> Answer:
    """Return a file, or the part of it that a Range header asks for."""
    content = file.body
    size = len(content)
    headers = {"Accept-Ranges": "bytes", "ETag": f'"{file.sha256}"'}
    kind = "application/octet-stream"
    if not wanted.startswith("bytes=") or "," in wanted:
        return Answer(content, kind, headers=headers)
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last), size - 1) if first and last else size - 1
    if start > end:
        return Answer(b"", kind, 416, headers | {"Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {start}-{end}/{size}"
    return Answer(content[start : end + 1], kind, 206, headers)


def _json(content: Any, content_type: str, serial: int | None) -> Answer:  # Any: whatever JSON can hold
    return Answer(json.dumps(content).encode(), content_type, headers=_serial_header(serial))


def _page(metas: list[str], links: list[str], serial: int | None) -> Answer:
    head = '<meta name="pypi:repository-version" content="1.4">' + "".join(metas)
    body = f"<!DOCTYPE html><html><head>{head}</head><body>{''.join(links)}</body></html>"
    # The real one's pages end so.
    body += "" if serial is None else f"<!--SERIAL {serial}-->"
    return Answer(body.encode(), headers=_serial_header(serial))


def _last_serial(serial: int | None) -> dict[str, Any]:
    return {} if serial is None else {"_last-serial": serial}


def _serial_header(serial: int | None) -> dict[str, str]:
    return {} if serial is None else {"X-PyPI-Last-Serial": str(serial)}


def _folder(base: str, project: FakeProject) -> str:
    return f"{base}/files/{canonicalize_name(project.name)}/"


# The files of a version came together, and both APIs tell when.
@lru_cache(4096)
def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
