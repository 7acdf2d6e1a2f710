"""Which waiting build goes first: one number, made of named parts, each with a sentence for people.

    rank            who or what wants it: the class of the build
    depth           the newest version of each package before the second newest of any: everybody's fair share
    demand          what is downloaded, or looked for in vain
    dependents      what other packages need
    length          what is quickly built

The class cannot be outweighed by anything below it, nor the depth by the three that follow, which are added:
a doubling of the demand is worth 30 points, one of the dependents 17, one of the length 11.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum
from math import log2


class Rank(IntEnum):
    """The class of a build, the higher the sooner; the gap is for those that an operator has raised."""

    PRERELEASE = 1
    HISTORY = 2
    CAMPAIGN = 3
    NEWEST = 4
    RELEASE = 5
    PERSON = 11
    OPERATOR = 12


# An operator can raise each of these as a whole: above all others of them, below what was asked for by name.
RAISABLE = (Rank.PRERELEASE, Rank.HISTORY, Rank.CAMPAIGN, Rank.NEWEST, Rank.RELEASE)
_RAISED = len(RAISABLE)

_SAID = {
    Rank.PRERELEASE: "It is a pre-release.",
    Rank.HISTORY: "It is an older version.",
    Rank.CAMPAIGN: "A campaign wants it.",
    Rank.NEWEST: "It is the newest version.",
    Rank.RELEASE: "It is a new release.",
    Rank.PERSON: "Somebody asked for this version.",
    Rank.OPERATOR: "An operator wants it first.",
}

# How much of the number a class has, and in it a place in the row of a package's versions.
CLASS = 1_000_000
_PLACE = 1000
_DEEPEST = CLASS // _PLACE

# What is longer than this goes to half of a target's builders at the most while anything shorter waits.
LONG_S = 900.0


@dataclass(frozen=True)
class Facts:
    """What decides where a build stands."""

    rank: Rank
    depth: int  # 1 for the newest version of its package, or the newest of its pre-releases
    downloads: int = 0  # in the last 30 days
    misses: int = 0  # how often it was looked for in that time while there was nothing
    dependents: int = 0  # packages with wheels that need it
    expected_s: float | None = None  # None: it was never built


@dataclass(frozen=True)
class Part:
    """One part of a priority: its name, its share of the number, and what it says."""

    name: str
    points: int
    said: str


@dataclass(frozen=True)
class Place:
    """Where a build stands in the queue, as its row has it."""

    priority: int
    why: str
    expected_s: float | None
    is_long: bool


# What fits the row; a note of an operator's may be as long as it likes.
_LONGEST_WHY = 300


def place(facts: Facts, raised: Collection[Rank] = (), note: str = "") -> Place:
    """Return where a build stands; a note says more of why it is wanted."""
    found = parts(facts, raised)
    points = sum(part.points for part in found)
    why = " ".join(text for text in (note, *(part.said for part in found)) if text)
    return Place(points, why[:_LONGEST_WHY], facts.expected_s, is_long(facts.expected_s))


def parts(facts: Facts, raised: Collection[Rank] = ()) -> list[Part]:
    """Return what a priority is made of, what counts most first; `raised` are the classes that are."""
    wanted = facts.downloads + facts.misses
    return [
        Part("rank", level(facts.rank, raised) * CLASS, _say_rank(facts.rank, raised)),
        Part("depth", (_DEEPEST - min(facts.depth, _DEEPEST)) * _PLACE, _say_depth(facts)),
        Part("demand", wanted_points(wanted), _say_demand(facts)),
        Part(
            "dependents",
            dependents_points(facts.dependents),
            f"{_packages(facts.dependents)} it." if facts.dependents else "",
        ),
        Part("length", _shortness(facts.expected_s), _say_length(facts.expected_s)),
    ]


def level(rank: Rank, raised: Collection[Rank] = ()) -> int:
    """Return where a class stands among all classes."""
    return rank + _RAISED if rank in raised and rank in RAISABLE else int(rank)


def span(rank: Rank, raised: Collection[Rank] = ()) -> range:
    """Return the priorities that builds of a class have."""
    start = level(rank, raised) * CLASS
    return range(start, start + CLASS)


def class_of(priority: int) -> tuple[Rank, bool]:
    """Return the class that a priority belongs to, and whether an operator has raised it."""
    found = priority // CLASS
    is_raised = _RAISED < found < Rank.PERSON
    return Rank(min(max(found - _RAISED * is_raised, Rank.PRERELEASE), Rank.OPERATOR)), is_raised


def neighbourhood(priority: int) -> int:
    """Return what builds have in common that differ in no more than demand, dependents and length."""
    return priority // _PLACE


def is_long(expected_s: float | None) -> bool:
    """Tell whether a build is one that others should not all have to wait for."""
    return expected_s is not None and expected_s > LONG_S


def wanted_points(count: int) -> int:
    """Return what it is worth to be downloaded, or looked for in vain, so often."""
    return _logarithmic(count, each=30, most=599)


def dependents_points(count: int) -> int:
    """Return what it is worth to be needed by so many."""
    return _logarithmic(count, each=17, most=299)


def _logarithmic(count: int, *, each: int, most: int) -> int:
    """Return so many points for each doubling: twice as much is the same head start, be it little or much."""
    return min(most, int(each * log2(1 + max(count, 0))))


def _shortness(expected_s: float | None) -> int:
    """Return 99 points for ten seconds and less, 11 fewer for each doubling, half where nobody knows."""
    if expected_s is None:
        return 49
    return max(0, 99 - int(11 * log2(max(expected_s, 10) / 10)))


def _say_rank(rank: Rank, raised: Collection[Rank]) -> str:
    return f"{_SAID[rank]} An operator has raised all of these." if rank in raised else _SAID[rank]


def _say_depth(facts: Facts) -> str:
    """Say how many of the package's own builds go before."""
    newer = facts.depth - 1
    if newer < 1:
        return ""
    versions = "version of it comes" if newer == 1 else "versions of it come"
    return f"{newer:,} newer {versions} first."


def _say_demand(facts: Facts) -> str:
    """Say how much it is wanted."""
    counted = [
        f"{facts.downloads:,} downloads" if facts.downloads else "",
        f"{facts.misses:,} in vain" if facts.misses else "",
    ]
    found = ", ".join(each for each in counted if each)
    return f"Wanted in 30 days: {found}." if found else ""


def _packages(count: int) -> str:
    return "1 package needs" if count == 1 else f"{count:,} packages need"


def _say_length(expected_s: float | None) -> str:
    """Say how long it took before."""
    if expected_s is None:
        return ""
    if expected_s < 90:
        return f"It takes about {max(expected_s, 1):.0f} s."
    return f"It takes about {expected_s / 60:.0f} min."
