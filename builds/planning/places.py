"""Where the builds of a package stand in the queue: what decides it is read once, and each is then placed."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from django.db.models import Q

from builds.models import Build, Demand, Push, Target
from builds.planning import priority
from builds.planning.priority import RAISABLE, Facts, Place, Rank
from builds.planning.raising import raised
from builds.planning.wishes import Candidate
from packages.models import Package

# A release is new when it is this young as it enters the queue, and stays so until it is built ...
NEW = timedelta(days=1)
# ... and also when it came out after the last plan, however long the farm stood still.  Builds that were
# queued so close together are of the same plan.
_SAME_PLAN = timedelta(minutes=1)

# By how many of its earlier builds a build's length is told.
_LAST = 5


@dataclass(frozen=True)
class Places:
    """What decides where the builds of a package stand."""

    package: Package
    demand: Demand
    pushes: list[Push]
    durations: dict[int, list[float]]  # by target, the last one last
    queued: list[datetime]  # when each attempt so far was, in the order of time
    now: datetime

    def of(self, candidate: Candidate, target: Target, before: Build | None, *, in_campaign: bool) -> Place:
        """Return the place of a version for a target; `before` is its last attempt."""
        pushed = self._push(candidate, target)
        again = before.rebuild_reason if before else ""
        facts = Facts(
            rank=Rank.OPERATOR if pushed or again else self._rank(candidate, before, in_campaign=in_campaign),
            depth=candidate.depth,
            downloads=self.demand.downloads,
            misses=self.demand.misses,
            dependents=self.demand.dependents,
            expected_s=self._expected_s(target),
        )
        return priority.place(facts, raised(self.pushes, target), again or (pushed.reason if pushed else ""))

    def _push(self, candidate: Candidate, target: Target) -> Push | None:
        """Return an operator's wish for this version and target."""
        return next(
            (
                push
                for push in self.pushes
                if push.rank is None
                and push.target_id in (None, target.pk)
                and push.version_id in (None, candidate.version.pk)
            ),
            None,
        )

    def _rank(self, candidate: Candidate, before: Build | None, *, in_campaign: bool) -> Rank:
        """Return the highest class that a version belongs to."""
        version = candidate.version
        if version.requested_at:
            return Rank.PERSON
        own = Rank.PRERELEASE if version.is_prerelease else Rank.HISTORY
        if candidate.is_newest:
            own = Rank.NEWEST
        # Of pre-releases some projects make one each day; they do not overtake what people install.
        if own != Rank.PRERELEASE and self._is_new(candidate, before):
            own = Rank.RELEASE
        return max(own, Rank.CAMPAIGN) if in_campaign else own

    def _is_new(self, candidate: Candidate, before: Build | None) -> bool:
        """Tell whether a version was a new release when it entered the queue of its target."""
        released_at = candidate.version.released_at
        if released_at is None:
            return False
        entered = before.queued_at if before and before.queued_at else self.now
        # A package may have thousands of builds, and of each it is asked when the plan before it was.
        earlier = bisect_left(self.queued, entered - _SAME_PLAN)
        last_plan = self.queued[earlier - 1] if earlier else entered
        return released_at >= entered - NEW or released_at > last_plan

    def _expected_s(self, target: Target) -> float | None:
        """Return how long a build may take, by the last ones on the target, or else on any."""
        seen = self.durations.get(target.pk) or [each for some in self.durations.values() for each in some]
        return median(seen[-_LAST:]) if seen else None


def places_of(package: Package, attempts: Iterable[Build], now: datetime) -> Places:
    """Read what decides where the builds of a package stand, from all attempts so far, the last one last."""
    durations: dict[int, list[float]] = defaultdict(list)
    queued = []
    for build in attempts:
        queued.append(build.queued_at)
        if build.duration_s is not None and build.state in Build.ENDED:
            durations[build.target_id].append(build.duration_s)
    return Places(
        package=package,
        demand=Demand.objects.filter(pk=package.pk).first() or Demand(package=package),
        pushes=list(
            Push.objects.filter(Q(package=package) | Q(version__package=package) | Q(rank__in=RAISABLE))
        ),
        durations=dict(durations),
        queued=sorted(queued),
        now=now,
    )
