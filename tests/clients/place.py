"""Where a client works in a test: a fresh environment of some Python, on some platform."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# What the clients would read of whoever runs the tests.
_OTHERS = re.compile(
    r"(PIP|PIPENV|UV|POETRY|PDM|PYTHON|VIRTUAL_ENV|CONDA|DJANGO|PIWHEELS|XDG)(_|PATH|\Z)", re.I
)
TIMEOUT_S = 180


class Failed(AssertionError):
    """A client ended with an error; the text is what it said."""


@cache
def find_python(minor: str) -> Path | None:
    """Return a Python of this minor version that is on this machine, pyenv's too; None if there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    found = [shutil.which(f"python{minor}"), *sorted(pyenv.glob(f"{minor}.*/bin/python{minor}"))]
    return next((Path(each) for each in found if each and _runs(each)), None)


def _runs(python: str | Path) -> bool:
    """Tell whether this is a Python, and not a stand-in for one that is not chosen."""
    return subprocess.run([python, "-c", "import venv"], capture_output=True, check=False).returncode == 0


@dataclass(frozen=True)
class Place:
    """A project's folder with an environment in `.venv`."""

    folder: Path
    platform: str  # as sysconfig.get_platform() has it; "" is this machine's own

    def make(self, empty: Path) -> None:
        """Make the folder, and in it a copy of an empty environment."""
        shutil.copytree(empty, self.folder / ".venv", symlinks=True)

    @property
    def python(self) -> Path:
        """The interpreter that packages are installed for."""
        return self.folder / ".venv/bin/python"

    @property
    def packages(self) -> Path:
        """The folder that packages are installed into."""
        return next(self.folder.glob(".venv/lib/python3.*/site-packages"))

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project."""
        path = self.folder / name
        path.write_text(text)
        return path

    def answer(self, name: str) -> int | None:
        """Return what tells an installed wheel from all others; None if the package is not there."""
        module = self.packages / f"{name.replace('-', '_')}.py"
        return int(module.read_text().splitlines()[0].removeprefix("ANSWER = ")) if module.exists() else None

    def version(self, name: str) -> str:
        """Return the version of an installed package."""
        [found] = self.packages.glob(f"{name.replace('-', '_')}-*.dist-info")
        return found.name.removesuffix(".dist-info").split("-")[1]

    def installed_at(self, name: str) -> int:
        """Return when a package was installed, for who wants to know whether it was again."""
        return next(self.packages.glob(f"{name.replace('-', '_')}-*.dist-info")).stat().st_ctime_ns

    def run(self, *command: str | Path, **settings: str) -> str:
        """Run a client that knows of nothing but this place; return what it says, or raise Failed with it."""
        kept = {name: value for name, value in os.environ.items() if not _OTHERS.match(name)}
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        platform = {"_PYTHON_HOST_PLATFORM": self.platform} if self.platform else {}
        done = subprocess.run(
            command,
            env={**kept, **platform, "HOME": str(home), "NO_PROXY": "*", "NO_COLOR": "1", **settings},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            raise Failed(
                f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout[-6000:]}"
            )
        return done.stdout
