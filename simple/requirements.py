"""What a requirements or lock file asks for (no Django).

Read are requirements.txt, pylock.toml (PEP 751), uv.lock, poetry.lock, pdm.lock and Pipfile.lock; which one
it is shows in the text itself.  It is somebody's text: nothing in it is fetched, opened or run.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from simple.ways import Entry, TooManyWays, heeded, holds, is_project, of_poetry, of_uv, table, tables, texts

# A lock file of 1,000 packages with all hashes has a megabyte.
MOST_BYTES = 4 << 20
MOST_PACKAGES = 1000
# Of a line without its hashes, of what is said of a version, and of a marker.  Those that tools make have a
# few hundred characters; Python reads no number of more than 4,300 digits.
_MOST_SAID = 4000
# What tomllib takes for a key with dots grows with the square of their number, and for each line below a
# heading with that heading's.  A line of a lock file has some twenty, most of them in an address.
_MOST_DOTS_SQUARED = 20_000_000
_MOST_DOTS_OF_A_HEADING = 50
_TOO_LONG = "it is longer than anything that a tool writes of one package"


class CannotRead(Exception):
    """A text is no file that we can read; the message says what is wrong."""


@dataclass(frozen=True)
class Wanted:
    """One package that a file asks for."""

    name: str
    wanted: SpecifierSet
    hashes: frozenset[str] = frozenset()  # sha256 in hexadecimal; none: any file will do
    marker: Marker | None = None  # where it is asked for at all
    extras: frozenset[str] = frozenset()  # by their canonical names; lock files list what these bring in
    # In a lock file that tells by who needs a package where it is asked for.
    entry: Entry | None = field(default=None, compare=False, repr=False)

    def applies(self, environment: Mapping[str, str]) -> bool:
        """Tell whether it is asked for in an environment (PEP 508), without extras and groups (PEP 751)."""
        is_led_to = self.entry is None or self.entry.is_reached(environment)
        return is_led_to and holds(self.marker, environment)

    @property
    def pinned(self) -> Version | None:
        """The one version that is asked for; None if others would do."""
        [only] = list(self.wanted) if len(self.wanted) == 1 else [None]
        if only is None or only.operator != "==" or only.version.endswith(".*"):
            return None
        return Version(only.version)


def asked_for(packages: Sequence[Wanted], environments: Sequence[Mapping[str, str]]) -> list[bool]:
    """Tell of each package whether it is asked for in any environment that a machine's system may be."""
    names = [each.name for each in packages]
    return heeded(names, environments, lambda number, where: packages[number].applies(where))


@dataclass(frozen=True)
class Asked:
    """What a file asks for, and what in it was passed over, each with the reason."""

    kind: str
    packages: tuple[Wanted, ...]
    passed_over: tuple[str, ...]


@dataclass
class _Reading:
    """What was read so far."""

    packages: list[Wanted] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)

    def add(
        self,
        name: str,
        wanted: str,
        hashes: Iterable[str] = (),
        marker: str = "",
        extras: Iterable[str] = (),
        entry: Entry | None = None,
    ) -> None:
        """Note a package, or why it cannot be one."""
        if max(len(wanted), len(marker)) > _MOST_SAID:
            self.pass_over(name, _TOO_LONG)
            return
        try:
            self.packages.append(
                Wanted(
                    canonicalize_name(name, validate=True),
                    SpecifierSet(wanted),
                    frozenset(_sha256(hashes)),
                    Marker(marker) if marker else None,
                    frozenset(canonicalize_name(extra) for extra in extras),
                    entry,
                )
            )
        # Brackets can be nested deeper than the parser can follow.
        except (ValueError, RecursionError) as error:
            self.pass_over(name, str(error)[:200])
        self._refuse_more()

    def pass_over(self, name: object, why: str) -> None:
        """Note what cannot be had from any index."""
        self.passed_over.append(f"{str(name)[:100]}: {why}")
        self._refuse_more()

    def _refuse_more(self) -> None:
        """Raise CannotRead as soon as it is too much, before all of it was read."""
        if len(self.packages) + len(self.passed_over) > MOST_PACKAGES:
            raise CannotRead(f"It asks for more than {MOST_PACKAGES} packages, which are the most.")


def _sha256(hashes: Iterable[str]) -> Iterator[str]:
    """Return the digests of those hashes that are of sha256; installers take a file that has any of them."""
    for each in hashes:
        kind, _, digest = str(each).lower().replace("=", ":").partition(":")
        if kind == "sha256" and re.fullmatch(r"[0-9a-f]{64}", digest):
            yield digest


def read(text: str) -> Asked:
    """Return what a file asks for; raises CannotRead."""
    if len(text.encode(errors="replace")) > MOST_BYTES:
        raise CannotRead(f"It is larger than {MOST_BYTES >> 20} MiB, which no lock file of ours has been.")
    try:
        kind, reading = _read(text.lstrip("\ufeff"))
    except TooManyWays as error:
        raise CannotRead("It says more of which package needs which others than any lock file.") from error
    if not reading.packages and not reading.passed_over:
        raise CannotRead("It asks for nothing: paste the lines of a requirements or lock file.")
    return Asked(kind, tuple(reading.packages), tuple(reading.passed_over))


def _read(text: str) -> tuple[str, _Reading]:
    if text.lstrip().startswith("{"):
        return "Pipfile.lock", _pipfile_lock(text)
    # Spaces of one line alone: `\s` would look at all empty lines from each of them.
    if re.search(r"^[ \t]*(?:\[\[packages?\]\]|lock-version[ \t]*=)", text, re.MULTILINE):
        held = _toml(text)
        if "lock-version" in held:
            return "pylock.toml", _pylock(held)
        for kind, key in (("poetry.lock", "content-hash"), ("pdm.lock", "content_hash")):
            if key in table(held.get("metadata")):
                return kind, _locked_files(held)
        return "uv.lock", _uv_lock(held)
    return "requirements.txt", _requirements(text)


def _toml(text: str) -> dict[str, Any]:
    """Return what a lock file in TOML says; raises CannotRead."""
    dots = [(line.lstrip().startswith("["), line.count(".")) for line in text.split("\n")]
    heading = max((count for is_heading, count in dots if is_heading), default=0)
    if heading > _MOST_DOTS_OF_A_HEADING or sum(count**2 for _, count in dots) > _MOST_DOTS_SQUARED:
        raise CannotRead("It looks like a lock file in TOML, but has more dots in a line than any.")
    try:
        return tomllib.loads(text)
    # A number of more digits than Python reads is a ValueError of its own.
    except (ValueError, RecursionError) as error:
        raise CannotRead(f"It looks like a lock file in TOML, but cannot be read: {error}.") from error


# --- requirements.txt ---------------------------------------------------------------------------------


def _requirements(text: str) -> _Reading:
    """Read lines as pip does (pip's "Requirements File Format")."""
    reading = _Reading()
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        # A comment begins at the line's start or after a space, so that addresses may have a fragment.
        said = re.sub(r"(^|\s)#.*$", "", line).strip()
        if said:
            _requirement(said, reading)
    return reading


def _requirement(line: str, reading: _Reading) -> None:
    if line.startswith("-"):
        # What says where to look is the Pi's own matter; what names other files we do not have.
        if re.match(r"(-r|-c|-e|--requirement|--constraint|--editable)\b", line):
            reading.pass_over(line, "it is in another file or folder, which is not here")
        return
    said, *options = re.split(r"\s--?(?=[a-z])", line)
    hashes = [option.partition("hash")[2].strip("= ") for option in options if option.startswith("hash")]
    if len(said) > _MOST_SAID:
        reading.pass_over(said, _TOO_LONG)
        return
    try:
        requirement = Requirement(said.strip())
    except (ValueError, RecursionError) as error:
        reading.pass_over(said, str(error).splitlines()[0][:200])
        return
    if requirement.url:
        reading.pass_over(requirement.name, "it comes from an address and not from an index")
        return
    marker = str(requirement.marker) if requirement.marker else ""
    reading.add(requirement.name, str(requirement.specifier), hashes, marker, requirement.extras)


# --- lock files ---------------------------------------------------------------------------------------


def _pipfile_lock(text: str) -> _Reading:
    try:
        held = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CannotRead(f"It looks like a Pipfile.lock, but cannot be read as JSON: {error}.") from error
    if not isinstance(held, dict) or "default" not in held:
        raise CannotRead("It is JSON, but no Pipfile.lock: it has no “default”.")
    reading = _Reading()
    for name, said in table(held["default"]).items():
        entry = table(said)
        if "version" in entry:
            reading.add(
                name, str(entry["version"]), texts(entry.get("hashes")), str(entry.get("markers", ""))
            )
        else:
            reading.pass_over(name, "it comes from an address and not from an index")
    return reading


def _pylock(held: Mapping[str, Any]) -> _Reading:
    """Read PEP 751's form as leniently as the others.

    `packaging.pylock` refuses the whole file for one name that is not canonical, and gives specifiers and
    markers to their parsers before we can look at how long they are.
    """
    reading = _Reading()
    for entry in tables(held.get("packages")):
        files = [*tables(entry.get("wheels")), table(entry.get("sdist"))]
        hashes = [f"sha256:{table(file.get('hashes')).get('sha256', '')}" for file in files]
        _locked(entry, hashes, reading, is_indexed=not {"vcs", "directory", "archive"} & entry.keys())
    return reading


def _uv_lock(held: Mapping[str, Any]) -> _Reading:
    reading = _Reading()
    ways = of_uv(held)
    for number, entry in enumerate(tables(held.get("package"))):
        source = table(entry.get("source"))
        if is_project(entry):
            continue
        files = [*tables(entry.get("wheels")), table(entry.get("sdist"))]
        hashes = [str(file.get("hash", "")) for file in files]
        _locked(entry, hashes, reading, is_indexed="registry" in source, at=Entry(ways, number))
    return reading


def _locked_files(held: Mapping[str, Any]) -> _Reading:
    """Read what poetry and pdm write, each with what the other one does not."""
    reading = _Reading()
    metadata = table(held.get("metadata"))
    # Before 2.1, poetry's locks did not say of an entry where it is for; before 2.0, files were apart.
    ways = of_poetry(held) if metadata.get("lock-version") in ("1.1", "2.0") else None
    files_apart = table(metadata.get("files"))
    for number, entry in enumerate(tables(held.get("package"))):
        elsewhere = {"git", "path", "url"} & entry.keys()
        kind = "elsewhere" if elsewhere else table(entry.get("source")).get("type", "legacy")
        files = tables(entry.get("files")) or tables(files_apart.get(str(entry.get("name", ""))))
        hashes = [str(file.get("hash", "")) for file in files]
        at = Entry(ways, number) if ways else None
        _locked(entry, hashes, reading, is_indexed=kind == "legacy", at=at)
    return reading


def _locked(
    entry: Mapping[str, Any],
    hashes: list[str],
    reading: _Reading,
    *,
    is_indexed: bool,
    at: Entry | None = None,
) -> None:
    """Note one package of a lock file in TOML."""
    name, version = str(entry.get("name", "")), entry.get("version")
    if not is_indexed or version is None:
        reading.pass_over(name, "it comes from an address or a folder and not from an index")
        return
    marker = entry.get("marker", entry.get("markers", ""))
    # Of several markers, one for each group of dependencies, poetry means any; then we show the package.
    reading.add(name, f"=={version}", hashes, marker if isinstance(marker, str) else "", entry=at)
