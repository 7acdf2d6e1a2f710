"""What the bytes of a wheel tell that was published elsewhere (no Django).

`verify` is not asked whether such a file may be listed: it is listed already, lock files have its hash, and
what was built years ago does not obey all that is demanded of a new one.  It must be a wheel to the pip of
today; what more `verify` can tell of it is taken where it matters.
"""

import zipfile
from dataclasses import dataclass
from email.parser import HeaderParser
from io import BufferedReader
from itertools import islice
from pathlib import Path

from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from builds.wheels.verify import MAX_HEADERS, MAX_REQUIREMENTS, VerifiedWheel, is_requirement, verify
from builds.wheels.wheel_names import MAX_TEXT, BadWheel, Expected, is_plain
from packages.project import MAX_TAGS

# More than any wheel's list of contents.
_MOST_MEMBERS = 200_000


@dataclass(frozen=True)
class Contents:
    """What the index, coverage and resolvers have to know of a wheel."""

    metadata: bytes
    requires_python: str
    requires_dist: tuple[str, ...]
    content_sha256: str = ""  # the rest is "" where nobody looked
    glibc: str = ""
    glibcxx: str = ""
    is_portable: bool = False


# The number that a build's column has room for; one that is a date with its time is greater.
_MOST_BUILD_TAG = 2**31 - 1


def installable_tags(filename: str) -> frozenset[Tag]:
    """Return the tags in a wheel's name; BadWheel for a name that no installer of today takes."""
    # What begins with a dot is ours in the storage and in the tree.
    if not is_plain(filename) or filename.startswith("."):
        raise BadWheel("its name is no wheel's plain file name")
    parts = filename.removesuffix(".whl").rsplit("-", 3)[1:]
    count = 1
    for part in parts:
        count *= part.count(".") + 1
    if count > MAX_TAGS:
        raise BadWheel(f"its name has more than {MAX_TAGS} tags")
    try:
        *_, build_tag, tags = parse_wheel_filename(filename)
    except InvalidWheelFilename as error:
        raise BadWheel("its name is not one that installers of today take") from error
    if build_tag and build_tag[0] >= _MOST_BUILD_TAG:
        raise BadWheel("its build tag leaves no number to a rebuild, which has to have a greater one")
    return tags


def read(file: BufferedReader, filename: str, *, architecture: str, scratch: Path) -> Contents:
    """Return what a wheel tells; BadWheel for what is none.  `scratch` is as in `verify`."""
    tags = installable_tags(filename)
    if shared := _shared(file, filename, tags, architecture, scratch):
        return Contents(
            metadata=shared.metadata,
            requires_python=shared.requires_python,
            requires_dist=shared.requires_dist,
            content_sha256=shared.content_sha256,
            glibc=shared.glibc,
            glibcxx=shared.glibcxx,
            is_portable=shared.is_portable,
        )
    file.seek(0)
    try:
        metadata = _metadata(file, filename)
        headers = HeaderParser().parsestr(metadata.decode(errors="replace"))
    except BadWheel:
        raise
    # The library raises what its parts do, over bytes that nobody thought of.
    except Exception as error:
        raise BadWheel("it cannot be read as a wheel") from error
    lines = (" ".join(str(line).split()) for line in headers.get_all("Requires-Dist", []))
    return Contents(
        metadata=metadata,
        requires_python=_keepable(" ".join(str(headers.get("Requires-Python", "")).split()))[:MAX_TEXT],
        requires_dist=tuple(islice(filter(is_requirement, lines), MAX_REQUIREMENTS)),
    )


def _shared(
    file: BufferedReader, filename: str, tags: frozenset[Tag], architecture: str, scratch: Path
) -> VerifiedWheel | None:
    """Return all that can be told of machine code which several Pythons and so several systems take.

    Whether it runs on another system than its own depends on what it needs there; a wheel for one Python is
    for that Python's system alone, and a pure one for all.
    """
    if not any(tag.platform != "any" and tag.abi in ("abi3", "none") for tag in tags):
        return None
    name, version, build_tag, _ = parse_wheel_filename(filename)
    expected = Expected(
        package=name,
        version=str(version),
        platforms=tuple(tag.platform for tag in tags),
        supported=tags,
        architecture=architecture,
        build_tag=f"{build_tag[0]}{build_tag[1]}" if build_tag else "",
    )
    try:
        return verify(file, filename, expected, scratch=scratch)
    except BadWheel:
        return None


def _metadata(file: BufferedReader, filename: str) -> bytes:
    """Return the bytes of METADATA."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if len(members) > _MOST_MEMBERS:
            raise BadWheel(f"it has more than {_MOST_MEMBERS} members")
        named = [each for each in members if _is_metadata(each.filename)]
        # Some have a package vendored with its own; that of the wheel itself has its name.
        own = canonicalize_name(filename.split("-", 1)[0])
        named.sort(key=lambda each: canonicalize_name(each.filename.split("-", 1)[0]) != own)
        if not named:
            raise BadWheel("it has no METADATA")
        if named[0].file_size > MAX_HEADERS:
            raise BadWheel(f"its METADATA has more than {MAX_HEADERS} bytes")
        with archive.open(named[0]) as member:
            content = member.read(MAX_HEADERS + 1)
    if len(content) > MAX_HEADERS:
        raise BadWheel(f"its METADATA has more than {MAX_HEADERS} bytes")
    return content


def _is_metadata(name: str) -> bool:
    folder, _, rest = name.partition("/")
    return folder.endswith(".dist-info") and rest == "METADATA"


def _keepable(text: str) -> str:
    """Return a text without what a database cannot keep."""
    return text.replace("\0", "\ufffd")
