"""What else a wheel of theirs needs, as their builder found it (no Django)."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from builds import debian

# As linkers name libraries.
_LIBRARY = re.compile(r"[A-Za-z0-9_.+-]{1,200}")

APT, LIBRARY = "apt", "lib"
Need = tuple[str, str, str]


def sorted_out(needs: Sequence[tuple[str, str]]) -> tuple[list[Need], list[tuple[str, str]]]:
    """Return what is needed, as our rows have it, and what of it cannot be needed by anybody.

    What has no tool there is the path of a library that no package has.
    """
    good, bad = set(), []
    for tool, name in needs:
        if tool == "apt" and debian.is_package(name):
            good.add((APT, name, name))
        elif tool == "" and _LIBRARY.fullmatch(library := PurePosixPath(name).name):
            good.add((LIBRARY, library, ""))
        else:
            bad.append((tool, name))
    return sorted(good), bad
