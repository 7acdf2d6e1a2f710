"""Which waiting builds the free builders of a target should have next.

The order is each build's priority, which `builds.planning.priority` makes and its row keeps.  What is ready
lies in lanes, by size and length.  One index has each of them in its order, so that choosing costs the same
however many builds wait.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from builder.elf import version_key
from builds.models import Build, Builder, Size, Target, Wheel
from builds.planning.priority import LONG_S, neighbourhood
from builds.statements import Waiting

# How many builds are looked at beyond those that are given, for one that no older system waits for.
LOOK_AHEAD = 20


def next_for(target: Target, builders: Sequence[Builder], now: datetime) -> list[tuple[Build, Builder]]:
    """Return which builds these free builders of a target should have; small builders choose first.

    While nobody knows whether a version's wheel is pure, one target tries it alone: a pure wheel would
    serve them all, and two of them would have one name and two contents.  Who lost a build or had a fault
    with it does not get it again as long as another could have it.
    """
    elsewhere = set(Build.objects.assigned().exclude(target=target).values_list("version", flat=True))
    known = set(Wheel.objects.filter(version__in=elsewhere).values_list("version", flat=True))
    by_size = {size: [each for each in builders if each.size == size] for size in Size}
    # As many builds may have to stay as there are builders elsewhere, and few more have to be looked at.
    more = len(elsewhere) + LOOK_AHEAD
    able = {
        size: sum(len(alike) for other, alike in by_size.items() if size in other.and_smaller())
        for size in Size
    }
    counts = {size.value: count + more for size, count in able.items() if count}
    row = _Row(target, counts, stay=elsewhere - known)
    first = row.builds(now)
    pairs: dict[Waiting, Builder] = {}
    for size, alike in by_size.items():
        fitting = size.and_smaller()
        free = [build for build in first if build.size in fitting and build not in pairs]
        if {build.avoid_id for build in free} & {builder.pk for builder in alike}:
            _choose_apart(row, free, alike, pairs, now)
        else:
            pairs |= zip(free, alike, strict=False)
    return [(Build.objects.chosen(build), builder) for build, builder in pairs.items()]


def _choose_apart(
    row: "_Row", first: list[Waiting], builders: list[Builder], pairs: dict[Waiting, Builder], now: datetime
) -> None:
    """Let builders choose one by one, as some of these builds are to avoid one of them."""
    others = list(Builder.objects.at_work(now).filter(target=row.target))
    for builder in builders:
        # A builder that lost a whole row of builds must not idle before those behind them.
        behind = row.builds(now, without=builder)
        for build in (build for some in (first, behind) for build in some):
            fits = build.size in Size(builder.size).and_smaller()
            if fits and build not in pairs and not _is_for_another(build, builder, others):
                pairs[build] = builder
                break


@dataclass(frozen=True)
class _Row:
    """The first builds that builders of a target could have."""

    target: Target
    counts: Mapping[str, int]  # how many to look at of each size and length
    stay: set[int]  # versions that another target tries at the moment

    def builds(self, now: datetime, without: Builder | None = None) -> list[Waiting]:
        """Return them in the order in which they should go, without those that a builder is to avoid."""
        avoided = without.pk if without else None
        found = Build.objects.first_in_lanes(self.target, self.counts, avoid=avoided)
        ordered = _oldest_first([build for build in found if build.version_id not in self.stay], self.target)
        return self._short_ones_first(ordered, now) if any(build.is_long for build in ordered) else ordered

    def _short_ones_first(self, builds: list[Waiting], now: datetime) -> list[Waiting]:
        """Put long builds last when half of the target's builders are busy with such."""
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


def _is_for_another(build: Waiting, builder: Builder, others: Iterable[Builder]) -> bool:
    """Tell whether a builder had its try at a build, and another could have the next."""
    return build.avoid_id == builder.pk and any(
        other.pk != builder.pk and build.size in Size(other.size).and_smaller() for other in others
    )


def _oldest_first(builds: list[Waiting], target: Target) -> list[Waiting]:
    """Put behind their equals the builds that also wait for a target with an older C library.

    Wheels for the stable ABI, or for none, have one name on all releases; built on the oldest one they run on
    all.  A preference and no more, so that no builder idles while another one is away.
    """
    if not builds or not target.glibc:
        return builds
    others = Build.objects.awaited_elsewhere([build.version_id for build in builds], target)
    age = version_key(target.glibc)
    older = {glibc for glibc in {glibc for _, glibc in others} if version_key(glibc) < age}
    wait = {version for version, glibc in others if glibc in older}
    return sorted(builds, key=lambda build: (-neighbourhood(build.priority), build.version_id in wait))
