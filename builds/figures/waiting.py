"""What waits, for everybody: how long each queue is, what is next in it, and where a package stands."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches

from django.db.models import Count
from packaging.utils import canonicalize_name

from builds import statements
from builds.models import Build, Builder, Campaign, Size, Target, TargetQueue
from builds.planning.priority import CLASS, Rank, class_of
from builds.shown import position
from builds.shown.position import Position
from packages.models import Package

# How many of the next builds are shown of each target, and how many of a package's.
NEXT = 20
OF_PACKAGE = 50
# How many names on either side of one that is not known are compared with it, and how many are offered.
NEIGHBOURS = 100
OFFERED = 5

_CLASSES = {
    Rank.OPERATOR: "wanted first by an operator",
    Rank.PERSON: "asked for by somebody",
    Rank.RELEASE: "new releases",
    Rank.NEWEST: "newest versions",
    Rank.CAMPAIGN: "of campaigns",
    Rank.HISTORY: "older versions",
    Rank.PRERELEASE: "pre-releases",
}


@dataclass(frozen=True)
class Next:
    """A build that waits, as it is shown."""

    url: str
    package: str
    package_url: str
    version: str
    why: str
    queued_at: datetime


@dataclass(frozen=True)
class Queue:
    """What waits for one target."""

    key: str
    title: str
    ready: int
    pausing: int
    oldest_at: datetime | None
    per_hour: float
    builders: int  # at work
    classes: tuple[tuple[str, int], ...]
    next: tuple[Next, ...]

    @property
    def left_s(self) -> float | None:
        """When it is empty if nothing else comes; None: nobody can tell."""
        if not self.per_hour or not self.builders:
            return None
        return self.ready / self.per_hour * 3600


@dataclass(frozen=True)
class Stand:
    """One open build of a package; with its position, if it is the first that waits for its target."""

    build: Build
    said: tuple[str, ...]
    position: Position | None = None


@dataclass(frozen=True)
class Standing:
    """Where a package stands."""

    package: Package | None
    stands: tuple[Stand, ...]
    has_more: bool
    suggestions: tuple[str, ...]


def queues(now: datetime) -> list[Queue]:
    """Return what waits for each target: five queries, none of which counts builds."""
    targets = list(Target.objects.filter(is_active=True))
    counted = {row.target_id: row for row in TargetQueue.objects.all()}
    at_work = Builder.objects.at_work(now).order_by().values_list("target").annotate(Count("pk"))
    builders = dict(at_work)
    following = _following([target.pk for target in targets])
    return [
        _queue(
            target,
            counted.get(target.pk) or TargetQueue(target=target),
            builders.get(target.pk, 0),
            following.get(target.pk, []),
        )
        for target in targets
    ]


def _queue(target: Target, counted: TargetQueue, builders: int, following: Iterable[Build]) -> Queue:
    """Return one queue as it is shown."""
    return Queue(
        key=target.key,
        title=target.title,
        ready=counted.ready,
        pausing=counted.pausing,
        oldest_at=counted.oldest_at,
        per_hour=counted.per_hour,
        builders=builders,
        classes=_classes(counted.levels),
        next=tuple(_next(build) for build in following),
    )


def _classes(levels: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    """Return how many builds wait in which class, in words, what goes first at the front."""
    found: dict[str, int] = defaultdict(int)
    for level in sorted((int(level) for level in levels), reverse=True):
        rank, is_raised = class_of(level * CLASS)
        found[f"{_CLASSES[rank]}{', raised' if is_raised else ''}"] += levels[str(level)]
    return tuple(found.items())


def _following(targets: list[int]) -> dict[int, list[Build]]:
    """Return the next builds of each target, as they are given out."""
    keys = statements.next_in_queues(targets, Size.values, NEXT) if targets else []
    shown = ("target", "why", "queued_at", "version__number", "version__package__name")
    builds = Build.objects.select_related("version__package").only(*shown).in_bulk(keys)
    found: dict[int, list[Build]] = defaultdict(list)
    for key in keys:
        # One that was deleted meanwhile is not there.
        if (build := builds.get(key)) and len(found[build.target_id]) < NEXT:
            found[build.target_id].append(build)
    return found


def _next(build: Build) -> Next:
    package = build.version.package
    return Next(
        url=build.get_absolute_url(),
        package=package.name,
        package_url=package.get_absolute_url(),
        version=build.version.number,
        why=build.why,
        queued_at=build.queued_at,
    )


def of_package(name: str, now: datetime) -> Standing:
    """Return where a package's builds stand, or which names somebody may have meant."""
    canonical = canonicalize_name(name)
    package = Package.objects.filter(name=canonical).first()
    if package is None:
        return Standing(None, (), has_more=False, suggestions=_suggestions(canonical))
    opened = Build.objects.open().filter(version__package=package).select_related("version", "target")
    builds = list(opened.order_by("-priority", "-released_at", "pk")[: OF_PACKAGE + 1])
    positions = _positions(builds, now)
    for build in builds:
        build.version.package = package
    stands = [
        Stand(build, tuple(positions[build.pk].said()), positions[build.pk])
        for build in builds
        if build.pk in positions
    ]
    stands += [Stand(build, ()) for build in builds if build.pk not in positions]
    return Standing(package, tuple(stands[:OF_PACKAGE]), len(builds) > OF_PACKAGE, ())


def _positions(builds: Iterable[Build], now: datetime) -> dict[int, Position]:
    """Return where the first of these that waits for each target stands."""
    firsts: dict[int, Build] = {}
    for build in builds:
        if build.state == Build.State.QUEUED:
            firsts.setdefault(build.target_id, build)
    if not firsts:
        return {}
    counted = TargetQueue.objects.filter(target__in=firsts).values_list("target", "per_hour")
    return position.of_several(list(firsts.values()), dict(counted), now)


def _suggestions(name: str) -> tuple[str, ...]:
    """Return names that are like one that is not there, out of its neighbours in the alphabet."""
    before = Package.objects.filter(name__lt=name).order_by("-name").values_list("name", flat=True)
    after = Package.objects.filter(name__gt=name).order_by("name").values_list("name", flat=True)
    near = [*before[:NEIGHBOURS], *after[:NEIGHBOURS]]
    return tuple(get_close_matches(name[:200], near, OFFERED))


def campaigns() -> list[Campaign]:
    """Return the campaigns that go on."""
    return list(Campaign.objects.running().select_related("target").defer(*Campaign.LONG))
