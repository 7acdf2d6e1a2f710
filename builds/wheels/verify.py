"""Is this file the wheel that was ordered?

Nothing that a builder says is believed: the file is read again, all of it, and whatever cannot be proven is
refused.  The file must not change meanwhile.  Whether the code in a wheel is good cannot be seen here; where
the file then goes is `publish.py`'s.
"""

import csv
import hashlib
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from io import BufferedReader, BytesIO, StringIO
from itertools import islice
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from packaging.requirements import InvalidRequirement, Requirement
from packaging.tags import Tag, parse_tag
from packaging.utils import canonicalize_name

from builder.elf import (
    MAGIC,
    BadElf,
    Budget,
    Elf,
    read_elf,
    system_of,
)
from builder.zip_directory import MAX_MEMBERS
from builds.wheels.archive import BadArchive, Member, read_directory, unpack
from builds.wheels.caution import MAX_ENTRY_POINTS, programs, reason_to_hold
from builds.wheels.fitness import misfit
from builds.wheels.wheel_names import MAX_TEXT, BadWheel, Expected, check_filename
from packages.project import MAX_TAGS

# The most bytes in a requirement, and the most requirements of a wheel, that we keep.
MAX_REQUIREMENT = 1000
MAX_REQUIREMENTS = 500
# Of METADATA and WHEEL; the longest METADATA on PyPI is a README of some 600 KiB.
MAX_HEADERS = 1 << 20
# Of RECORD: a line of 300 characters for each of the members that an archive may have.
MAX_RECORD = 16 << 20
# As many files with machine code as the builder's inspection takes.
MAX_ELVES = 3000
# Of one file with machine code, as much as a whole wheel may have by default.
MAX_ELF = 1 << 30
_IN_MEMORY = 16 << 20

# The specification asks for "sha256 or better".
HASHES = frozenset({"sha256", "sha384", "sha512"})
# Signatures of an earlier time (PEP 815): nobody checks them, and RECORD need not list them.
SIGNATURES = ("RECORD.jws", "RECORD.p7s")

_WHEEL_VERSION = re.compile(r"1\.[0-9]{1,9}")


@dataclass(frozen=True)
class VerifiedWheel:
    """A wheel as it is, whatever its builder said."""

    filename: str
    size: int
    sha256: str
    requires_python: str  # "" when METADATA has none
    metadata: bytes  # exactly the bytes of METADATA
    requires_dist: tuple[str, ...]  # the requirements of METADATA that can be understood
    tags: frozenset[Tag]
    glibc: str  # the least that its machine code needs; "" when it has none
    glibcxx: str
    is_portable: bool  # its machine code needs nothing of the system but the C and C++ libraries
    held_reason: str  # why a person must look at it first; "" when nobody must
    content_sha256: str  # of all that it installs, whatever its build tag and however it is packed


@dataclass(frozen=True)
class _Content:
    """What is in a wheel, proven by its RECORD."""

    metadata: bytes
    elves: dict[str, Elf]
    members: dict[str, Member]
    sha256: str  # of what it installs


@dataclass(frozen=True)
class _Proof:
    """A line of RECORD."""

    hash: str  # "sha256=..."
    size: str  # may be empty: the hash proves it as well


def verify(
    file: BufferedReader | BytesIO, filename: str, expected: Expected, *, scratch: Path
) -> VerifiedWheel:
    """Read a file that was uploaded as `filename`, and return what it is if that was ordered.

    Large machine code lies in the folder `scratch` while it is read.  Raises BadWheel for all that can be
    wrong with a file, and OSError when our own disk fails.
    """
    tags = check_filename(filename, expected)
    try:
        content = _check_content(file, expected, tags, scratch)
        if reason := misfit(content.elves, expected.architecture, tags):
            raise BadWheel(reason)
        system = system_of(content.elves)
        headers = _headers(content.metadata, "METADATA")
        _check_identity(headers, expected)
        requires_python = _requires_python(headers)
        requires_dist = _requirements(headers)
        held_reason = reason_to_hold(
            expected.package,
            content.members,
            requires_dist,
            lambda name, limit: _read(file, content.members, name, limit),
        )
    except BadArchive as error:
        raise BadWheel(f"{error} Make {filename} again, as a plain zip such as PyPI would take.") from error
    except (BadWheel, OSError):
        raise
    # The parsers below us are not ours, and what they are given was made by strangers.
    except Exception as error:
        raise BadWheel(f"{filename} could not be read ({error!r:.200}). Make it again.") from error
    size = file.seek(0, 2)
    file.seek(0)
    return VerifiedWheel(
        filename=filename,
        size=size,
        sha256=hashlib.file_digest(file, "sha256").hexdigest(),
        requires_python=requires_python,
        metadata=content.metadata,
        requires_dist=requires_dist,
        tags=tags,
        glibc=system.glibc,
        glibcxx=system.glibcxx,
        is_portable=system.is_portable,
        held_reason=held_reason,
        content_sha256=content.sha256,
    )


def _check_content(file: BinaryIO, expected: Expected, tags: frozenset[Tag], scratch: Path) -> _Content:
    """Prove each member of a wheel by its RECORD, and its tags by its WHEEL; return what is in it."""
    members = {member.name: member for member in read_directory(file)}
    dist_info = _find_dist_info(members, expected)
    metadata = _read(file, members, f"{dist_info}/METADATA", MAX_HEADERS)
    wheel = _headers(_read(file, members, f"{dist_info}/WHEEL", MAX_HEADERS), "WHEEL")
    _check_tags(wheel, tags)
    _check_build(wheel, expected)
    if f"{dist_info}/entry_points.txt" in members:
        _check_programs(_read(file, members, f"{dist_info}/entry_points.txt", MAX_ENTRY_POINTS))
    proofs = _read_record(_read(file, members, f"{dist_info}/RECORD", MAX_RECORD))
    installs = _installs(members.values(), proofs, f"{dist_info}/WHEEL", wheel)
    if proofs.pop(f"{dist_info}/RECORD", None) != _Proof("", ""):
        raise BadWheel("RECORD must list itself, with neither hash nor size. Build it with a current tool.")
    unproven = {f"{dist_info}/{name}" for name in ("RECORD", *SIGNATURES)}
    for name in unproven:
        proofs.pop(name, None)
    elves: dict[str, Elf] = {}
    budget = Budget()
    for member in members.values():
        proof = None if member.is_folder or member.name in unproven else _proof_of(member, proofs)
        if elf := _check_member(file, member, proof, budget, scratch):
            elves[member.name] = elf
            if len(elves) > MAX_ELVES:
                raise BadWheel(f"It has more than {MAX_ELVES} files with machine code. Split the package.")
    if proofs:
        raise BadWheel(f"RECORD lists {min(proofs)!a}, which is not in the wheel. Make the wheel again.")
    return _Content(metadata, elves, members, installs)


def _installs(
    members: Iterable[Member], proofs: Mapping[str, _Proof], wheel_name: str, wheel: Message
) -> str:
    """Return a hash of what a wheel installs: of each file its name, its bytes and whether it is a program.

    The build tag, and RECORD after it, are left out, so that a rebuild can be seen to have brought nothing
    new; so is how the files are packed.
    """
    headers = sorted((name.lower(), str(value).strip()) for name, value in wheel.items())
    hasher = hashlib.sha256(json.dumps([each for each in headers if each[0] != "build"]).encode())
    for member in sorted(members, key=lambda member: member.name):
        if member.name in proofs and member.name != wheel_name:
            line = [member.name, proofs[member.name].hash, member.is_program]
            hasher.update(json.dumps(line).encode())
    return hasher.hexdigest()


def _check_programs(content: bytes) -> None:
    """Refuse programs that would be written elsewhere than where programs are, which pip refuses too."""
    for name in programs(content):
        if "/" in name or "\\" in name or name in (".", ".."):
            raise BadWheel(f"The name of the program {name[:MAX_TEXT]!a} is a path: give it a plain name.")


def _find_dist_info(members: Collection[str], expected: Expected) -> str:
    """Return the name of the one folder that describes the wheel."""
    tops = {name.split("/", 1)[0] for name in members}
    found = sorted(top for top in tops if top.casefold().endswith(".dist-info"))
    name, _, version = (found[0] if found else "").removesuffix(".dist-info").rpartition("-")
    if len(found) != 1 or canonicalize_name(name) != expected.package or not expected.is_version(version):
        raise BadWheel(
            f"The wheel must have one folder {expected.package}-{expected.version}.dist-info, "
            f"but has {', '.join(found[:5]) or 'none'}. Build only what was ordered."
        )
    return found[0]


def _read(file: BinaryIO, members: dict[str, Member], name: str, limit: int) -> bytes:
    """Return the bytes of one of the files that describe a wheel."""
    member = members.get(name)
    if member is None or member.size > limit:
        raise BadWheel(f"The wheel must have {name}, of {limit} bytes at most. Build it with a current tool.")
    return b"".join(unpack(file, member))


def _headers(content: bytes, name: str) -> Message:
    """Return the headers of METADATA or WHEEL."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise BadWheel(f"{name} is not UTF-8: {error}. Correct the source of that text.") from error
    # A NUL has no meaning in either file, and PostgreSQL takes none.
    if "\0" in text:
        raise BadWheel(f"{name} has a NUL character. Take it out.")
    return HeaderParser().parsestr(text)


def _only(headers: Message, header: str, name: str) -> str:
    """Return a header that must be there exactly once."""
    values = headers.get_all(header, [])
    if len(values) != 1:
        raise BadWheel(f"{name} has {header} {len(values)} times: give it exactly once.")
    return str(values[0]).strip()


def _check_identity(metadata: Message, expected: Expected) -> None:
    """Refuse a METADATA of something else."""
    name, version = _only(metadata, "Name", "METADATA"), _only(metadata, "Version", "METADATA")
    if canonicalize_name(name) != expected.package or not expected.is_version(version):
        raise BadWheel(
            f"METADATA is of {name[:MAX_TEXT]!a} {version[:MAX_TEXT]!a}, not of {expected.package} "
            f"{expected.version}: build only what was ordered."
        )


def _check_tags(wheel: Message, tags: frozenset[Tag]) -> None:
    """Refuse a WHEEL of another version, or one that speaks of other tags than the file's name."""
    version = _only(wheel, "Wheel-Version", "WHEEL")
    if not _WHEEL_VERSION.fullmatch(version):
        raise BadWheel(f"Wheel-Version is {version[:MAX_TEXT]!a}: build with a tool that makes wheels 1.0.")
    lines = wheel.get_all("Tag", [])
    said: frozenset[Tag] = frozenset()
    if len(lines) <= MAX_TAGS:
        said = said.union(*(_parse_tag(line) for line in lines))
    if said != tags:
        raise BadWheel(
            "The tags in WHEEL are not those in the file's name: rename a wheel with `wheel tags`, not `mv`."
        )


def _check_build(wheel: Message, expected: Expected) -> None:
    """Refuse a WHEEL with another build tag than the file's name."""
    said = [str(value).strip() for value in wheel.get_all("Build", [])]
    if said != ([expected.build_tag] if expected.build_tag else []):
        raise BadWheel(
            f"WHEEL has Build {', '.join(said)[:MAX_TEXT] or 'not at all'}, and the file's name "
            f"{expected.build_tag or 'has none'}: rename a wheel with `wheel tags --build`, not `mv`."
        )


def _parse_tag(line: str) -> frozenset[Tag]:
    """Return the tags in a line of WHEEL; it should be one, but some tools write a compressed set."""
    try:
        return parse_tag(line.strip(), limit=MAX_TAGS)
    except ValueError as error:
        raise BadWheel(f"WHEEL has a bad tag: {str(error)[:MAX_TEXT]}. Build with a current tool.") from error


def _requires_python(metadata: Message) -> str:
    """Return what METADATA says of the Python it needs, as one line."""
    lines = metadata.get_all("Requires-Python", [])
    requires_python = " ".join(" ".join(lines[:1]).split())
    if len(lines) > 1 or len(requires_python) > MAX_TEXT:
        raise BadWheel(
            f"METADATA has several Requires-Python, or one of over {MAX_TEXT} characters: give one."
        )
    return requires_python


def _requirements(metadata: Message) -> tuple[str, ...]:
    """Return the requirements that can be understood; of the others, pip itself will speak.

    Nor are those returned that our rows and pages could not hold: PostgreSQL puts at most 2704 bytes into a
    row of an index, and a page shows each of them.  METADATA itself is kept as it is.
    """
    lines = (" ".join(line.split()) for line in metadata.get_all("Requires-Dist", []))
    return tuple(islice(filter(is_requirement, lines), MAX_REQUIREMENTS))


def is_requirement(line: str) -> bool:
    """Tell whether this is a requirement of something that could be on PyPI, and one that rows can keep."""
    try:
        return (
            "\0" not in line
            and len(line.encode()) <= MAX_REQUIREMENT
            and len(Requirement(line).name) <= MAX_TEXT
        )
    # Brackets can be nested deeper than the parser can follow, and not all that is read was text.
    except (InvalidRequirement, RecursionError, UnicodeEncodeError):
        return False


def _read_record(content: bytes) -> dict[str, _Proof]:
    """Return what RECORD says of each file."""
    proofs: dict[str, _Proof] = {}
    try:
        for path, digest, size in filter(
            None, csv.reader(StringIO(content.decode(), newline=""), strict=True)
        ):
            # Some tools list folders too, which prove nothing.
            if path.endswith("/"):
                continue
            if path in proofs or len(proofs) == MAX_MEMBERS:
                raise ValueError(f"{path[:MAX_TEXT]!a} is there twice, or is one file too many")
            proofs[path] = _Proof(digest, size)
    except (csv.Error, ValueError) as error:
        raise BadWheel(f"RECORD cannot be read: {error}. Make the wheel again.") from error
    return proofs


def _proof_of(member: Member, proofs: dict[str, _Proof]) -> _Proof:
    """Take a member's line out of RECORD."""
    proof = proofs.pop(member.name, None)
    if proof is None:
        raise BadWheel(f"RECORD does not list {member.name!a}. Make the wheel again, do not add to it.")
    algorithm = proof.hash.partition("=")[0]
    if algorithm not in HASHES:
        raise BadWheel(f"RECORD proves {member.name!a} by {algorithm[:20]!a}: use sha256.")
    if proof.size not in ("", str(member.size)):
        raise BadWheel(f"RECORD gives {member.name!a} another size than it has. Make the wheel again.")
    return proof


def _check_member(
    file: BinaryIO, member: Member, proof: _Proof | None, budget: Budget, scratch: Path
) -> Elf | None:
    """Compare a member's bytes with its line in RECORD; return what it says of itself if it is ELF."""
    algorithm, _, digest = proof.hash.partition("=") if proof else ("sha256", "", "")
    hasher = hashlib.new(algorithm)
    head = b""
    with SpooledTemporaryFile(_IN_MEMORY, dir=str(scratch)) as code:
        for piece in unpack(file, member):
            hasher.update(piece)
            if head.startswith(MAGIC):
                code.write(piece)
            elif len(head) < len(MAGIC):
                head += piece
                if head.startswith(MAGIC):
                    if member.size > MAX_ELF:
                        raise BadWheel(f"{member.name!a} has more than {MAX_ELF} bytes. Strip it.")
                    code.write(head)
        if proof and urlsafe_b64encode(hasher.digest()).rstrip(b"=").decode() != digest:
            raise BadWheel(
                f"{member.name!a} is not what RECORD says. Make the wheel again, do not change it."
            )
        if not head.startswith(MAGIC):
            return None
        try:
            return read_elf(cast(BinaryIO, code), budget)
        except BadElf as error:
            raise BadWheel(f"{member.name!a} cannot be read: {error} Build it again.") from error
