"""Is this zip safe to read: does every reader see the same members, and does it unpack to what it says?

Stricter than `zipfile`, which reads whatever can be read: an installer that goes by the directory at a zip's
end, and one that goes by the headers in front of the members, must never see two different wheels.  The rules
are PyPI's, and a few more that no tool's wheel has been seen to break.  What is in a wheel is `verify.py`'s.
"""

import re
import stat
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from struct import Struct
from typing import BinaryIO, NamedTuple

from builder.zip_directory import MAX_DIRECTORY, MAX_MEMBERS

MAX_UNPACKED = 4 << 30
# PyPI's: above 64 MiB, a file that shrank more than fifty times was made to fill somebody's disk.
MAX_RATIO = 50
RATIO_FREE = 64 << 20
MAX_NAME = 512

# The records of APPNOTE.TXT, sections 4.3.7, 4.3.12 and 4.3.16.
_LOCAL = Struct("<4sHHHHHLLLHH")
_ENTRY = Struct("<4sHHHHHHLLLHHHHHLL")
_END = Struct("<4sHHHHLLH")
_EXTRA = Struct("<HH")
_SIZES = Struct("<QQ")
_ZIP64_LOCATOR = b"PK\x06\x07"
_ZIP64_LOCATOR_SIZE = 20

# Bits 1 and 2 say how hard deflate tried, bit 11 that the name is UTF-8.  Each other bit changes how the
# bytes are to be read: encrypted, patched, masked, or with the sizes behind them, as PyPI does not take it.
_PLAIN_FLAGS = 0x0806
_UTF8 = 0x0800
_STORED, _DEFLATED = 0, 8
# The last version of the format that `zipfile` reads (6.3).
_MAX_FORMAT = 63
_IN_EXTRA = 0xFFFFFFFF
_EXTRA_ZIP64 = 0x0001
# A second name for the member, which some readers use and others do not.
_EXTRA_NAME = 0x7075

_CHUNK = 256 << 10
# ASCII that is neither a control character nor the backslash, which is a separator to some readers.
_PLAIN_NAME = re.compile(r"[ -\[\]-~]+")
_DRIVE = re.compile(r"[A-Za-z]:")
# Control, format (bidi and zero-width), surrogate, private and the two line separators.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


class BadArchive(ValueError):
    """The file is not a zip that every reader reads alike; the text says where it is not."""


class Header(NamedTuple):
    """What a zip says of a member twice: in front of it, and in the directory at the end."""

    flags: int
    method: int
    time: int
    date: int
    crc: int
    packed_size: int
    size: int
    name: bytes


@dataclass(frozen=True, slots=True)
class Member:
    """A file or folder in a zip, and where its bytes are: from its header to whatever comes next."""

    name: str
    header: Header
    start: int
    end: int
    mode: int

    @property
    def is_program(self) -> bool:
        """Whether it can be run once it is installed."""
        return bool(self.mode & 0o111) and not self.is_folder

    @property
    def size(self) -> int:
        """How many bytes it unpacks to."""
        return self.header.size

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, which has no bytes."""
        return self.name.endswith("/")


class _Entry(NamedTuple):
    """One entry of the directory."""

    header: Header
    mode: int
    start: int


def read_directory(file: BinaryIO) -> list[Member]:
    """Return the members of a zip in the order of their bytes.

    The members fill the file from its first byte to its directory, and their sizes add up to no more than the
    limits.  What the directory says is proven once `unpack` has gone through all of them.
    """
    directory, where, count = _find_directory(file)
    entries = sorted(_entries(directory, count), key=lambda entry: entry.start)
    first, *ends = [*(entry.start for entry in entries), where]
    if first != 0:
        raise BadArchive("There is something in front of the first member.")
    members = [
        Member(_plain_name(entry), entry.header, entry.start, end, entry.mode)
        for entry, end in zip(entries, ends, strict=True)
    ]
    _check_unpacked_size(sum(member.size for member in members), where)
    _check_names([member.name for member in members])
    return members


def unpack(file: BinaryIO, member: Member) -> Iterator[bytes]:
    """Yield a member's bytes in pieces; BadArchive if they are not exactly what the directory says."""
    file.seek(member.start)
    if _read_local(file) != member.header:
        raise BadArchive(f"{member.name} has a header that differs from its entry in the directory.")
    if file.tell() + member.header.packed_size != member.end:
        raise BadArchive(f"The bytes of {member.name} do not end where the next record begins.")
    pieces = _pieces(file, member.header.packed_size)
    crc = size = 0
    for piece in _inflate(pieces, member) if member.header.method == _DEFLATED else pieces:
        crc = zlib.crc32(piece, crc)
        size += len(piece)
        if size > member.size:
            raise BadArchive(f"{member.name} unpacks to more than the {member.size} bytes that it says.")
        yield piece
    if (size, crc) != (member.size, member.header.crc):
        raise BadArchive(f"{member.name} does not unpack to the size and checksum that it says.")


def _find_directory(file: BinaryIO) -> tuple[bytes, int, int]:
    """Return the directory, where it begins, and how many entries it has."""
    end = file.seek(0, 2) - _END.size
    if end < 0:
        raise BadArchive("The file is too short.")
    file.seek(end)
    mark, disk, first_disk, here, count, size, where, comment = _END.unpack(file.read(_END.size))
    if mark != b"PK\x05\x06" or comment:
        raise BadArchive(
            "It does not end with a zip's end record: there is a comment or something behind it."
        )
    if disk or first_disk or here != count:
        raise BadArchive("It is one part of several.")
    if count > MAX_MEMBERS:
        raise BadArchive(f"It has more than {MAX_MEMBERS} members.")
    # With this there is no room for the records of zip64, which nothing below our limits needs.
    if where + size != end:
        raise BadArchive("Its directory does not fill the space before the end record.")
    if size > MAX_DIRECTORY:
        raise BadArchive("Its directory is too large.")
    file.seek(where)
    directory = file.read(size)
    if directory[-_ZIP64_LOCATOR_SIZE:].startswith(_ZIP64_LOCATOR):
        raise BadArchive("It has what some readers take for a second directory.")
    return directory, where, count


def _entries(directory: bytes, count: int) -> Iterator[_Entry]:
    """Yield the entries of the directory, which holds that many and nothing else."""
    at = 0
    for _ in range(count):
        if at + _ENTRY.size > len(directory):
            raise BadArchive("Its directory ends too early.")
        mark, _, form, flags, method, time, date, crc, packed_size, size, *rest = _ENTRY.unpack_from(
            directory, at
        )
        name_size, extra_size, comment_size, disk, _, attributes, start = rest
        name_at = at + _ENTRY.size
        extra_at = name_at + name_size
        at = extra_at + extra_size
        if mark != b"PK\x01\x02" or comment_size or disk or form > _MAX_FORMAT or at > len(directory):
            raise BadArchive("Its directory has an entry that is broken or has a comment.")
        packed_size, size = _sizes(directory[extra_at:at], packed_size, size)
        name = directory[name_at:extra_at]
        header = Header(flags, method, time, date, crc, packed_size, size, name)
        yield _Entry(header, mode=attributes >> 16, start=start)
    if at != len(directory):
        raise BadArchive("Its directory has more entries than it says.")


def _read_local(file: BinaryIO) -> Header:
    """Return the header in front of a member, and leave the file at the member's bytes."""
    fixed = file.read(_LOCAL.size)
    if len(fixed) < _LOCAL.size:
        raise BadArchive("A member's header is cut off.")
    mark, form, flags, method, time, date, crc, packed_size, size, name_size, extra_size = _LOCAL.unpack(
        fixed
    )
    name = file.read(name_size)
    extra = file.read(extra_size)
    if mark != b"PK\x03\x04" or form > _MAX_FORMAT or len(name) < name_size or len(extra) < extra_size:
        raise BadArchive("A member's header is broken.")
    packed_size, size = _sizes(extra, packed_size, size)
    return Header(flags, method, time, date, crc, packed_size, size, name)


def _sizes(extra: bytes, packed_size: int, size: int) -> tuple[int, int]:
    """Return the two sizes of a member, which may be in its extra fields."""
    fields = _extra_fields(extra) if extra else {}
    if _EXTRA_NAME in fields:
        raise BadArchive("A member has a second name.")
    if _EXTRA_ZIP64 not in fields:
        return packed_size, size
    # Readers differ in what they make of one size here and the other there.
    if len(fields[_EXTRA_ZIP64]) != _SIZES.size or not packed_size == size == _IN_EXTRA:
        raise BadArchive("A member has its sizes in two places.")
    size, packed_size = _SIZES.unpack(fields[_EXTRA_ZIP64])
    return packed_size, size


def _extra_fields(extra: bytes) -> dict[int, bytes]:
    """Return what else is said of a member, by kind."""
    fields: dict[int, bytes] = {}
    at = 0
    while at < len(extra):
        if at + _EXTRA.size > len(extra):
            raise BadArchive("A member's extra fields are broken.")
        kind, length = _EXTRA.unpack_from(extra, at)
        at += _EXTRA.size + length
        if at > len(extra) or kind in fields:
            raise BadArchive("A member's extra fields are broken or there twice.")
        fields[kind] = extra[at - length : at]
    return fields


def _plain_name(entry: _Entry) -> str:
    """Return the name of an entry that can be unpacked as a plain file or folder."""
    header = entry.header
    name = _decode_name(header)
    is_folder = name.endswith("/")
    if header.flags & ~_PLAIN_FLAGS:
        raise BadArchive(
            f"{name} is encrypted or has its sizes behind its bytes (flags {header.flags:#06x})."
        )
    if header.method not in (_STORED, _DEFLATED):
        raise BadArchive(f"{name} is neither stored nor deflated (method {header.method}).")
    if header.method == _STORED and header.packed_size != header.size:
        raise BadArchive(f"{name} is stored, but has two sizes.")
    kind = stat.S_IFDIR if is_folder else stat.S_IFREG
    if stat.S_IFMT(entry.mode) not in (0, kind) or (is_folder and header.size):
        raise BadArchive(f"{name} is neither a plain file nor an empty folder (mode {entry.mode:#o}).")
    if entry.mode & (stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX):
        raise BadArchive(f"{name} would run with another user's rights (mode {entry.mode:#o}).")
    return name


def _decode_name(header: Header) -> str:
    """Return a member's name if all systems unpack it to the same place, below the folder they are in."""
    try:
        name = header.name.decode("utf-8" if header.flags & _UTF8 else "ascii")
    except UnicodeDecodeError:
        raise BadArchive(f"The name {header.name!r} is not UTF-8, or is not marked as such.") from None
    if not _PLAIN_NAME.fullmatch(name) and (
        "\\" in name or any(unicodedata.category(character) in _HIDDEN for character in name)
    ):
        raise BadArchive(f"The name {name!a} has a backslash or characters that cannot be seen.")
    if len(name) > MAX_NAME or _DRIVE.match(name):
        raise BadArchive(f"The name {name[:50]!a} is too long or begins with a drive.")
    if not {"", ".", ".."}.isdisjoint(name.removesuffix("/").split("/")):
        raise BadArchive(f"The name {name!a} leads out of its folder.")
    return name


def _check_unpacked_size(unpacked: int, packed: int) -> None:
    """Refuse what would unpack to far more than it seems."""
    if unpacked > MAX_UNPACKED or (unpacked > RATIO_FREE and unpacked > packed * MAX_RATIO):
        raise BadArchive(f"It would unpack to {unpacked} bytes.")


def _check_names(names: list[str]) -> None:
    """Refuse names that are one name to some file systems, and files that are also folders."""
    keys = sorted(
        (unicodedata.normalize("NFC", name.removesuffix("/")).casefold() + "/", not name.endswith("/"), name)
        for name in names
    )
    # Sorted, whatever is below a folder comes right behind it.
    for (key, is_file, name), (next_key, _, next_name) in pairwise(keys):
        if key == next_key or (is_file and next_key.startswith(key)):
            raise BadArchive(f"The names {name!a} and {next_name!a} are in each other's way.")


def _pieces(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield the next `size` bytes of a file."""
    while size and (piece := file.read(min(size, _CHUNK))):
        size -= len(piece)
        yield piece


def _inflate(pieces: Iterator[bytes], member: Member) -> Iterator[bytes]:
    """Yield what deflated bytes unpack to, never much at a time; they must end with their last piece."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for piece in pieces:
            while piece and not stream.eof:
                yield stream.decompress(piece, _CHUNK)
                piece = stream.unconsumed_tail  # noqa: PLW2901
            if piece or stream.unused_data:
                raise BadArchive(f"{member.name} has something behind its deflated bytes.")
    except zlib.error as error:
        raise BadArchive(f"{member.name} cannot be unpacked: {error}.") from error
    if not stream.eof:
        raise BadArchive(f"{member.name} is cut off.")
