"""The phases of a build, by what its builder and pip write between them.  Needs no Django.

A build can print the same words, and then has more phases on its page; that is all.
"""

from dataclasses import dataclass

from builds.log_pages.lines import Lines

# What the first line of each phase begins with, and what the phase is called.
_BEGINNINGS = [
    (b"[piwheels: fetching ", "Fetching the source"),
    (b"[piwheels: unpacking ", "Unpacking Debian packages"),
    (b"  Installing build dependencies: started", "Installing what the build needs"),
    (b"  Installing backend dependencies: started", "Installing what the backend asks for"),
    (b"  Getting requirements to build wheel: started", "Asking what the build needs"),
    (b"  Preparing metadata (", "Preparing the metadata"),
    (b"Building wheels for collected packages", "Building the wheel"),
    (b"[piwheels: that failed with the tools of rung ", "Trying again with other tools"),
    (b"Successfully built ", "Looking at what came out"),
]
# A build that repeats itself for ever has no more phases than this of each kind, and in all.
_MOST_OF_A_KIND, _MOST = 20, 40


@dataclass(frozen=True)
class Phase:
    """Some lines of a log that belong together."""

    title: str
    first: int
    last: int

    @property
    def count(self) -> int:
        """How many lines it has."""
        return self.last - self.first + 1


def phases(lines: Lines) -> list[Phase]:
    """Return the phases of a log, which together are all of it."""
    begun = {
        place: title for literal, title in _BEGINNINGS for place in lines.places(literal, _MOST_OF_A_KIND)
    }
    starts = [(lines.number_at(place), begun[place]) for place in sorted(begun)[:_MOST]]
    starts = [
        start for before, start in zip([("", ""), *starts], starts, strict=False) if start[1] != before[1]
    ]
    if not lines.count:
        return []
    if not starts or starts[0][0] > 1:
        starts.insert(0, (1, "Beginning" if starts else "Log"))
    ends = [first - 1 for first, _ in starts[1:]] + [lines.count]
    return [Phase(title, first, last) for (first, title), last in zip(starts, ends, strict=True)]
