"""Reads what a source asks for in its pyproject.toml: a program that runs inside the sandbox.

    python -P -m builder.asked /build/source

prints a line for each requirement that names a package alone.  A file can be made so that tomllib takes
gigabytes or minutes for it, which is what the limits of a run are for.
"""

import os
import stat
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

from builder import exits

_LARGEST = 1 << 20


def asked(folder: Path) -> Iterator[str]:
    """Yield what a source asks for to be built, of those requirements that name a package alone."""
    try:
        descriptor = os.open(folder / "pyproject.toml", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return
            requires = tomllib.loads(file.read(_LARGEST).decode()).get("build-system", {}).get("requires", [])
    except (OSError, ValueError, AttributeError, RecursionError):
        return
    for text in requires if isinstance(requires, list) else []:
        try:
            requirement = Requirement(text)
            is_meant = not requirement.url and (requirement.marker is None or requirement.marker.evaluate())
        # packaging's own errors are some of these: a marker can be well formed and compare what cannot be.
        except (ValueError, LookupError, TypeError, RecursionError):
            continue
        if is_meant:
            yield f"{requirement.name}{requirement.specifier}"


def main(arguments: list[str]) -> int:
    """Print what the source in a folder asks for."""
    try:
        sys.stdout.writelines(f"{each}\n" for each in asked(Path(arguments[0])))
    except MemoryError:
        return exits.MEMORY
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
