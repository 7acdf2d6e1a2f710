"""Which apt packages have the libraries that a wheel needs, by what dpkg knows of those installed here.

Each package with a library says in its `.symbols` since when it has which version of symbols, or at least in
its `.shlibs` which version of it to ask for (deb-symbols(5), deb-shlibs(5)).  dpkg-shlibdeps goes by the same
files, but symbol by symbol through other programs: 11 s of a PC's processor for a wheel of 20 MB, where this
takes a fraction of one.  Nothing of the wheel is opened here; what an inspection found in it is looked up.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

DPKG = Path("/var/lib/dpkg/info")

# "libgl1 | libgl1-mesa-glx (>= 1)" is either of them; the first is what Debian itself would install.
_PACKAGE = re.compile(r"\s*([a-z0-9][a-z0-9+.-]+)(?::[a-z0-9-]+)?\s*(\([<>=]{1,2} [A-Za-z0-9.+~:-]+\))?")
# A line that is none of a symbol, an alternative dependency, a field or a comment.
_NEXT = re.compile(r"^[^\s|*#]", re.MULTILINE)
# The library that a line of a list of files has, where the loader looks for it.
_LISTED = re.compile(r"^(?:/usr)?/lib(?:/[a-z0-9_]+-[a-z0-9_-]+)?/([^/\n]+)$", re.MULTILINE)
# What stands in front of the symbols of a library: its name, and the dependency.
_HEAD = re.compile(r"^([^\s|*#]\S*) (.+)$", re.MULTILINE)
# A symbol that is named as its version is, which says since when the library has that version.
_SINCE = re.compile(r"^ (\S+)@\1 (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Needs:
    """What a wheel needs of the system."""

    apt: tuple[str, ...]  # Debian packages, "libpq5 (>= 10)"
    unresolved: tuple[str, ...]  # libraries that no package on this builder has


def apt_packages(
    libraries: Collection[str],
    asked: Collection[str],
    architecture: str,
    databases: Sequence[Path] = (DPKG,),
) -> Needs:
    """Return the packages that have these libraries, in the versions that are asked for.

    `asked` has the library and the version of its symbols, as "libc.so.6@GLIBC_2.34".  The databases are
    folders such as dpkg's own, of which the first that knows a library decides.
    """
    found: dict[str, str] = {}
    for database in databases:
        if left := set(libraries) - found.keys():
            found |= _depends(left, asked, architecture, database)
    apt = {package for depends in found.values() for package in _packages(depends)}
    return Needs(tuple(sorted(apt)), tuple(sorted(set(libraries) - found.keys())))


def _depends(
    libraries: Collection[str], asked: Collection[str], architecture: str, database: Path
) -> dict[str, str]:
    """Return what a package that uses these libraries depends on, for those that dpkg knows.

    Each of dpkg's files is read once, for all of the libraries: a wheel may name hundreds that are nowhere.
    """
    found = {}
    symbols, shlibs = _symbols(libraries, architecture, database), _shlibs(architecture, database)
    versions = _versions(asked)
    for library in libraries:
        template, block = symbols.get(library, ("", ""))
        least = _least(block, versions.get(library, []))
        plain = template.replace("#MINVER#", "")
        depends = (
            (least and template.replace("#MINVER#", f"(>= {least})"))
            # A library whose symbols have no versions, or one that says less of itself.
            or shlibs.get(_split(library))
            or plain
        )
        if depends:
            found[library] = depends
    return found | _by_lists(set(libraries) - found.keys(), architecture, database)


def _versions(asked: Collection[str]) -> dict[str, list[str]]:
    """Return of each library the versions of symbols that are asked of it."""
    versions: dict[str, list[str]] = {}
    for pair in asked:
        library, _, version = pair.partition("@")
        versions.setdefault(library, []).append(version)
    return versions


def _files(kind: str, architecture: str, database: Path) -> Iterator[Path]:
    """Yield the files of a kind of the packages for an architecture, or for all."""
    for path in sorted(database.glob(f"*.{kind}")):
        _, colon, theirs = path.stem.partition(":")
        if not colon or theirs == architecture:
            yield path


def _symbols(libraries: Collection[str], architecture: str, database: Path) -> dict[str, tuple[str, str]]:
    """Return of each library the dependency, with a place for the version, and the lines of its symbols."""
    found = {}
    for path in _files("symbols", architecture, database):
        text = path.read_text(errors="replace")
        for match in _HEAD.finditer(text):
            if match[1] in libraries:
                # Until the next library of the same package.
                end = _NEXT.search(text, match.end() + 1)
                found[match[1]] = (match[2], text[match.end() : end.start() if end else None])
    return found


def _least(block: str, versions: Sequence[str]) -> str:
    """Return since when a package has all of these versions of its symbols; "" when it does not say."""
    since = dict(_SINCE.findall(block)) if versions else {}
    return max((since[version] for version in versions if version in since), key=_key, default="")


def _shlibs(architecture: str, database: Path) -> dict[tuple[str, str], str]:
    """Return the dependencies that packages give for all symbols of a library alike."""
    found: dict[tuple[str, str], str] = {}
    for path in _files("shlibs", architecture, database):
        for line in path.read_text(errors="replace").splitlines():
            name, _, rest = line.partition(" ")
            version, _, depends = rest.strip().partition(" ")
            # Such as "udeb:", for the installer of Debian.
            if depends and not name.endswith(":"):
                found.setdefault((name, version), depends.strip())
    return found


def _split(library: str) -> tuple[str, str]:
    """Return the name and the version in libpq.so.5 or libdb-5.3.so."""
    match = re.fullmatch(r"(.+)\.so\.(.+)", library) or re.fullmatch(r"(.+)-([\d.]+)\.so", library)
    return (match[1], match[2]) if match else ("", "")


def _by_lists(libraries: Collection[str], architecture: str, database: Path) -> dict[str, str]:
    """Return the packages that have these libraries and say nothing of them."""
    found: dict[str, str] = {}
    for path in _files("list", architecture, database) if libraries else ():
        for library in _LISTED.findall(path.read_text(errors="replace")):
            if library in libraries:
                found.setdefault(library, path.stem.partition(":")[0])
    return found


def _key(version: str) -> tuple[int, list[list[tuple[list[int], int]]]]:
    """Return what versions of Debian packages are compared by (deb-version(7))."""
    epoch, _, rest = version.rpartition(":")
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    parts = [re.findall(r"(\D*)(\d*)", part) for part in (upstream, revision)]
    return (
        int(epoch or 0),
        [[([*map(_order, text), 0], int(number or 0)) for text, number in part] for part in parts],
    )


def _order(character: str) -> int:
    """Return the place of a character: a tilde comes before the end, letters before all others."""
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256


def _packages(depends: str) -> Iterator[str]:
    """Yield the packages in a dependency such as "libc6 (>= 2.14), libgl1 | libgl1-mesa-glx"."""
    for dependency in depends.split(","):
        if match := _PACKAGE.match(dependency):
            name, versions = match.groups()
            yield f"{name} {versions}" if versions else name
