"""Sdists for an index of a million of them: made in a fraction of a millisecond, when somebody asks for one.

They build as those of `sdists` do, but are not compressed, and what is in all of them is made once.
"""

import gzip
import json
import tarfile
from functools import cache

from tests.sdists import PURE_BACKEND, PYPROJECT, metadata, module_name, stem


def quick_sdist(name: str, version: str, requires_python: str = "") -> bytes:
    """Return an sdist that builds a pure wheel with one module; the same arguments give the same bytes."""
    folder, module = stem(name, version), f"{module_name(name)}.py"
    facts = {"stem": folder, "members": [module], "extension": "", "libraries": []}
    own = b"".join(
        _header(f"{folder}/{path}", len(content)) + _padded(content)
        for path, content in (
            ("PKG-INFO", metadata(name, version, requires_python=requires_python).encode()),
            ("pyproject.toml", PYPROJECT.encode()),
            (module, b"ANSWER = 42\n"),
            ("_backend.json", json.dumps(facts).encode()),
        )
    )
    own += _header(f"{folder}/_backend.py", len(PURE_BACKEND.encode()))
    # A gzip file may have several parts, and reads as if it were one.
    return gzip.compress(own, 0, mtime=0) + _rest()


@cache
def _rest() -> bytes:
    """Return what all of the archives end with: the backend's source and two blocks of nothing."""
    return gzip.compress(_padded(PURE_BACKEND.encode()) + bytes(2 * tarfile.BLOCKSIZE), mtime=0)


def _header(path: str, size: int) -> bytes:
    """Return what stands before a member's content; tarfile's own takes ten times as long."""
    name = path.encode()
    if len(name) > 100:
        raise ValueError(f"{path} is too long for the header of a quick sdist.")
    head = name.ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + b"%011o\0" % size + b"00000000000\0"
    # The checksum is of a header with spaces in its place; 0 is a file.
    tail = b"0" + bytes(100) + b"ustar\00000"
    total = sum(head) + 8 * ord(" ") + sum(tail)
    return (head + b"%06o\0 " % total + tail).ljust(tarfile.BLOCKSIZE, b"\0")


def _padded(content: bytes) -> bytes:
    """Return a member's content, filled up to whole blocks."""
    return content + bytes(-len(content) % tarfile.BLOCKSIZE)
