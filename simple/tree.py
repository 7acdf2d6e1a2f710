"""The published tree: where each page and file of the indexes lies, and how it is read.

    PUBLIC/<index>/index.html .html.gz .v1_json .v1_json.gz           the list of all projects
    PUBLIC/<index>/<name>/  the same four                             the page of a project
    PUBLIC/simple/<name>/<wheel>  <wheel>.metadata                    links to the stored files
    PUBLIC/simple/<name>/.unlisted                                    since when no page lists some of them

A web server can serve all of it with nothing else alive.  No Django's models here: reading asks no database.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings

from simple.formats import Format
from simple.indexes import ALL, OWN, of_release

# A page is found by the file that its format is kept in; both kinds of HTML are the same text.
PAGES = {Format.HTML: "index.html", Format.JSON: "index.v1_json"}
PACKED = ".gz"
# The files of a page: each format as it is and packed.
PAGE_FILES = tuple(page + ending for page in PAGES.values() for ending in ("", PACKED))
# All packages with their downloads, beside the indexes.
CATALOGUE = "packages.json"
# What is being written, and the tree's own notes; nobody is served what begins so.
PRIVATE = "."


@dataclass(frozen=True)
class Published:
    """A file of the tree, open for reading."""

    file: BinaryIO
    size: int
    modified: int
    is_packed: bool = field(default=False, kw_only=True)

    @property
    def etag(self) -> str:
        """The validator that nginx makes of the same file."""
        return f'"{self.modified:x}-{self.size:x}"'


def above(folder: Path) -> set[Path]:
    """Return the folders of the tree that a folder is in."""
    public = Path(settings.PIWHEELS_PUBLIC)
    return {each for each in folder.parents if each.is_relative_to(public)}


def page_name(format: Format) -> str:
    """Return the name of the file that holds a page in that format."""
    return PAGES[Format.JSON if format is Format.JSON else Format.HTML]


def new(path: Path) -> Path:
    """Return where a file of the tree is while it is written."""
    return path.with_name(f"{PRIVATE}{path.name}.new")


def folder(index: str, name: str = "") -> Path:
    """Return the folder of an index, or of a project in it."""
    public = Path(settings.PIWHEELS_PUBLIC)
    return public / index / name if name else public / index


def is_published() -> bool:
    """Tell whether the list of all projects was ever written, so that the tree can say what there is."""
    return (folder(ALL) / PAGES[Format.HTML]).exists()


def open_page(index: str, name: str, format: Format, *, packed: bool) -> Published | None:
    """Return a page, packed if that may be; None if the tree has no such page.

    A page that is too small to be packed comes as it is.
    """
    path = os.path.join(settings.PIWHEELS_PUBLIC, index, name, page_name(format))  # noqa: PTH118 - half the time
    return _open_either(path, packed=packed)


def open_file(name: str, filename: str) -> Published | None:
    """Return a wheel, or the METADATA beside it, if the tree has it."""
    return _open(os.path.join(settings.PIWHEELS_PUBLIC, ALL, name, filename))  # noqa: PTH118 - half the time


def listed(name: str, filename: str) -> dict[str, Any] | None:
    """Return what a project's page says of a file (PEP 691); None if it lists no such file."""
    found = open_page(ALL, name, Format.JSON, packed=False)
    if found is None:
        return None
    with found.file as file:
        files: list[dict[str, Any]] = json.load(file)["files"]
    return next((each for each in files if each["filename"] == filename), None)


def open_catalogue(*, packed: bool) -> Published | None:
    """Return the list of all packages with their downloads, packed if that may be."""
    path = os.path.join(settings.PIWHEELS_PUBLIC, CATALOGUE)  # noqa: PTH118 - as above
    return _open_either(path, packed=packed)


def _open_either(path: str, *, packed: bool) -> Published | None:
    """Return the packed one of a file's two forms, if that may be and is there, and else the plain one."""
    if packed and (found := _open(path + PACKED)):
        return replace(found, is_packed=True)
    return _open(path)


def _open(path: str) -> Published | None:
    """Return a file; what cannot be one's name is no file either."""
    try:
        file = open(path, "rb", buffering=0)  # noqa: SIM115, PTH123 - whoever answers closes it
    except (OSError, ValueError):
        return None
    told = os.fstat(file.fileno())
    return Published(file=file, size=told.st_size, modified=int(told.st_mtime))


@contextmanager
def held(name: str, *, wait: bool = False) -> Iterator[bool]:
    """Keep other writers out of the tree, wherever they run; False if one is in it.

    The lock lies in the tree, so it ends with whoever held it, and is for whoever writes to this very folder.
    """
    public = Path(settings.PIWHEELS_PUBLIC)
    public.mkdir(parents=True, exist_ok=True)
    with (public / f"{PRIVATE}{name}.lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True


def published_indexes() -> set[str]:
    """Return the indexes of which there is a folder."""
    public = Path(settings.PIWHEELS_PUBLIC)
    own = {index for index in OWN if (public / index).is_dir()}
    releases = (path.parent.name for path in public.glob(f"*/{ALL}") if path.is_dir())
    # A package may be called `simple`, too.
    return own | {index for release in releases if (index := of_release(release))}
