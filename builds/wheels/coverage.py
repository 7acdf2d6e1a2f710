"""Does this wheel already serve that target?

Decided from tags, Requires-Python and what the machine code asks of the system, never from the text of names.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag

from builder.elf import version_key


@dataclass(frozen=True)
class Offer:
    """What there is: a file's tags, the Pythons it admits, and what its machine code needs."""

    tags: frozenset[Tag]
    requires_python: str
    os_release: str  # that it was built on
    is_portable: bool = False  # needs nothing of the system but the C and C++ libraries
    glibc: str = ""  # the least C library; "" when it needs none in particular
    glibcxx: str = ""


@dataclass(frozen=True)
class Need:
    """What is wanted: the tags that a target's pip takes, its Python, and what its system has."""

    supported: frozenset[Tag]
    python: str
    os_release: str
    glibc: str = ""  # "" when nobody knows it
    glibcxx: str = ""


def covers(offer: Offer, need: Need) -> bool:
    """Tell whether a target's pip would take the file, and whether it would run there."""
    return _is_taken(offer, need) and (
        any(tag.platform == "any" for tag in offer.tags & need.supported) or _runs(offer, need)
    )


def _is_taken(offer: Offer, need: Need) -> bool:
    """Tell whether a target's pip would take the file, which asks nothing of the system."""
    return not offer.tags.isdisjoint(need.supported) and admits(offer.requires_python, need.python)


def _runs(offer: Offer, need: Need) -> bool:
    """Tell whether machine code runs on a system of the architecture that it is for.

    `linux_*` tags say nothing of the system.  On the release that it was built on it runs; on another one, if
    it needs nothing but the C and C++ libraries and those are new enough, as they never lose a symbol.
    """
    if offer.os_release == need.os_release:
        return True
    return (
        offer.is_portable
        and version_key(offer.glibc) <= version_key(need.glibc)
        and version_key(offer.glibcxx) <= version_key(need.glibcxx)
    )


def replaces(offer: Offer, earlier: Offer, needs: Iterable[Need]) -> bool:
    """Tell whether a file serves every machine of these targets that an earlier one serves."""
    return all(
        covers(offer, need) and _machines(earlier, need) <= _machines(offer, need)
        for need in needs
        if covers(earlier, need)
    )


def is_harmless(offer: Offer, earlier: Offer, needs: Iterable[Need]) -> bool:
    """Tell whether a file runs wherever an earlier one does, on those of these targets whose pips take it."""
    return all(covers(offer, need) for need in needs if _is_taken(offer, need) and covers(earlier, need))


def _machines(offer: Offer, need: Need) -> set[str]:
    """Return the platforms of a target whose pips take a file: of armhf, those of a Pi Zero and of a Pi 2."""
    taken = {tag.platform for tag in offer.tags & need.supported}
    return {tag.platform for tag in need.supported} - {"any"} if "any" in taken else taken


def is_pure(tags: frozenset[Tag]) -> bool:
    """Tell whether a wheel's name says that it runs on any platform."""
    return all(tag.platform == "any" for tag in tags)


@lru_cache(maxsize=4096)
def admits(requires_python: str, python: str) -> bool:
    """Tell whether a Requires-Python admits a Python such as 3.13.

    A bound on the third number admits it if any of its micro releases would do.  What cannot be parsed
    counts as absent, as in pip.
    """
    try:
        wanted = SpecifierSet(requires_python)
    except InvalidSpecifier:
        return True
    # A bound such as >=3.11.4 or <3.13.1 names a micro release, so one low and one high are asked.
    return any(wanted.contains(f"{python}.{micro}", prereleases=True) for micro in (0, 5, 99))
