"""Does upstream already serve that target with wheels of its own?

A target is all of its machines: `armhf` has those of a Pi 1 (armv6l), for which no manylinux wheel is, and of
a Pi 2 (armv7l).  What upstream has serves the target only if it serves each of them.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from packaging.tags import Tag, compatible_tags, cpython_tags, parse_tag

from builder.elf import version_key
from builds.wheels.coverage import admits
from packages.project import MAX_TAGS

# The oldest glibc that a manylinux tag can name (as of packaging), and the older names of three of them.
_OLDEST = {"x86_64": 5, "i686": 5}
_OLDEST_ELSEWHERE = 17
_NAMES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}

# What pip takes manylinux wheels on (as of packaging); elsewhere, as on armv6l, it takes none.
_MACHINES = {
    *("x86_64", "i686", "aarch64", "armv7l", "ppc64", "ppc64le", "s390x", "loongarch64", "riscv64"),
}


@dataclass(frozen=True)
class UpstreamWheel:
    """A wheel that upstream offers."""

    filename: str
    requires_python: str


def serving(wheels: Iterable[UpstreamWheel], machines: Sequence[frozenset[Tag]], python: str) -> list[str]:
    """Return upstream's files that serve each of these machines, the first for each; none unless all are.

    pip takes a wheel for a glibc that the machine has, so it runs there, too: that is what manylinux means.
    """
    usable = [
        (wheel.filename, tags)
        for wheel in wheels
        if (tags := tags_of(wheel.filename)) and admits(wheel.requires_python, python)
    ]
    found = [
        next((name for name, tags in usable if not tags.isdisjoint(machine)), None) for machine in machines
    ]
    names = [name for name in found if name is not None]
    return sorted(set(names)) if machines and len(names) == len(machines) else []


def tags_of(filename: str) -> frozenset[Tag]:
    """Return the tags in a wheel's name; none for a name that no installer of today reads."""
    parts = filename.removesuffix(".whl").split("-")
    # Name, version, perhaps a build number, and three tags (PEP 427).
    if not filename.endswith(".whl") or len(parts) not in (5, 6):
        return frozenset()
    return _tags("-".join(parts[-3:]))


@lru_cache(maxsize=4096)
def _tags(text: str) -> frozenset[Tag]:
    """Return the tags of such a text; the same few hundred are in most names."""
    try:
        return parse_tag(text, limit=MAX_TAGS)
    except ValueError:
        return frozenset()


@cache
def machines(python: str, abi: str, platforms: tuple[str, ...], glibc: str) -> tuple[frozenset[Tag], ...]:
    """Return the tags that pip takes from upstream on each of a target's machines.

    `linux_*` is not among them: it says nothing of the system, so nobody knows whether such a wheel runs.
    """
    major, minor = (int(part) for part in python.split("."))
    return tuple(
        frozenset(cpython_tags((major, minor), [abi], names))
        | frozenset(compatible_tags((major, minor), f"cp{major}{minor}", names))
        for names in (manylinux(platform, glibc) for platform in platforms)
    )


def manylinux(platform: str, glibc: str) -> list[str]:
    """Return the manylinux tags that pip takes on a platform with that C library, if it is known."""
    machine = platform.removeprefix("linux_")
    if machine not in _MACHINES or not re.match(r"2\.\d", glibc):
        # For an empty list, packaging would take that of this server.
        return ["no_manylinux"]
    newest, oldest = version_key(glibc)[1], _OLDEST.get(machine, _OLDEST_ELSEWHERE)
    found = []
    for minor in range(newest, oldest - 1, -1):
        found.append(f"manylinux_2_{minor}_{machine}")
        if minor in _NAMES:
            found.append(f"{_NAMES[minor]}_{machine}")
    return found
