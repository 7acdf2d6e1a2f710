"""What of ours a sandbox sees, read-only: pip, and the programs of this package that run inside."""

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

# What our own programs import; nothing else of the builder's environment gets inside.
_PACKAGES = ("pip", "builder", "elftools", "packaging")
_INSIDE = Path("/run/piwheels")
# Where builds find the programs that they call.
PATH = "/usr/local/bin:/usr/bin:/bin"


class Inside(Protocol):
    """A sandbox, as far as it knows where things are in it."""

    def inside(self, path: Path) -> Path:
        """Return where one of our paths is inside."""


def readable() -> dict[Path, Path]:
    """Return where each of our packages is, and where it is inside a sandbox."""
    return {_folder(name): _INSIDE / name for name in _PACKAGES}


def python() -> str:
    """Return the target's interpreter without the builder's own environment around it."""
    base: str = getattr(sys, "_base_executable", sys.executable)
    return base


def pip(box: Inside) -> list[str]:
    """Return the command that runs our pip, newer than the system's, with the target's interpreter."""
    return [python(), "-P", str(box.inside(_folder("pip")))]


def program(box: Inside, name: str, *arguments: str) -> list[str]:
    """Return the command that runs one of our own programs, as `builder.inspection`."""
    # -S: what they import is on PYTHONPATH, and the system's own packages only take time.
    return [python(), "-P", "-s", "-S", "-m", name, *arguments]


def environment(box: Inside, base: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with which our own programs find what they import."""
    places: Sequence[str] = sorted({str(box.inside(_folder(name)).parent) for name in _PACKAGES})
    return {**base, "PYTHONPATH": os.pathsep.join(places)}


def _folder(name: str) -> Path:
    """Return the folder of an installed package."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{name} is not installed: install the builder's extra again.")
    return Path(spec.origin).parent
