"""Logs of builds: a growing file while the build runs, a compressed one in the storage afterwards.

A log is what a stranger's program printed.  Nothing here interprets it; who shows it escapes it.
"""

import gzip
import os
import re
from pathlib import Path

from django.conf import settings
from django.core.files.storage import default_storage

from builder.contract import LOG_LIMIT
from builds import storage
from builds.models import Build

# Escape sequences of terminals, and what else would act on one instead of being seen.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])")
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def stored_name(build: int) -> str:
    """Return a finished log's name in the storage: piwheels.org's, three groups of four digits."""
    digits = f"{build:012d}"
    return f"logs/{digits[:4]}/{digits[4:8]}/{digits[8:]}.txt.gz"


def _growing(build: int) -> Path:
    """Return where the log of a running build gathers."""
    return settings.PIWHEELS_INCOMING / "logs" / f"{build}.log"


def append(build: int, offset: int, chunk: bytes) -> int:
    """Write a chunk at its offset and return how far the log now reaches.

    A chunk that comes twice is written over itself.  One that would leave a hole is not taken: the answer
    tells the builder from where to go on.
    """
    path = _growing(build)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        if size >= LOG_LIMIT:
            return offset + len(chunk)
        if not 0 <= offset <= size:
            return size
        os.pwrite(descriptor, chunk[: max(0, LOG_LIMIT - offset)], offset)
    finally:
        os.close(descriptor)
    return max(size, offset + len(chunk))


def keep(build: int) -> None:
    """Move a log into the storage, when its build has ended."""
    path = _growing(build)
    if path.exists():
        # Without a name and a time in its header, the same log is the same file.
        storage.store_bytes(stored_name(build), gzip.compress(path.read_bytes(), mtime=0))
        path.unlink()


def read(build: Build) -> str:
    """Return a build's log as text without anything that a terminal or a browser would act on."""
    return clean(_raw(build.pk).decode(errors="replace"))


def clean(text: str) -> str:
    """Make terminal sequences vanish and other control characters visible."""
    return _UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", _ANSI.sub("", text.replace("\r\n", "\n")))


def _raw(build: int) -> bytes:
    """Return a log's bytes, wherever they are."""
    path = _growing(build)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        pass
    try:
        with default_storage.open(stored_name(build)) as file:
            return gzip.decompress(file.read())
    except FileNotFoundError:
        return b""
