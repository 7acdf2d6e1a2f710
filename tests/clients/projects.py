"""Clients that work in a project: a file says what it needs and where from, and a lock lies beside it."""

from abc import abstractmethod
from datetime import UTC, datetime
from pathlib import Path

from tests.clients.installers import (
    CLIENTS,
    PIPS,
    TRIXIE,
    UV_PIP,
    Client,
    Sources,
    environment,
    fetched,
    run_uv,
)
from tests.clients.place import Place

_PROJECT = """[project]
name = "place"
version = "0"
requires-python = ">=3.13,<3.14"
dependencies = [{wanted}]
"""


class ProjectClient(Client):
    """A client that reads a project's file and writes a lock; what it installs, it locks before."""

    FILE = "pyproject.toml"
    LOCK: str

    def fetch(self) -> str:
        return environment(self.name)

    def install(self, place: Place, wanted: str, sources: Sources, *, before: datetime | None = None) -> str:
        self._describe(place, wanted.split(), sources)
        return self._lock(place, before) + self._sync(place)

    def lock(self, place: Place, wanted: str, sources: Sources) -> str:
        self._describe(place, wanted.split(), sources)
        self._lock(place, None)
        return (place.folder / self.LOCK).read_text()

    def install_locked(self, place: Place, sources: Sources) -> str:
        """Install what is locked, also where an index stands beside that was not there then."""
        before = (place.folder / self.FILE).read_text()
        wanted = (place.folder / "wanted").read_text().split()
        self._describe(place, wanted, sources)
        if (place.folder / self.FILE).read_text() != before:
            self._accept(place)
        return self._sync(place)

    def _describe(self, place: Place, wanted: list[str], sources: Sources) -> None:
        """Write the project's file."""
        place.write("wanted", " ".join(wanted))
        place.write(self.FILE, self.described(wanted, sources))

    @abstractmethod
    def described(self, wanted: list[str], sources: Sources) -> str:
        """Return the project's file."""

    @abstractmethod
    def _lock(self, place: Place, before: datetime | None) -> str:
        """Write the lock."""

    @abstractmethod
    def _accept(self, place: Place) -> None:
        """Have the lock stand for the changed file, with all that it holds."""

    @abstractmethod
    def _sync(self, place: Place) -> str:
        """Install what is locked."""

    def _run(self, place: Place, *arguments: str | Path, **settings: str) -> str:
        return place.run(CLIENTS / self.name / "bin" / self.name, *arguments, **settings)


def project(wanted: list[str]) -> str:
    """Return what the file of every project says."""
    return _PROJECT.format(wanted=", ".join(f'"{each}"' for each in wanted))


class UvProject(ProjectClient):
    """uv in a project, with uv.lock, which holds for all platforms."""

    LOCK = "uv.lock"

    def described(self, wanted: list[str], sources: Sources) -> str:
        beside = f'[[tool.uv.index]]\nname = "ours"\nurl = "{sources.beside}"\n' if sources.beside else ""
        main = f'[[tool.uv.index]]\nname = "main"\nurl = "{sources.main}"\ndefault = true\n'
        return f"{project(wanted)}[tool.uv]\npackage = false\n{beside}{main}"

    def _lock(self, place: Place, before: datetime | None) -> str:
        cutoff = ["--exclude-newer", before.isoformat()] if before else []
        return run_uv(place, "lock", "--python", place.python, *cutoff)

    def _accept(self, place: Place) -> None:
        """Do nothing: with --frozen the lock alone decides."""

    def _sync(self, place: Place) -> str:
        return run_uv(place, "sync", "--frozen", "--python", place.python)


class Poetry(ProjectClient):
    """poetry, with us as a supplemental source, or as the only one."""

    LOCK = "poetry.lock"

    def described(self, wanted: list[str], sources: Sources) -> str:
        text = f"{project(wanted)}[tool.poetry]\npackage-mode = false\n"
        for name, url, priority in [
            ("main", sources.main, "primary"),
            ("ours", sources.beside, "supplemental"),
        ]:
            if url:
                text += f'[[tool.poetry.source]]\nname = "{name}"\nurl = "{url}"\npriority = "{priority}"\n'
        return text

    def _lock(self, place: Place, before: datetime | None) -> str:
        age = {"POETRY_SOLVER_MIN_RELEASE_AGE": str((datetime.now(UTC) - before).days)} if before else {}
        return self._poetry(place, "lock", **age)

    def _accept(self, place: Place) -> None:
        self._poetry(place, "lock")

    def _sync(self, place: Place) -> str:
        return self._poetry(place, "install", "--no-root")

    def _poetry(self, place: Place, *arguments: str, **settings: str) -> str:
        quiet = {"POETRY_KEYRING_ENABLED": "false", "POETRY_VIRTUALENVS_IN_PROJECT": "true"}
        return self._run(place, *arguments, "--no-interaction", **quiet, **settings)


class Pdm(ProjectClient):
    """pdm, which takes the best of all of its sources."""

    LOCK = "pdm.lock"

    def fetch(self) -> str:
        # pdm 2.29 takes every hishel, and 2.0 of it renamed what pdm calls.
        return environment(self.name, "hishel<2")

    def described(self, wanted: list[str], sources: Sources) -> str:
        text = f"{project(wanted)}[tool.pdm]\ndistribution = false\n"
        # The name "pypi" takes the place of the real one.
        for name, url in [("pypi", sources.main), ("ours", sources.beside)]:
            text += f'[[tool.pdm.source]]\nname = "{name}"\nurl = "{url}"\n' if url else ""
        return text

    def _lock(self, place: Place, before: datetime | None) -> str:
        place.write(".pdm-python", f"{place.python}\n")
        cutoff = ["--exclude-newer", before.strftime("%Y-%m-%dT%H:%M:%SZ")] if before else []
        return self._pdm(place, "lock", *cutoff)

    def _accept(self, place: Place) -> None:
        self._pdm(place, "lock", "--refresh")

    def _sync(self, place: Place) -> str:
        return self._pdm(place, "sync", "--no-self")

    def _pdm(self, place: Place, *arguments: str) -> str:
        return self._run(place, *arguments, "-v", PDM_CHECK_UPDATE="0")


class Pipenv(ProjectClient):
    """pipenv, which has each package from one of its sources: from us, if we are one of them."""

    FILE = "Pipfile"
    LOCK = "Pipfile.lock"

    def described(self, wanted: list[str], sources: Sources) -> str:
        text = ""
        for name, url in [("main", sources.main), ("ours", sources.beside)]:
            text += f'[[source]]\nname = "{name}"\nurl = "{url}"\nverify_ssl = false\n' if url else ""
        text += "[packages]\n"
        for each in wanted:
            name, is_pinned, number = each.partition("==")
            index = ', index = "ours"' if name in sources.from_beside else ""
            text += f'{name} = {{version = "{"==" + number if is_pinned else "*"}"{index}}}\n'
        return text

    def _lock(self, place: Place, before: datetime | None) -> str:
        return self._pipenv(place, "lock")

    def _accept(self, place: Place) -> None:
        self._pipenv(place, "lock")

    def _sync(self, place: Place) -> str:
        return self._pipenv(place, "sync")

    def _pipenv(self, place: Place, *arguments: str) -> str:
        settings = {"PIPENV_VENV_IN_PROJECT": "1", "PIPENV_IGNORE_VIRTUALENVS": "1", "PIPENV_NOSPIN": "1"}
        return self._run(place, *arguments, **settings, PIP_CONFIG_FILE="/dev/null")


ALL: tuple[Client, ...] = (
    *PIPS,
    UV_PIP,
    UvProject("uv", TRIXIE),
    Poetry("poetry", TRIXIE),
    Pdm("pdm", TRIXIE),
    Pipenv("pipenv", TRIXIE),
)
__all__ = ["ALL", "fetched"]
