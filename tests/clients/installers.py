"""The clients, each with the same verbs: install, lock, and install what is locked.

Here are pip and uv as pip is used; `projects` has those that work in a project.  Each is installed from PyPI
into var/clients, once where its version is told, else the newest at each run.
"""

import os
import subprocess
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from packaging.version import Version

from deploy.farm import ROOT
from tests.clients.place import Place, find_python

CLIENTS = ROOT / "var" / "clients"
UV = Path(sys.executable).with_name("uv")
NEWEST = "newest"
TRIXIE = "3.13"


@dataclass(frozen=True)
class Sources:
    """The indexes that a client is told of: its main one, and perhaps another beside it."""

    main: str
    beside: str = ""
    # What a client is told to have from the one beside, if it wants to be told.
    from_beside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Otherwise:
    """What a client does in place of what a test says is true."""

    reason: str
    # A pattern for what the test fails of, which the client or the assertion says.
    seen: str


class Client(ABC):
    """A client as people use it, for a Python of this minor version."""

    def __init__(self, name: str, minor: str) -> None:
        self.name = name
        self.minor = minor

    @abstractmethod
    def fetch(self) -> str:
        """Install the client itself from PyPI, and return its version."""

    @abstractmethod
    def install(self, place: Place, wanted: str, sources: Sources, *, before: datetime | None = None) -> str:
        """Install requirements, perhaps only of what was uploaded `before` a time; return what it says."""

    def resume(self, place: Place, wanted: str, sources: Sources) -> str:
        """Install as one does where connections break."""
        return self.install(place, wanted, sources)

    @abstractmethod
    def lock(self, place: Place, wanted: str, sources: Sources) -> str:
        """Write a lock file with hashes, and return its text; install nothing."""

    @abstractmethod
    def install_locked(self, place: Place, sources: Sources) -> str:
        """Install what is locked."""

    def check(self, place: Place) -> str:
        """Have it said whether all fits that is installed; by uv, if the client says nothing of that."""
        return run_uv(place, "pip", "check", "--python", place.python)


class Pip(Client):
    """pip, of one version; what it installs from hashes was locked with uv, as pip itself locks nothing."""

    def __init__(self, version: str, minor: str) -> None:
        super().__init__(f"pip {version}", minor)
        self.version = version
        self._folder = CLIENTS / f"pip-{version}"

    def wheel(self) -> Path:
        """Return pip itself as the file that PyPI has of it."""
        fetched(self)
        folder = CLIENTS / "files"
        words = [str(find_python(self.minor)), "-m", "pip", "download", "--quiet", "--no-deps"]
        env = {**os.environ, "PYTHONPATH": str(self._folder)}
        subprocess.run([*words, "--dest", folder, "pip"], env=env, check=True)
        return max(folder.glob("pip-*.whl"), key=lambda path: Version(path.name.split("-")[1]))

    def fetch(self) -> str:
        """Unpack pip into a folder of its own, from where it serves any environment."""
        if self.version == NEWEST or not self._folder.exists():
            named = "pip" if self.version == NEWEST else f"pip=={self.version}"
            _uv_pip("install", "--upgrade", "--no-deps", "--target", str(self._folder), named)
        return next(self._folder.glob("pip-*.dist-info")).name.removesuffix(".dist-info").split("-")[1]

    def pip(self, place: Place, *arguments: str | Path) -> str:
        """Run pip for the environment."""
        settings = {"PIP_CONFIG_FILE": "/dev/null", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        return place.run(place.python, "-m", "pip", *arguments, PYTHONPATH=str(self._folder), **settings)

    def install(self, place: Place, wanted: str, sources: Sources, *, before: datetime | None = None) -> str:
        cutoff = ["--uploaded-prior-to", before.isoformat()] if before else []
        return self.pip(place, "install", *wanted.split(), *cutoff, *self._indexes(sources))

    def resume(self, place: Place, wanted: str, sources: Sources) -> str:
        return self.pip(place, "install", wanted, "--resume-retries", "3", *self._indexes(sources))

    def lock(self, place: Place, wanted: str, sources: Sources) -> str:
        # pip knows no order of indexes.
        return _compile(place, wanted, sources, "--index-strategy", "unsafe-best-match")

    def install_locked(self, place: Place, sources: Sources) -> str:
        lock = place.folder / "requirements.txt"
        return self.pip(place, "install", "--require-hashes", "-r", lock, *self._indexes(sources))

    def check(self, place: Place) -> str:
        return self.pip(place, "check")

    @staticmethod
    def _indexes(sources: Sources) -> list[str]:
        beside = ["--extra-index-url", sources.beside] if sources.beside else []
        return ["--index-url", sources.main, *beside]


class UvPip(Client):
    """`uv pip`, which reads requirements as pip does, and asks the index beside first."""

    def fetch(self) -> str:
        return environment("uv")

    def install(self, place: Place, wanted: str, sources: Sources, *, before: datetime | None = None) -> str:
        cutoff = ["--exclude-newer", before.isoformat()] if before else []
        return self._install(place, *wanted.split(), *cutoff, *_uv_indexes(sources))

    def lock(self, place: Place, wanted: str, sources: Sources) -> str:
        return _compile(place, wanted, sources)

    def install_locked(self, place: Place, sources: Sources) -> str:
        lock = place.folder / "requirements.txt"
        return self._install(place, "--require-hashes", "-r", lock, *_uv_indexes(sources))

    @staticmethod
    def _install(place: Place, *arguments: str | Path) -> str:
        return run_uv(place, "pip", "install", *arguments, "--python", place.python)


def _compile(place: Place, wanted: str, sources: Sources, *how: str) -> str:
    """Write requirements.txt with the hashes of all files that the versions have, and return its text."""
    named, lock = place.write("requirements.in", "\n".join(wanted.split())), place.folder / "requirements.txt"
    hashes = ["--generate-hashes", "--output-file", lock]
    run_uv(place, "pip", "compile", named, *hashes, "--python", place.python, *how, *_uv_indexes(sources))
    return lock.read_text()


def run_uv(place: Place, *arguments: str | Path) -> str:
    """Run uv, which knows the project's own settings alone."""
    fetched(UV_PIP)
    # uv remembers of an interpreter which platform it is.
    cache = str(place.folder / "home" / f"uv-{place.platform}")
    return place.run(CLIENTS / "uv/bin/uv", *arguments, UV_CACHE_DIR=cache, UV_PYTHON_DOWNLOADS="never")


def _uv_indexes(sources: Sources) -> list[str]:
    beside = ["--index", sources.beside] if sources.beside else []
    return ["--default-index", sources.main, *beside]


def environment(name: str, *constraints: str) -> str:
    """Have the newest release of a client in an environment of its own, and return its version."""
    home = CLIENTS / name
    python = home / "bin/python"
    if not python.exists():
        making = [UV, "venv", "--quiet", "--python", find_python(TRIXIE) or sys.executable, home]
        subprocess.run(making, check=True)
    _uv_pip("install", "--upgrade", "--python", str(python), name, *constraints)
    asking = [python, "-c", f"import importlib.metadata as m; print(m.version({name!r}))"]
    answer = subprocess.run(asking, capture_output=True, text=True, check=True)
    return str(answer.stdout).strip()


def _uv_pip(*arguments: str) -> None:
    """Install from PyPI, as this machine is set up to."""
    subprocess.run([UV, "pip", *arguments, "--quiet"], check=True)


@cache
def fetched(client: Client) -> str:
    """Have a client installed once a run, and return its version."""
    return client.fetch()


UV_PIP = UvPip("uv pip", TRIXIE)
# Each with the Python of the Raspberry Pi OS that had it, or of its time; Stretch had pip 9 and Python 3.5.
PIPS = (
    Pip("9.0.3", "3.6"),
    Pip("18.1", "3.7"),
    Pip("20.3.4", "3.9"),
    Pip("22.0.4", "3.9"),
    Pip("22.3.1", "3.10"),
    Pip("23.0.1", "3.11"),
    Pip("25.1.1", TRIXIE),
    Pip(NEWEST, TRIXIE),
)
# They know no yanks, and union indexes by rules of their own.
OLD = ("pip 9.0.3", "pip 18.1")


def before(version: str) -> list[str]:
    """Return the names of the pips that came before one."""
    return [pip.name for pip in PIPS if pip.version != NEWEST and Version(pip.version) < Version(version)]
