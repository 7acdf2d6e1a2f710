"""What a wheel's METADATA says that it needs (no Django).

Ours were checked when they came; upstream's are believed as little as any other text of strangers.
"""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from itertools import compress
from typing import BinaryIO

from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from builder.zip_directory import MAX_MEMBERS, has_too_many_members
from packages.legible import legible
from simple.ways import heeded

# The largest METADATA seen had 300 kB, most of it a README.
MOST_BYTES = 4 << 20
# One package of many extras had 800.
MOST_REQUIREMENTS = 5000
# The longest seen had some 300 characters; versions without end take long to compare.
MOST_SAID = 1000


class Unusable(Exception):
    """A wheel cannot be in a bundle; the text says why."""


@dataclass(frozen=True)
class Metadata:
    """What a wheel needs, under which circumstances."""

    requires: tuple[Requirement, ...]
    extras: frozenset[str] = frozenset()  # that it declares; others bring nothing, as in pip

    def needed(self, environments: Sequence[Mapping[str, str]], extras: frozenset[str]) -> list[Requirement]:
        """Return what is needed in any of these environments with these extras, and what without any."""
        declared = extras & self.extras
        names = [canonicalize_name(each.name) for each in self.requires]
        is_needed = heeded(
            names, environments, lambda number, where: _applies(self.requires[number], where, declared)
        )
        return list(compress(self.requires, is_needed))


def _applies(requirement: Requirement, environment: Mapping[str, str], extras: frozenset[str]) -> bool:
    """Tell whether a requirement is one here; what cannot be compared is none."""
    if requirement.marker is None:
        return True
    try:
        return any(
            requirement.marker.evaluate({**environment, "extra": extra}) for extra in ("", *sorted(extras))
        )
    # Undefined comparisons among them, and numbers of more digits than Python reads.
    except (ValueError, UndefinedEnvironmentName):
        return False


def read(content: bytes, name: str) -> Metadata:
    """Return what the METADATA of a package says; raises Unusable."""
    # packaging's own reader takes the square of the number of headers, which may be a million.
    headers = HeaderParser().parsestr(content.decode(errors="replace"))
    whose = str(headers.get("Name", ""))
    if canonicalize_name(whose) != name:
        raise Unusable(f"its METADATA is of {legible(whose[:100]) or 'nothing'}")
    said = [str(each) for each in headers.get_all("Requires-Dist", [])]
    if len(said) > MOST_REQUIREMENTS:
        raise Unusable(f"it needs {len(said)} packages")
    if longest := next((each for each in said if len(each) > MOST_SAID), ""):
        raise Unusable(f"what it needs is too long to be read: {legible(longest[:100])}…")
    try:
        requires = tuple(Requirement(each) for each in said)
    except (ValueError, RecursionError) as error:
        why = legible(str(error).splitlines()[0][:200])
        raise Unusable(f"what it needs cannot be read: {why}") from error
    elsewhere = [each.name for each in requires if each.url]
    if elsewhere:
        raise Unusable(f"it needs {elsewhere[0]} from an address, and no index has that")
    extras = headers.get_all("Provides-Extra", [])
    return Metadata(requires, frozenset(canonicalize_name(str(each)) for each in extras))


def of_wheel(file: BinaryIO, filename: str) -> bytes:
    """Return the METADATA in a wheel; raises Unusable."""
    name = filename.split("-", maxsplit=1)[0]
    try:
        if has_too_many_members(file):
            raise Unusable(f"it has more than {MAX_MEMBERS} files")
        with zipfile.ZipFile(file) as archive:
            found = [
                info
                for info in archive.infolist()
                if info.filename.endswith(".dist-info/METADATA")
                and info.filename.count("/") == 1
                and canonicalize_name(info.filename.split("-")[0]) == canonicalize_name(name)
            ]
            if len(found) != 1 or found[0].file_size > MOST_BYTES:
                raise Unusable("it has no METADATA that can be read")
            with archive.open(found[0]) as member:
                return member.read(MOST_BYTES)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise Unusable(f"it is no wheel that can be read: {error}") from error
