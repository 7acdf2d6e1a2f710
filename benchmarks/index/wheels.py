"""The data set that each server is measured with; sample data, the same for all of them.

It is that of the peers' own measurement (200 projects of 20 files), with two large projects beside.
"""

import hashlib
import io
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PROJECTS = int(os.environ.get("INDEX_PROJECTS", "200"))
FILES = 20
BIG, HUGE = 1_000, int(os.environ.get("INDEX_HUGE", "10000"))
NAMES = int(os.environ.get("INDEX_NAMES", "20000"))
LARGE_BYTES = 20 << 20
# 5 wheels a version, as of a package that is built for some Pythons.
PYTHONS = range(9, 14)


@dataclass(frozen=True)
class Sample:
    """A wheel: of which project and version, under which name, and how large."""

    project: str
    version: str
    filename: str
    large: bool = False

    @property
    def metadata(self) -> bytes:
        """Its METADATA."""
        return f"Metadata-Version: 2.1\nName: {self.project}\nVersion: {self.version}\n".encode()

    @property
    def content(self) -> bytes:
        """Its bytes, which are a wheel's as far as any index looks."""
        made = io.BytesIO()
        info = f"{self.project}-{self.version}.dist-info"
        with zipfile.ZipFile(made, "w") as archive:
            for name, content in {
                f"{info}/METADATA": self.metadata,
                f"{info}/WHEEL": f"Wheel-Version: 1.0\nTag: {self.tag}\n".encode(),
                f"{info}/RECORD": b"",
                f"{self.project}.py": _padding(LARGE_BYTES if self.large else 1200),
            }.items():
                archive.writestr(zipfile.ZipInfo(name), content)
        return made.getvalue()

    @property
    def tag(self) -> str:
        """The tag in its name."""
        return "-".join(self.filename.removesuffix(".whl").split("-")[2:])

    def write(self, folder: Path) -> tuple[str, int]:
        """Write it into a folder; return its hash and size."""
        content = self.content
        (folder / self.filename).write_bytes(content)
        return hashlib.sha256(content).hexdigest(), len(content)


# Files by project.
Projects = dict[str, list[Sample]]


@cache
def _padding(size: int) -> bytes:
    return bytes(size)


def files_of(project: str, count: int) -> Iterator[Sample]:
    """Return that many files of a project."""
    for number in range(count):
        version, python = f"1.{number // len(PYTHONS)}", PYTHONS[number % len(PYTHONS)]
        tag = f"cp3{python}-cp3{python}-linux_armv7l"
        yield Sample(project, version, f"{project}-{version}-{tag}.whl")


def projects() -> Projects:
    """Return what a server is given first."""
    small = {f"sample{number:03}": list(files_of(f"sample{number:03}", FILES)) for number in range(PROJECTS)}
    large = Sample("large", "1.0", "large-1.0-cp313-cp313-linux_armv7l.whl", large=True)
    return {**small, "big": list(files_of("big", BIG)), "large": [large]}


def huge() -> list[Sample]:
    """Return the files of the largest project."""
    return list(files_of("huge", HUGE))


def names() -> list[str]:
    """Return the names of a longer list of projects."""
    return [f"name{number:05}" for number in range(NAMES)]
