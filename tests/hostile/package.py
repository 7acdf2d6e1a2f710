"""What a hostile package is, and how it becomes an sdist: the same bytes for the same scene, always."""

import gzip
import inspect
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.hostile import backend

# What an attack may use besides the backend's own names.
_IMPORTS = (
    "from backend import *\n"
    "import base64, ctypes, errno, hashlib, json, os, platform, resource, shutil, signal, site, socket\n"
    "import subprocess, sys, threading, time, zipfile\n"
    "from pathlib import Path\n\n"
)
_PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
_PKG_INFO = "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n"

# A function whose source travels in the sdist and runs in the build; it may return a wheel's name.
Attack = Callable[[Path], "str | None"]


@dataclass(frozen=True)
class End:
    """What must be true of a build once it is over."""

    state: str = "failed"
    # The classes of failure that its builder may give; "" is none, and leaves it to the log.
    failures: tuple[str, ...] = ("",)
    says: str = ""  # a regular expression that is found in the reason or the log
    within_s: float = 300.0  # much more than it takes, as machines have other things to do


@dataclass(frozen=True)
class Package:
    """An sdist that means no good, and what its build must come to."""

    attack: Attack | None
    end: End
    archive: Callable[[], bytes] | None = None  # for what never gets as far as a backend
    requires: tuple[str, ...] = ()  # what its backend asks for; {door} is an address that nobody may knock at
    filename: str = "tiny-1.0.tar.gz"
    time_limit_s: float = 20.0
    # Why a builder without a sandbox cannot keep the promise, in a sentence; "" where it can.
    not_at_bare: str = ""
    # There it has to gain something, as it would prove nothing elsewhere; unless it has nothing to try it on.
    gains_at_bare: bool = True
    leaves_processes_at_bare: bool = False
    at: Mapping[str, End] = field(default_factory=dict)  # the end at levels where it is another one
    quick: bool = False  # one of those that the everyday tests build

    def sdist(self, scene: Mapping[str, object]) -> bytes:
        """Return the source as its builder fetches it."""
        if self.archive is not None:
            return self.archive()
        assert self.attack is not None
        source = inspect.getsource(self.attack)
        requires = [each.format(door=scene.get("door")) for each in self.requires]
        return pack(
            sources(
                {
                    "attack.py": f"{_IMPORTS}{source}\nattack = {self.attack.__name__}\n",
                    "scene.json": json.dumps({**scene, "requires": requires}, sort_keys=True),
                }
            )
        )

    def end_at(self, level: str) -> End:
        """Return what must be true at a level of the sandbox."""
        return self.at.get(level, self.end)


def sources(more: Mapping[str, str] | None = None, top: str = "tiny-1.0/") -> dict[str, bytes]:
    """Return the files of an honest sdist, and further ones."""
    texts = {
        "pyproject.toml": _PYPROJECT,
        "PKG-INFO": _PKG_INFO,
        "backend.py": inspect.getsource(backend),
        "attack.py": "def attack(folder):\n    return None\n",
        **(more or {}),
    }
    return {top + name: text.encode() for name, text in texts.items()}


def pack(
    files: Mapping[str, bytes], members: Iterable[tarfile.TarInfo | tuple[tarfile.TarInfo, bytes]] = ()
) -> bytes:
    """Return a tar.gz of those files and further members."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in files.items():
            tar.addfile(*_file(name, content))
        for each in members:
            head, content = each if isinstance(each, tuple) else (each, b"")
            tar.addfile(head, io.BytesIO(content))
    return gzip.compress(archive.getvalue(), compresslevel=1, mtime=0)


def special(
    name: str, kind: bytes, *, link: str = "", device: tuple[int, int] = (0, 0), mode: int = 0o644
) -> tarfile.TarInfo:
    """Return the head of a member that is no file."""
    head = tarfile.TarInfo(name)
    head.type, head.linkname, head.mode = kind, link, mode
    head.devmajor, head.devminor = device
    return head


def _file(name: str, content: bytes) -> tuple[tarfile.TarInfo, io.BytesIO]:
    """Return a plain file's head and bytes."""
    head = tarfile.TarInfo(name)
    head.size, head.mode = len(content), 0o644
    return head, io.BytesIO(content)
