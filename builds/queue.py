"""Which waiting builds the free builders of a target should have next.

The order is each build's priority, which `builds.priority` makes and its row keeps.  What is ready lies in
lanes, by size and length.  One index has each of them in its order, so that choosing costs the same however
many builds wait.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from builder.elf import version_key
from builds.models import Build, Builder, BuildQuerySet, Size, Target, Wheel
from builds.priority import LONG_S, neighbourhood

# How many builds are looked at beyond those that are given, for one that no older system waits for.
LOOK_AHEAD = 20


def next_for(
    target: Target, builders: Sequence[Builder], size: Size, now: datetime
) -> list[tuple[Build, Builder]]:
    """Return which builds these free builders of a target and a size should have.

    While nobody knows whether a version's wheel is pure, one target tries it alone: a pure wheel would
    serve them all, and two of them would have one name and two contents.  Who lost a build or had a fault
    with it does not get it again as long as another could have it.
    """
    elsewhere = set(Build.objects.assigned().exclude(target=target).values_list("version", flat=True))
    known = set(Wheel.objects.filter(version__in=elsewhere).values_list("version", flat=True))
    # As many builds may have to stay as there are builders elsewhere, and few more have to be looked at.
    row = _Row(target, size, len(builders) + len(elsewhere) + LOOK_AHEAD, stay=elsewhere - known)
    first = row.builds(now)
    if not {build.avoid_id for build in first} & {builder.pk for builder in builders}:
        return list(zip(first, builders, strict=False))
    others = list(Builder.objects.at_work(now).filter(target=target))
    pairs: dict[Build, Builder] = {}
    for builder in builders:
        # A builder that lost a whole row of builds must not idle before those behind them.
        behind = row.builds(now, without=builder)
        for build in (build for some in (first, behind) for build in some):
            if build not in pairs and not _is_for_another(build, builder, others):
                pairs[build] = builder
                break
    return list(pairs.items())


@dataclass(frozen=True)
class _Row:
    """The first builds that builders of a target and a size could have."""

    target: Target
    size: Size
    count: int
    stay: set[int]  # versions that another target tries at the moment

    def builds(self, now: datetime, without: Builder | None = None) -> list[Build]:
        """Return them in the order in which they should go, without those that a builder is to avoid."""
        found = [
            build
            for is_long in (False, True)
            for size in self.size.and_smaller()
            for build in self._lane(size, is_long, without)
            if build.version_id not in self.stay
        ]
        found.sort(key=lambda build: (-build.priority, -build.released_at.timestamp(), build.pk))
        return self._short_ones_first(_oldest_first(found, self.target), now)

    def _lane(self, size: str, is_long: bool, without: Builder | None) -> BuildQuerySet:
        """Return the first builds of one lane, with what a dispatcher has to know of them."""
        lane = Build.objects.in_lane(self.target, size, is_long=is_long)
        needed = (lane.exclude(avoid=without) if without else lane).only(
            *("version", "target", "attempt", "state", "priority", "released_at", "size", "is_long", "avoid")
        )
        return needed[: self.count]

    def _short_ones_first(self, builds: list[Build], now: datetime) -> list[Build]:
        """Put long builds last when half of the target's builders are busy with such."""
        if not any(build.is_long for build in builds):
            return builds
        room = _room_for_long(self.target, now)
        early = set([build for build in builds if build.is_long][:room])
        late = [build for build in builds if build.is_long and build not in early]
        return [build for build in builds if not build.is_long or build in early] + late


def _room_for_long(target: Target, now: datetime) -> int:
    """Return how many more builders of a target may have a long build now; one of them may always."""
    begun = Q(is_long=True) | Q(claimed_at__lt=now - timedelta(seconds=LONG_S))
    busy = Build.objects.assigned().filter(begun, target=target).count()
    at_work = Builder.objects.at_work(now).filter(target=target).count()
    return max(0, max(1, at_work // 2) - busy)


def _is_for_another(build: Build, builder: Builder, others: Iterable[Builder]) -> bool:
    """Tell whether a builder had its try at a build, and another could have the next."""
    return build.avoid_id == builder.pk and any(
        other.pk != builder.pk and build.size in Size(other.size).and_smaller() for other in others
    )


def _oldest_first(builds: list[Build], target: Target) -> list[Build]:
    """Put behind their equals the builds that also wait for a target with an older C library.

    Wheels for the stable ABI, or for none, have one name on all releases; built on the oldest one they run on
    all.  A preference and no more, so that no builder idles while another one is away.
    """
    if not builds or not target.glibc:
        return builds
    others = Build.objects.open().filter(
        version__in=[build.version_id for build in builds],
        target__architecture=target.architecture,
        target__is_active=True,
    )
    age = version_key(target.glibc)
    wait = {
        version
        for version, glibc in others.exclude(target__glibc="").values_list("version", "target__glibc")
        if version_key(glibc) < age
    }
    return sorted(builds, key=lambda build: (-neighbourhood(build.priority), build.version_id in wait))
