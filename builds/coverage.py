"""Does this wheel already serve that target?  Decided from tags and Requires-Python, never from names."""

from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag


@dataclass(frozen=True)
class Offer:
    """What there is: a file's tags, the Pythons it admits and the OS release it was built on."""

    tags: frozenset[Tag]
    requires_python: str
    os_release: str


@dataclass(frozen=True)
class Need:
    """What is wanted: the tags that a target's pip takes, its Python and its OS release."""

    supported: frozenset[Tag]
    python: str
    os_release: str


def covers(offer: Offer, need: Need) -> bool:
    """Tell whether a target's pip would take the file, and whether it would run there.

    `linux_*` tags say nothing of the C library, so a file with machine code counts only for the OS release
    that it was built on.
    """
    usable = offer.tags & need.supported
    if offer.os_release != need.os_release:
        usable = frozenset(tag for tag in usable if tag.platform == "any")
    return bool(usable) and admits(offer.requires_python, need.python)


def is_pure(tags: frozenset[Tag]) -> bool:
    """Tell whether a wheel's name says that it runs on any platform."""
    return all(tag.platform == "any" for tag in tags)


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
