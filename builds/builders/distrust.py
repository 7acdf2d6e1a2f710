"""What a builder has published while it could not be believed, and what of it is to be built by others.

`manage.py distrust` takes all of it out of the index before it queues the first again.  Each wheel is a
transaction of its own, so who is cut short says it again, and it goes on.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef, Q

from builds.models import Build, Builder, Wheel, WheelQuerySet
from builds.models.state import OPEN, State
from builds.planning.plan import Pair


@dataclass(frozen=True)
class Doubt:
    """A builder, and since when it is not believed; None is for as long as it is there."""

    builder: Builder
    since: datetime | None

    def wheels(self) -> WheelQuerySet:
        """Return its wheels of that time that are not withdrawn."""
        return self._published().standing()

    def to_rebuild(self) -> dict[int, set[Pair]]:
        """Return, by package, what it built and is out of the index, and nobody has built or queued since."""
        attempts = Build.objects.filter(version=OuterRef("version"), target=OuterRef("build__target"))
        # A later one that failed or was cancelled has left the index with nothing.
        later = attempts.filter(
            Q(state__in=OPEN) | Q(state=State.SUCCEEDED), attempt__gt=OuterRef("build__attempt")
        )
        # What was lost is queued by whoever finds that, and what was taken down nobody wants.
        out = self._published().filter(withdrawn_at__isnull=False, lost_at=None, taken_down_at=None)
        found = defaultdict(set)
        rows = out.exclude(Exists(later)).values_list("package", "version", "build__target")
        for package, version, target in rows:
            found[package].add((version, target))
        return found

    def _published(self) -> WheelQuerySet:
        since = {} if self.since is None else {"published_at__gte": self.since}
        return Wheel.objects.filter(build__builder=self.builder, **since)
