"""What upstream says of a project, as dataclasses, and how the answers of its two APIs are joined.

The simple API says which files there are and in what state the project is; the JSON API says which version
each file belongs to, and what else the simple API may lack.  Whatever could not be kept (too long, without a
digest, of a kind that we do not use) is left out here.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from math import prod
from typing import NamedTuple

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidName, canonicalize_name, parse_sdist_filename, parse_wheel_filename

from packages.page import Page, PageFile

# What the rows can hold.
MAX_NAME = 200
MAX_FILENAME = 255
MAX_SUMMARY = 300
MAX_STATUS_REASON = 500
MAX_REASON = 2000
MAX_URL = 1000
MAX_NUMBER = 2**63 - 1

SHA256 = re.compile("[0-9a-f]{64}")

# What pip unpacks; where upstream has several, it is the first of these that is built.  Index pages also have
# sources that pip does not unpack, as `.tar.Z`.
SOURCE_SUFFIXES = (
    *(".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz", ".tbz", ".txz", ".tar"),
    *(".tar.lzma", ".tlz", ".tar.lz"),
)
# Real wheels name about ten; a name of 255 characters can mean 64,000, which whoever reads it would unfold.
MAX_TAGS = 100


class File(NamedTuple):
    """A file that upstream offers."""

    filename: str
    kind: str  # "source" or "wheel"
    url: str
    sha256: str
    size: int | None
    requires_python: str
    uploaded_at: datetime | None
    yanked: bool
    yanked_reason: str
    metadata_sha256: str = ""


@dataclass(frozen=True)
class Release:
    """A version that upstream has, perhaps without files."""

    number: str
    files: tuple[File, ...]

    @property
    def yanked(self) -> bool:
        """Whether all of its files are yanked."""
        return bool(self.files) and all(file.yanked for file in self.files)

    @property
    def yanked_reason(self) -> str:
        """Why it is yanked; empty when it is not."""
        return next((file.yanked_reason for file in self.files if file.yanked_reason), "") * self.yanked

    @property
    def released_at(self) -> datetime | None:
        """When its first file came."""
        return min((file.uploaded_at for file in self.files if file.uploaded_at), default=None)


@dataclass(frozen=True)
class Project:
    """All that upstream says of a project."""

    name: str  # canonical
    display_name: str | None  # None: upstream does not say
    summary: str | None  # None: upstream does not say
    status: str  # "active", "archived", "deprecated" or "quarantined"
    status_reason: str
    serial: int | None
    versions: tuple[Release, ...]
    etag: str = ""  # of a page that tells the same as this; "" where none does
    # Whether upstream said which version each file is of, and which versions have none.
    tells_versions: bool = True
    unplaced: tuple[File, ...] = ()  # files whose names do not tell their version, where nobody else does


class FileFacts(NamedTuple):
    """What the JSON API says of a file."""

    number: str
    packagetype: str
    sha256: str
    size: int | None
    uploaded_at: datetime | None


@dataclass(frozen=True)
class Facts:
    """What the JSON API says of a project."""

    display_name: str | None = None
    summary: str | None = None
    serial: int | None = None
    numbers: tuple[str, ...] = ()
    files: dict[str, FileFacts] = field(default_factory=dict)


def join(name: str, page: Page, answer: Facts | None, *, allow_http: bool, etag: str = "") -> Project:
    """Return what both APIs say; the files are those of the simple API, and the other need not answer.

    The page's ETag stands for both answers where both are of one serial, and else for nothing.
    """
    facts = answer or Facts()
    files: dict[str, dict[str, File]] = {number: {} for number in facts.numbers}
    unplaced: list[File] = []
    for told in page.files:
        known = facts.files.get(told.filename)
        file = _file(told, known, allow_http=allow_http)
        if file is None:
            continue
        number = known.number if known else _number_in(file.filename, name)
        if number and _is_kept(number, MAX_NAME):
            files.setdefault(number, {})[file.filename] = file
        else:
            unplaced.append(file)
    # With caches between, the one with the lower serial is the older, and the join as old as that one.
    both = _number(page.serial), facts.serial
    serials = [serial for serial in both if serial is not None]
    return Project(
        name=name,
        display_name=facts.display_name,
        summary=facts.summary,
        status=page.status,
        status_reason=_text(page.status_reason, MAX_STATUS_REASON),
        serial=min(serials, default=None),
        versions=tuple(Release(number, tuple(found.values())) for number, found in files.items()),
        etag=etag if len(serials) == 2 and both[0] == both[1] else "",
        tells_versions=answer is not None,
        unplaced=tuple(unplaced),
    )


def _file(told: PageFile, known: FileFacts | None, *, allow_http: bool) -> File | None:
    """Return a file that we can use, or None."""
    kind = _kind(told.filename, known.packagetype if known else "")
    sha256 = (told.sha256 or (known.sha256 if known else "")).lower()
    schemes = ("https", "http") if allow_http else ("https",)
    if (
        not kind
        or not _is_kept(told.filename, MAX_FILENAME)
        or not _is_kept(told.url, MAX_URL)
        or told.url.partition(":")[0].lower() not in schemes
        or not SHA256.fullmatch(sha256)
    ):
        return None
    size, uploaded_at = _number(told.size), _aware(told.uploaded_at)
    return File(
        filename=told.filename,
        kind=kind,
        url=told.url,
        sha256=sha256,
        size=known.size if size is None and known else size,
        requires_python=_requires_python(told.requires_python),
        uploaded_at=known.uploaded_at if uploaded_at is None and known else uploaded_at,
        yanked=told.yanked,
        yanked_reason=_text(told.yanked_reason, MAX_REASON),
        metadata_sha256=metadata if SHA256.fullmatch(metadata := told.metadata_sha256.lower()) else "",
    )


def read_facts(name: str, answer: object) -> Facts:
    """Return what an answer of the JSON API says; raises ValueError if it is none."""
    top = _object(answer)
    info = _object(top["info"]) if "info" in top else {}
    display_name = info.get("name")
    if not isinstance(display_name, str) or canonicalize_name(display_name) != name:
        raise ValueError(f"the answer is about {display_name}")
    versions = {
        number: files if isinstance(files, list) else []
        for number, files in _object(top.get("releases", {})).items()
    }
    return Facts(
        display_name=display_name if _is_kept(display_name, MAX_NAME) else None,
        summary=_text(info.get("summary"), MAX_SUMMARY),
        serial=_number(top.get("last_serial")),
        numbers=tuple(number for number in versions if _is_kept(number, MAX_NAME)),
        files={
            str(_object(file).get("filename")): _read_file_facts(number, _object(file))
            for number, files in versions.items()
            for file in files
        },
    )


def _read_file_facts(number: str, file: dict[str, object]) -> FileFacts:
    """Return what the JSON API says of a file of that version."""
    uploaded_at = file.get("upload_time_iso_8601")
    return FileFacts(
        number=number,
        packagetype=str(file.get("packagetype")),
        sha256=str(_object(file.get("digests", {})).get("sha256", "")),
        size=_number(file.get("size")),
        uploaded_at=_aware(datetime.fromisoformat(uploaded_at) if isinstance(uploaded_at, str) else None),
    )


def _kind(filename: str, packagetype: str) -> str:
    """Return what can be done with a file: "source", "wheel" or nothing ("")."""
    if filename.endswith(".whl") and packagetype in ("", "bdist_wheel"):
        tags = filename.removesuffix(".whl").split("-")[-3:]
        return "wheel" if prod(tag.count(".") + 1 for tag in tags) <= MAX_TAGS else ""
    if filename.lower().endswith(SOURCE_SUFFIXES) and packagetype in ("", "sdist"):
        return "source"
    return ""


def _number_in(filename: str, name: str) -> str:
    """Return the version that a file's name tells, or "" where it does not tell it for sure."""
    try:
        if filename.endswith(".whl"):
            found, version, *_ = parse_wheel_filename(filename)
        else:
            found, version = parse_sdist_filename(filename)
    except ValueError:
        return ""
    return str(version) if found == name else ""


def _requires_python(specifiers: str | None) -> str:
    """Return specifiers that can be read; those that cannot count as absent, as for pip."""
    kept = (specifiers or "").strip()
    return _readable(kept) if _is_kept(kept, 255) else ""


# Most files have one of a few hundred.
@lru_cache(maxsize=4096)
def _readable(specifiers: str) -> str:
    """Return specifiers if they can be read."""
    try:
        SpecifierSet(specifiers)
    except InvalidSpecifier:
        return ""
    return specifiers


def _is_kept(text: str, limit: int) -> bool:
    """Whether a text can be kept as it is: no NUL, no lone surrogates, not empty and not too long."""
    return 0 < len(text) <= limit and text.isprintable()


def _text(value: object, limit: int) -> str:
    """Return prose that can be kept: on one line, and cut with an ellipsis where it is too long."""
    if not isinstance(value, str) or not value:
        return ""
    line = " ".join(value.replace("\0", "\ufffd").encode("utf-8", "replace").decode().split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _number(value: object) -> int | None:
    """Return a number that can be kept, or None."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:20])
    return value if isinstance(value, int) and 0 <= value <= MAX_NUMBER else None


def _aware(moment: datetime | None) -> datetime | None:
    """Return a moment in UTC; upstream means UTC where it does not say."""
    if moment is None:
        return None
    if moment.tzinfo is UTC:
        return moment
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _object(value: object) -> dict[str, object]:
    """Return a JSON object; raises ValueError if it is none."""
    if not isinstance(value, dict):
        raise ValueError(f"there is {type(value).__name__} instead of an object")
    return value


def canonical(spelling: str) -> str:
    """Return the canonical form of a name, or "" for what is none."""
    try:
        name = canonicalize_name(spelling, validate=True)
    except InvalidName:
        return ""
    return name if len(name) <= MAX_NAME else ""
