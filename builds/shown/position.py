"""Where a waiting build stands among the others of its target, and when it may begin.

Counted as far as somebody wants to know it: nobody reads a page for hours, and a queue may have millions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from builds.models import Build, Builder, Size, TargetQueue

# Beyond this the number is only "more than".
COUNTED = 10_000


@dataclass(frozen=True)
class Position:
    """How many builds go before one, and when it may begin; as far as anybody can tell."""

    ahead: int
    is_all: bool  # False: there are more
    starts_in_s: float | None  # None: nobody can tell
    builders: int  # that could have it now

    def said(self) -> list[str]:
        """Return this as sentences for a person."""
        return [self._say_ahead(), self._say_builders() or self._say_start()]

    def _say_ahead(self) -> str:
        if not self.is_all:
            return f"More than {self.ahead:,} builds for its target are before it."
        if self.ahead == 0:
            return "It is the next for its target."
        builds = (
            "1 build for its target is" if self.ahead == 1 else f"{self.ahead:,} builds for its target are"
        )
        return f"About {builds} before it; new releases may overtake it."

    def _say_builders(self) -> str:
        return "" if self.builders else "No builder that could have it is at work."

    def _say_start(self) -> str:
        if self.starts_in_s is None:
            return "Nothing was built for its target in the last day, so nobody can tell when it begins."
        if not self.is_all:
            return f"At the pace of the last day it begins in more than {_length(self.starts_in_s)}."
        return f"At the pace of the last day it begins in about {_length(self.starts_in_s)}."


def _length(seconds: float) -> str:
    """Return a time as a person says it."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds" if seconds >= 2 else "a moment"


def of(build: Build, now: datetime) -> Position:
    """Return where a waiting build stands, by the pace that was counted last."""
    paces = TargetQueue.objects.filter(pk=build.target_id).values_list("per_hour", flat=True)
    return of_several([build], {build.target_id: paces.first() or 0.0}, now)[build.pk]


def of_several(builds: Sequence[Build], per_hour: Mapping[int, float], now: datetime) -> dict[int, Position]:
    """Return where builds stand of which it is known how many of their target end an hour, by two queries."""
    # One more than we count tells that there are more.
    counts = Build.objects.counts_before(builds, COUNTED + 1)
    could = Builder.objects.at_work(now).filter(target__in={build.target_id for build in builds})
    builders = list(could.values_list("target", "size"))
    return {
        build.pk: _position(
            build,
            ahead,
            per_hour.get(build.target_id, 0.0) / 3600,
            [size for target, size in builders if target == build.target_id],
            now,
        )
        for build, ahead in zip(builds, counts, strict=True)
    }


def _position(build: Build, ahead: int, pace: float, sizes: list[str], now: datetime) -> Position:
    """Return where a build stands that has so many before it, of which so many end a second."""
    waits_s = max(0.0, (build.not_before - now).total_seconds()) if build.not_before else 0.0
    return Position(
        ahead=min(ahead, COUNTED),
        is_all=ahead <= COUNTED,
        starts_in_s=max(waits_s, ahead / pace) if pace else None,
        builders=sum(build.size in Size(size).and_smaller() for size in sizes),
    )
