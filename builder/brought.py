"""Finds what the libraries need that a wheel's dependencies brought: a program that runs inside the sandbox.

    python -P -m builder.brought /in/tiny-1.0-py3-none-any.whl /home/build/site

prints a line for each library that they ask for; what the wheel's own need is not asked here.  Where they
were installed, strangers' code may have run before: what it left as a trap is in nobody's way but a run's.
"""

import re
import sys
import zipfile
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path

from builder import visible

_MOST = 1000
_NAME = re.compile(r"[A-Za-z0-9_.+-]{1,200}")


def libraries(site: Path, members: Collection[str]) -> Iterator[Path]:
    """Yield the libraries that were installed into a folder and are none of these members of a wheel."""
    found = (path for path in site.rglob("*.so*") if str(path.relative_to(site)) not in members)
    return islice((path for path in found if path.is_file() and not path.is_symlink()), _MOST)


def main(arguments: list[str]) -> int:
    """Print what the libraries in a folder need, without those of a wheel."""
    with zipfile.ZipFile(arguments[0]) as archive:
        members = frozenset(archive.namelist())
    needed = visible.needed_by(libraries(Path(arguments[1]), members))
    sys.stdout.writelines(f"{name}\n" for name in sorted(needed) if _NAME.fullmatch(name))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
