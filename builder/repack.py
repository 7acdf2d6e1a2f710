"""Writes a wheel again under another name: WHEEL and RECORD change, everything else stays byte for byte.

The library `wheel` can do that, but gives up where name and WHEEL disagree, which is what has to be put
right; its function is private, and it packs everything anew, which takes seconds where this takes none.  Here
the packed bytes are copied as they are.  The result is a plain zip: no flags, extra fields or gaps that PyPI
and our server refuse.  The same wheel gives the same bytes.
"""

import csv
import shutil
import struct
import zipfile
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from copy import copy
from hashlib import sha256
from io import BytesIO, StringIO
from pathlib import Path
from typing import BinaryIO

from packaging.tags import parse_tag

# APPNOTE.TXT 4.3.7: after 26 bytes the lengths of a member's name and extra field, then both, then its bytes.
_LENGTHS = struct.Struct("<26xHH")
_SIZES_BEHIND = 0x8
# Bits 1 and 2 say how hard deflate tried, bit 11 that the name is UTF-8.
_PLAIN_FLAGS = 0x0806
_LARGEST_TEXT = 16 << 20
_DEFLATE_LEVEL = 6


def repack(file: BinaryIO, archive: zipfile.ZipFile, path: Path, *, tag: str, build_tag: str = "") -> None:
    """Write an open wheel to a path: with another tag and build tag, or as it is when the tag is "".

    Raises ValueError for a wheel without what is to be changed.
    """
    changed = _retagged(archive, tag, build_tag) if tag else {}
    if not changed and not any(member.flag_bits & _SIZES_BEHIND for member in archive.infolist()):
        file.seek(0)
        with path.open("xb") as target:
            shutil.copyfileobj(file, target, 1 << 20)
        return
    with path.open("xb") as target, zipfile.ZipFile(target, "w") as packed:
        for member in archive.infolist():
            _copy(file, member, packed, target, changed.get(member.filename))
        packed.start_dir = target.tell()


def _copy(
    file: BinaryIO, member: zipfile.ZipInfo, packed: zipfile.ZipFile, target: BinaryIO, content: bytes | None
) -> None:
    """Copy a member as it is packed, or with new content, and note it for the directory."""
    if member.flag_bits & ~(_PLAIN_FLAGS | _SIZES_BEHIND):
        raise ValueError(f"{member.filename} is packed in a way that not every reader knows")
    info = copy(member)
    info.flag_bits &= _PLAIN_FLAGS
    info.extra = info.comment = b""
    info.header_offset = target.tell()
    source: BinaryIO = file
    if content is None:
        file.seek(member.header_offset)
        name_size, extra_size = _LENGTHS.unpack(file.read(_LENGTHS.size))
        file.seek(name_size + extra_size, 1)
    else:
        body = _deflate(content) if info.compress_type == zipfile.ZIP_DEFLATED else content
        info.CRC, info.file_size, info.compress_size = zlib.crc32(content), len(content), len(body)
        source = BytesIO(body)
    target.write(info.FileHeader(zip64=False))
    _copy_bytes(source, target, info.compress_size)
    packed.filelist.append(info)


def _copy_bytes(source: BinaryIO, target: BinaryIO, size: int) -> None:
    """Copy exactly so many bytes."""
    while size:
        block = source.read(min(size, 1 << 20))
        if not block:
            raise ValueError("it is cut off")
        target.write(block)
        size -= len(block)


def _deflate(content: bytes) -> bytes:
    """Pack bytes as zip does."""
    packer = zlib.compressobj(_DEFLATE_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


def _retagged(archive: zipfile.ZipFile, tag: str, build_tag: str) -> Mapping[str, bytes]:
    """Return WHEEL and RECORD, by their names in the wheel, for another tag and build tag."""
    tops = {name.split("/", 1)[0] for name in archive.namelist() if "/" in name}
    found = [top for top in tops if top.endswith(".dist-info")]
    if len(found) != 1:
        raise ValueError("it must have one folder .dist-info")
    wheel, record = f"{found[0]}/WHEEL", f"{found[0]}/RECORD"
    new = _wheel(_text(archive, wheel), tag, build_tag)
    return {wheel: new, record: _record(_text(archive, record), wheel, new)}


def _text(archive: zipfile.ZipFile, name: str) -> str:
    """Return one of the files that describe a wheel."""
    try:
        member = archive.getinfo(name)
    except KeyError as error:
        raise ValueError(f"it has no {name}") from error
    if member.file_size > _LARGEST_TEXT:
        raise ValueError(f"{name} has {member.file_size} bytes")
    with archive.open(member) as content:
        return content.read(_LARGEST_TEXT).decode()


def _wheel(text: str, tag: str, build_tag: str) -> bytes:
    """Return WHEEL with other tags; what was for any platform and is not, goes where machine code goes."""
    headers = [(line.partition(":")[0].strip().lower(), line) for line in text.splitlines() if line.strip()]
    was_pure = any(line.rstrip().endswith("-any") for header, line in headers if header == "tag")
    lines = []
    for header, line in headers:
        if header == "root-is-purelib" and was_pure and not tag.endswith("-any"):
            lines.append("Root-Is-Purelib: false")
        elif header not in ("tag", "build"):
            lines.append(line)
    lines += [f"Build: {build_tag}"] if build_tag else []
    lines += sorted(f"Tag: {each}" for each in parse_tag(tag))
    return "".join(f"{line}\n" for line in lines).encode()


def _record(text: str, wheel: str, content: bytes) -> bytes:
    """Return RECORD with another line for WHEEL; those of all other files stay as they are."""
    digest = urlsafe_b64encode(sha256(content).digest()).rstrip(b"=").decode()
    lines = StringIO(newline="")
    writer = csv.writer(lines, lineterminator="\n")
    for row in csv.reader(StringIO(text, newline="")):
        writer.writerow([wheel, f"sha256={digest}", len(content)] if row[:1] == [wheel] else row)
    return lines.getvalue().encode()
