"""How many members has a zip?  Answered before anybody makes an object of each, as `zipfile` does."""

import os
import struct
from typing import BinaryIO

# As many as the server takes of a wheel, and a thousand bytes of the directory for each of them.
MAX_MEMBERS = 50_000
MAX_DIRECTORY = 50_000_000
# APPNOTE.TXT 4.3.12 to 4.3.16: the end record, whose sixth field is the size of the directory before it, and
# the longest comment behind it; what an entry of the directory begins with, and what leads to one of zip64.
_END, _END_MARK, _LONGEST_COMMENT = struct.Struct("<4s4H2LH"), b"PK\x05\x06", 0xFFFF
_ENTRY_MARK, _ZIP64_MARK, _ZIP64_SIZE = b"PK\x01\x02", b"PK\x06\x07", 20


def has_too_many_members(file: BinaryIO) -> bool:
    """Tell whether a zip has more members than a wheel may have; the file is left anywhere.

    How many it says that it has proves nothing: `zipfile` reads all of the directory.  What is no zip has
    none.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _LONGEST_COMMENT - _END.size))
    tail = file.read()
    at = _end_record(tail)
    if at < 0:
        return False
    end = size - len(tail) + at
    # The records of zip64 are for more members and bytes than a wheel may have.
    file.seek(max(0, end - _ZIP64_SIZE))
    if file.read(len(_ZIP64_MARK)) == _ZIP64_MARK:
        return True
    directory_size = _END.unpack_from(tail, at)[5]
    start = end - directory_size
    if start < 0:
        return False
    if directory_size > MAX_DIRECTORY:
        return True
    file.seek(start)
    return file.read(directory_size).count(_ENTRY_MARK) > MAX_MEMBERS


def _end_record(tail: bytes) -> int:
    """Return where in a file's last bytes the end record is, as `zipfile` finds it; -1 when there is none."""
    at = len(tail) - _END.size
    if at >= 0 and tail.startswith(_END_MARK, at) and tail.endswith(b"\0\0"):
        return at
    at = tail.rfind(_END_MARK)
    return at if at + _END.size <= len(tail) else -1
