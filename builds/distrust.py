"""Takes back what a builder has published while it could not be believed, and has it built by others.

All of it is out of the index before the first is queued again.  Each wheel is a transaction of its own, so
who is cut short says it again, and it goes on.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef

from builds import rebuilding
from builds.models import Build, Builder, Wheel, WheelQuerySet
from builds.plan import Pair
from packages.models import Package


@dataclass(frozen=True)
class Doubt:
    """A builder, and since when it is not believed; None is for as long as it is there."""

    builder: Builder
    since: datetime | None

    def wheels(self) -> WheelQuerySet:
        """Return its wheels of that time that are not withdrawn."""
        return self._published().standing().select_related("package", "build__target")

    def withdraw(self, reason: str, now: datetime) -> Iterator[Wheel]:
        """Take its wheels out of the index, one after the other."""
        for wheel in list(self.wheels()):
            wheel.withdraw(now, reason)
            yield wheel

    def to_rebuild(self) -> dict[int, set[Pair]]:
        """Return, by package, what it built and is out of the index, and nobody has built or queued since."""
        attempts = Build.objects.filter(version=OuterRef("version"), target=OuterRef("build__target"))
        later = attempts.filter(attempt__gt=OuterRef("build__attempt"))
        # What was lost is queued by whoever finds that, and what was taken down nobody wants.
        out = self._published().filter(withdrawn_at__isnull=False, lost_at=None, taken_down_at=None)
        found = defaultdict(set)
        for package, *pair in out.exclude(Exists(later)).values_list("package", "version", "build__target"):
            found[package].add((pair[0], pair[1]))
        return found

    def _published(self) -> WheelQuerySet:
        since = {} if self.since is None else {"published_at__gte": self.since}
        return Wheel.objects.filter(build__builder=self.builder, **since)


def rebuild(package: int, pairs: Collection[Pair], reason: str, now: datetime) -> rebuilding.Answer:
    """Queue anew what was taken back of a package."""
    return rebuilding.rebuild(Package.objects.get(pk=package), pairs, reason, now)
