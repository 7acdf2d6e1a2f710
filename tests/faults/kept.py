"""What a farm still has after a power cut, before anything but its PostgreSQL runs again."""

import gzip
import hashlib
import json
import zlib
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

from django.core.files.storage import default_storage

from builds.models import Build, Wheel
from packages.models import Package
from simple import index, tree
from simple.formats import Format


def lost(acknowledged: Collection[str]) -> list[str]:
    """Return what is missing or not whole; what has such a name was published, as builders were told."""
    # Of the cut before there may be other bytes under the same names.
    _sha256.cache_clear()
    every = set(Wheel.objects.values_list("filename", flat=True))
    found = [f"{name} is unknown" for name in acknowledged if name not in every]
    for wheel in Wheel.objects.standing().select_related("build"):
        if wheel.build.state != Build.State.SUCCEEDED:
            found.append(f"{wheel} is of a build that is {wheel.build.state}")
        for path, sha256 in ((wheel.path, wheel.sha256), (wheel.metadata_path, wheel.metadata_sha256)):
            if not default_storage.exists(path):
                found.append(f"{path} is not stored")
            elif _sha256(Path(default_storage.path(path))) != sha256:
                found.append(f"{path} is not stored whole")
    return found + list(_pages())


def _pages() -> Iterator[str]:
    """Return what is wrong with the pages that are in the tree, and with what they name."""
    public = tree.folder("simple").parent
    for path in sorted(public.glob("**/index.*")):
        try:
            yield from _page(public, path)
        except (ValueError, EOFError, zlib.error, gzip.BadGzipFile) as fault:
            yield f"{path.relative_to(public)} is not whole: {fault!r}"
    for package in Package.objects.all():
        # What it says that is shown, is.
        if package.shown_revision == package.revision:
            offered = index.offered().filter(package=package).values_list("filename", flat=True)
            if (shown := _shown(package)) not in (None, set(offered)):
                yield f"{package} shows {sorted(shown)} and not {sorted(offered)}"


def _page(public: Path, path: Path) -> Iterator[str]:
    """Return what is wrong with a page, which must have a beginning and an end."""
    content = path.read_bytes()
    if path.name.endswith(tree.PACKED):
        content = gzip.decompress(content)
    if ".html" in path.name:
        text = content.decode()
        if not (text.startswith("<!DOCTYPE html>") and text.endswith("</html>\n")):
            raise ValueError(f"it ends in {text[-20:]!r}")
        return
    for file in json.loads(content).get("files", []):
        if not file["url"].startswith("/"):
            continue
        link = public / file["url"].removeprefix("/")
        metadata = link.with_name(f"{link.name}.metadata")
        for each, sha256 in ((link, file["hashes"]["sha256"]), (metadata, file["core-metadata"]["sha256"])):
            if not each.exists():
                yield f"{path.relative_to(public)} names {each.name}, which is not there"
            elif _sha256(each) != sha256:
                yield f"{path.relative_to(public)} names {each.name}, which is not whole"


def _shown(package: Package) -> set[str] | None:
    """Return the names of the files that a package's page lists; None if it is not whole."""
    page = tree.folder("simple", package.name) / tree.PAGES[Format.JSON]
    if not page.exists():
        return set()
    try:
        return {file["filename"] for file in json.loads(page.read_bytes())["files"]}
    except ValueError:
        return None


@cache
def _sha256(path: Path) -> str:
    """Return the hash of a file, which is read once in a look at the farm."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
