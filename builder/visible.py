"""Which of the system's libraries a trial shows: those of the wheel's apt packages, and what Python needs.

A builder has hundreds of libraries that a user's system has not.  With all of them in sight, a wheel that
loads one without saying so seems to work.
"""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Collection, Iterable
from functools import lru_cache
from pathlib import Path

from builder.elf import BadElf, Budget, read_elf

# Where the system's own folder of libraries is inside, when a chosen few stand in its place.
ALL = Path("/run/libraries")
# Debian has these everywhere (Priority: required), whatever a wheel says.
_ALWAYS = ("libc6", "libgcc-s1")
_LIST_S = 60.0


def folder_of_libraries() -> Path | None:
    """Return the system's folder of shared libraries, if there is one for each architecture, as in Debian."""
    path = Path("/usr/lib", str(sysconfig.get_config_var("MULTIARCH") or "none"))
    return path if path.is_dir() else None


def show(apt: Collection[str], others: Collection[str], folder: Path) -> Path | None:
    """Fill a folder with links to the libraries that a user has after installing these packages; return it.

    `others` are libraries that shall be in sight whatever brings them.  Returns None where that cannot be
    told: on a system that is not Debian's.
    """
    libraries = folder_of_libraries()
    owned = _owned({*_ALWAYS, *(package.partition(" ")[0] for package in apt)})
    if libraries is None or not owned:
        return None
    present = {path.name for path in libraries.iterdir()}
    wanted = with_needed((owned | set(others)) & present, libraries) | _of_python(libraries)
    for name in present:
        # What is no library stays: folders of plugins, object files for compilers, data.
        if ".so" not in name or name in wanted or (libraries / name).is_dir():
            (folder / name).symlink_to(ALL / name)
    return folder


def needed_by(files: Iterable[Path], budget: Budget | None = None) -> set[str]:
    """Return the libraries that these files ask for.

    They may be strangers' files, so all of them share a budget; what is left when it is spent asks for none.
    """
    budget = budget or Budget()
    return {name for path in files for name in _needed(path, budget)}


def with_needed(names: Iterable[str], folder: Path) -> set[str]:
    """Return these libraries, and those in the same folder that they need in turn."""
    found: set[str] = set()
    left = set(names)
    while left:
        name = left.pop()
        if name in found or not (folder / name).is_file():
            continue
        found.add(name)
        target = (folder / name).resolve()
        if target.parent == folder.resolve():
            left.add(target.name)
        left |= set(_needed(target))
    return found


@lru_cache(maxsize=1)
def _of_python(libraries: Path) -> set[str]:
    """Return the libraries that this Python and its own modules need."""
    home = Path(sys.base_prefix)
    python = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    modules = home.glob(f"lib/python{sysconfig.get_python_version()}/lib-dynload/*.so")
    needed = {name for path in (python, *modules) for name in _needed(path)}
    # The loader itself is named by the program, not as a library.
    return with_needed({*needed, *(path.name for path in libraries.glob("ld-linux*"))}, libraries)


def _needed(path: Path, budget: Budget | None = None) -> tuple[str, ...]:
    """Return the libraries that a program or library asks for; one of the system has a budget of its own."""
    try:
        with path.open("rb") as file:
            return read_elf(file, budget).needed
    except (BadElf, OSError):
        # Some are scripts for the linker.
        return ()


def _owned(packages: Collection[str]) -> set[str]:
    """Return the names of the libraries of these packages; nothing where dpkg does not answer."""
    try:
        listed = subprocess.run(
            ["dpkg-query", "--listfiles", *sorted(packages)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LIST_S,
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return set()
    return {line.rpartition("/")[2] for line in listed.stdout.splitlines() if ".so" in line}
