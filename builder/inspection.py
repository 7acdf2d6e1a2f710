"""Looks at a wheel that a build left, and names it for what it is.

    python -P -m builder.inspection --architecture armhf --abi cp313 --platform linux_armv6l \
        --platform linux_armv7l tiny-1.0-cp313-cp313-linux_armv8l.whl FOLDER

writes the wheel, under the name that it deserves, and `facts.json` into the folder.  It is run inside the
sandbox, as the wheel was made by a stranger; outside, `read_facts` believes nothing but its form.  Whether
the wheel is the one that was ordered is for the server to say.
"""

import json
import os
import re
import sys
import zipfile
import zlib
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from builder import contract, exits, repack
from builder.elf import (
    MAGIC,
    BadElf,
    Budget,
    Elf,
    describe,
    fits,
    is_stable,
    names_python,
    read_elf,
    runs_on_armv6,
    system_of,
    tied_module,
)

FACTS = "facts.json"
_LARGEST_FACTS = 1 << 20
# As many libraries as `builds.wheels.verify` reads.
_MOST = 3000
_LARGEST_IN_ALL = 4 << 30
_IN_MEMORY = 32 << 20
# An honest wheel needs some dozens of libraries that it does not bring, and some hundreds of versions of
# their symbols; each is looked up outside of the sandbox.
_MOST_LIBRARIES = 500
_MOST_ASKED = 5_000

_CLAIM = re.compile(r"(?:linux|manylinux(?:1|2010|2014|_\d+_\d+)|musllinux_\d+_\d+)_(\w+)")
# What else backends call a target's machine: the kernel's, where it is of 64 bits and the rest of the system
# is not, and that of an older Pi.
_ALSO_CALLED = {"armhf": {"armv6l", "armv7l", "armv8l", "aarch64"}, "i386": {"i586", "i686", "x86_64"}}


class Unfit(ValueError):
    """The wheel cannot be offered for the target; the text says why."""


@dataclass(frozen=True)
class Ordered:
    """What the target calls itself, as in the order."""

    architecture: str
    abi: str
    platforms: tuple[str, ...]
    build_tag: str = ""


@dataclass(frozen=True)
class Facts:
    """What was found; what decides which targets a wheel serves is read again by the server."""

    filename: str  # that the wheel has now, in the folder; "" when it is refused
    refused: str  # why it cannot be offered, in a sentence; "" when it can
    notes: tuple[str, ...]  # what is worth a line in the log
    libraries: tuple[str, ...]  # that it needs and does not bring, "libpq.so.5"
    asked: tuple[str, ...]  # which versions of their symbols, "libc.so.6@GLIBC_2.34"
    glibc: str
    glibcxx: str
    is_portable: bool


@dataclass(frozen=True)
class Name:
    """The name of a wheel, in its parts: what it is of, and the three compressed sets of tags."""

    start: str  # "tiny-1.0"
    build_tag: str  # "" for none
    pythons: frozenset[str]
    abis: frozenset[str]
    platforms: frozenset[str]

    def __str__(self) -> str:
        return "-".join(filter(None, (self.start, self.build_tag, self.tag))) + ".whl"

    @property
    def tag(self) -> str:
        """The compressed tag, each part sorted as PEP 425 asks."""
        return "-".join(".".join(sorted(part)) for part in (self.pythons, self.abis, self.platforms))


def parse_name(filename: str) -> Name:
    """Return the parts of a wheel's name; raises Unfit."""
    parts = filename.removesuffix(".whl").split("-")
    if not filename.endswith(".whl") or len(parts) not in (5, 6) or not all(parts):
        raise Unfit(f"{filename[:200]!a} is not a wheel's name.")
    sets = [frozenset(part.split(".")) for part in parts[-3:]]
    return Name("-".join(parts[:2]), "".join(parts[2:-3]), *sets)


def inspect(wheel: Path, folder: Path, ordered: Ordered) -> Facts:
    """Put a wheel into a folder under the name that it deserves and return what was found.

    The same wheel gives the same bytes.  What cannot be offered is not put there.
    """
    try:
        with wheel.open("rb") as file, zipfile.ZipFile(file) as archive:
            files = dict(_elves(archive))
            system = system_of(files)
            _check_needs(system.libraries, system.asked)
            old = parse_name(wheel.name)
            new, notes = rename(old, files, ordered)
            # Of two files of a version installers take the one with the higher build tag, so it is the
            # server that gives them; what a package numbers itself by counts for nothing here.
            new = replace(new, build_tag=ordered.build_tag)
            if new != old:
                notes = (*notes, f"{wheel.name} is named {new} from now on.")
            tag = new.tag if new != old else ""
            repack.repack(file, archive, folder / str(new), tag=tag, build_tag=new.build_tag)
    except (Unfit, BadElf) as error:
        return _refused(str(error))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        return _refused(f"{wheel.name} cannot be read: {error}.")
    return Facts(
        filename=str(new),
        refused="",
        notes=notes,
        libraries=system.libraries,
        asked=system.asked,
        glibc=system.glibc,
        glibcxx=system.glibcxx,
        is_portable=system.is_portable,
    )


def _check_needs(libraries: Sequence[str], asked: Sequence[str]) -> None:
    """Refuse a wheel that wants more of its system than anybody would look up."""
    if len(libraries) > _MOST_LIBRARIES or len(asked) > _MOST_ASKED:
        raise Unfit(
            f"It needs {len(libraries)} libraries that it does not bring, in {len(asked)} versions of "
            f"symbols; {_MOST_LIBRARIES} and {_MOST_ASKED} are looked up at most."
        )


def _refused(why: str) -> Facts:
    """Return the facts of a wheel that cannot be offered."""
    return Facts("", why[:1000], (), (), (), glibc="", glibcxx="", is_portable=False)


def _elves(archive: zipfile.ZipFile) -> Iterator[tuple[str, Elf]]:
    """Yield the files with machine code, whatever they are named, with what they say of themselves."""
    budget, room, found = Budget(), _LARGEST_IN_ALL, 0
    for member in archive.infolist():
        with archive.open(member) as content:
            if content.read(len(MAGIC)) != MAGIC:
                continue
            found, room = found + 1, room - member.file_size
            if found > _MOST or room < 0:
                raise Unfit(f"It has more than {_MOST} files with machine code, or more than 4 GiB of it.")
            with SpooledTemporaryFile(_IN_MEMORY) as copy:
                copy.write(MAGIC)
                while block := content.read(1 << 20):
                    copy.write(block)
                try:
                    yield member.filename, read_elf(cast(BinaryIO, copy), budget)
                except BadElf as error:
                    raise BadElf(f"{member.filename} cannot be read: {error}") from error


def rename(name: Name, files: Mapping[str, Elf], ordered: Ordered) -> tuple[Name, tuple[str, ...]]:
    """Return the name that a wheel with these files deserves, and why; raises Unfit."""
    loaded = {path: elf for path, elf in files.items() if elf.is_loaded}
    for path, elf in loaded.items():
        if not fits(elf, ordered.architecture):
            raise Unfit(f"{path} is for {describe(elf)}, not for {ordered.architecture}.")
    claimed = _check_platforms(name, ordered)
    if not loaded:
        return _without_code(name, claimed, ordered)
    runs = [platform for platform in ordered.platforms if platform != "linux_armv6l"]
    too_new = sorted(path for path, elf in loaded.items() if not runs_on_armv6(elf))
    if "linux_armv6l" not in ordered.platforms:
        too_new = []
    elif not too_new:
        runs = list(ordered.platforms)
    if not runs:
        raise Unfit(f"{too_new[0]} does not say that an ARMv6 processor runs it.")
    notes = list(_of_armv8(loaded))
    if too_new:
        notes.append(f"{too_new[0]}, one of {len(too_new)}, does not say that an ARMv6 processor runs it.")
    if "any" in claimed:
        # As its files stand it is wrong for every other platform; under this name it is right.
        notes.append(f"It is named for any platform, but {min(loaded)} is machine code.")
    tied, why = _tie(replace(name, platforms=frozenset(runs)), loaded, ordered)
    return tied, (*notes, *why)


def _of_armv8(loaded: Mapping[str, Elf]) -> Iterator[str]:
    """Yield a note on files that were made for a newer processor than a Pi 2 has, at least in part.

    It is no more than a note, as the linker lets the newest part speak for all: NumPy, which looks for such a
    processor before it uses it, says the same of itself as what was built with -march=native on a Pi 4.
    """
    newer = sorted(path for path, elf in loaded.items() if elf.arm and not elf.arm.is_armv7())
    if newer:
        yield f"{newer[0]}, one of {len(newer)}, has code for ARMv8: does it look before it uses that?"


def _check_platforms(name: Name, ordered: Ordered) -> frozenset[str]:
    """Return what a wheel claims; raises Unfit for a platform that is not the target's by any name.

    A claim of manylinux was never audited, as everything here is built against the target's own libraries.
    """
    machines = {platform.removeprefix("linux_") for platform in ordered.platforms}
    machines |= _ALSO_CALLED.get(ordered.architecture, set())
    for platform in name.platforms:
        match = _CLAIM.fullmatch(platform)
        if platform != "any" and (match is None or match[1] not in machines):
            raise Unfit(f"It is named for {platform[:100]}, not for {' or '.join(ordered.platforms)}.")
    return name.platforms


def _without_code(name: Name, claimed: frozenset[str], ordered: Ordered) -> tuple[Name, tuple[str, ...]]:
    """Return the name of a wheel without machine code.

    One that its backend named for a platform is for the target's: what is in it may still depend on the
    system that it was built on, as a path or the result of a test for a header.  "any" would be a promise
    that nobody made.  That system is one on all machines of the target, and no processor has to run it.
    """
    if "any" in claimed:
        return name, ()
    note = f"It is named for {', '.join(sorted(claimed))}, but has no machine code."
    return replace(name, platforms=frozenset(ordered.platforms)), (note,)


def _tie(name: Name, loaded: Mapping[str, Elf], ordered: Ordered) -> tuple[Name, tuple[str, ...]]:
    """Bind a wheel to the Python that it was built with, if its modules are and its name is not."""
    path = tied_module(loaded, name.abis)
    if not path:
        return name, ()
    modules = [each for each, elf in loaded.items() if elf.is_extension or names_python(each)]
    abi = "abi3" if all(is_stable(each) for each in modules) else ordered.abi
    python = re.sub(r"[a-z]+$", "", ordered.abi)
    note = f"{path} is an extension module for {abi}, and the name says {'.'.join(sorted(name.abis))}."
    return replace(name, pythons=frozenset({python}), abis=frozenset({abi})), (note,)


def read_facts(folder: Path) -> Facts:
    """Return what an inspection in the sandbox found; raises Unfit unless it has the right form."""
    try:
        # A link may lead to our secrets, and a pipe would keep us waiting.
        descriptor = os.open(folder / FACTS, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            body = file.read(_LARGEST_FACTS + 1)
        if len(body) > _LARGEST_FACTS:
            raise Unfit("The inspection found more than anybody could read.")
        facts = contract.read(Facts, json.loads(body), "Facts")
        _check_needs(facts.libraries, facts.asked)
        return facts
    except (OSError, ValueError, RecursionError) as error:
        raise Unfit(f"The wheel could not be inspected: {error}") from error


def main() -> int:
    """Inspect the wheel that the command line names."""
    parser = ArgumentParser(prog="python -m builder.inspection", description=__doc__)
    parser.add_argument("--architecture", required=True)
    parser.add_argument("--abi", required=True)
    parser.add_argument("--platform", action="append", required=True, dest="platforms")
    parser.add_argument("--build-tag", default="")
    parser.add_argument("wheel", type=Path)
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args()
    ordered = Ordered(asked.architecture, asked.abi, tuple(asked.platforms), asked.build_tag)
    try:
        facts = inspect(asked.wheel, asked.folder, ordered)
        (asked.folder / FACTS).write_text(json.dumps(asdict(facts)))
    except (OSError, MemoryError) as error:
        return exits.tell(error, f"{asked.wheel.name} cannot be looked at here")
    return 0


if __name__ == "__main__":
    sys.exit(main())
