"""What the index says, as values, and their JSON (PEP 691); their HTML (PEP 503) is in the templates.

No Django here.  The API's version stays 1.4: 1.3 numbers attestations, 1.4 project statuses (PEP 792), and
PEP 833 froze the HTML there.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

API_VERSION = "1.4"

# Grows with each change of this module's JSON, of the templates, of the order of files, or of what the same
# rows say of one, so that no client keeps an old page.
LAYOUT = 5


class Format(StrEnum):
    """The media types of our pages."""

    HTML = "text/html"
    JSON = "application/vnd.pypi.simple.v1+json"
    HTML_V1 = "application/vnd.pypi.simple.v1+html"


# What a client may ask for, and what it gets.  Who has no preference gets the first: browsers, curl and old
# tools send `*/*` and mean HTML.
OFFERED = {
    **{str(offered): offered for offered in Format},
    "application/vnd.pypi.simple.latest+json": Format.JSON,
    "application/vnd.pypi.simple.latest+html": Format.HTML_V1,
}


@dataclass(frozen=True)
class File:
    """A file, as the page of its project describes it."""

    filename: str
    # From the root of the site or whole, so that a page is the same under each of its addresses.
    url: str
    size: int | None
    sha256: str
    metadata_sha256: str  # "" for a file without METADATA beside it
    requires_python: str
    uploaded_at: datetime | None
    yanked: bool
    yanked_reason: str

    @property
    def upload_time(self) -> str:
        """When the file came into this index, as PEP 700 writes it; "" where nobody knows."""
        return f"{self.uploaded_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z" if self.uploaded_at else ""

    def _json(self) -> dict[str, object]:
        """Return the file's object in PEP 691's JSON."""
        told: dict[str, object] = {
            "filename": self.filename,
            "url": self.url,
            "hashes": {"sha256": self.sha256},
            "requires-python": self.requires_python or None,
        }
        if self.size is not None:
            told["size"] = self.size
        if self.upload_time:
            told["upload-time"] = self.upload_time
        # Never `dist-info-metadata`: the pip of Bookworm (23.0) crashes on an object under that key.
        told["core-metadata"] = {"sha256": self.metadata_sha256} if self.metadata_sha256 else False
        told["yanked"] = (self.yanked_reason or True) if self.yanked else False
        return told


@dataclass(frozen=True)
class ProjectDetail:
    """The page of one project."""

    name: str
    status: str
    status_reason: str
    versions: tuple[str, ...]
    files: tuple[File, ...]

    def to_json(self) -> str:
        """Return the page as JSON."""
        status = {"status": self.status}
        if self.status_reason:
            status["reason"] = self.status_reason
        return _dump(
            {
                "meta": {"api-version": API_VERSION},
                "name": self.name,
                "project-status": status,
                "versions": self.versions,
                "files": [file._json() for file in self.files],
            }
        )


@dataclass(frozen=True)
class ListedProject:
    """A project, as the list of all projects shows it."""

    name: str
    display_name: str


def _dump(page: dict[str, object]) -> str:
    """Return JSON without spaces."""
    return json.dumps(page, separators=(",", ":"))
