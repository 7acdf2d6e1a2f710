"""What each builder does at the moment, for everybody; what is not in here, nobody is shown of a builder."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import models
from django.db.models import Count, OuterRef, Subquery

from builds.builders.readings import Machine, machine
from builds.log_text import clean
from builds.models import Build, Builder

# How many of its last builds are shown of each builder.
LAST = 10
# The pace is that of so long ago and since.
PACE = timedelta(hours=1)
# How much is shown of why a builder gets nothing.
_LONGEST = 300


class Condition(models.TextChoices):
    """What a builder is doing, or why it does nothing, in a word or two."""

    BUILDING = "building", "building"
    UPLOADING = "uploading", "bringing a wheel"
    CALLED = "called", "told of a build"
    FREE = "free", "waiting for a build"
    UNWELL = "unwell", "not fit to build"
    DRAINING = "draining", "draining after this build"
    DRAINED = "drained", "drained"
    PAUSED = "paused", "paused"
    STOPPED = "stopped", "stopped"
    QUARANTINED = "quarantined", "quarantined"
    SILENT = "silent", "silent"
    NEW = "new", "never heard of"
    OFF = "off", "switched off"

    @property
    def is_well(self) -> bool:
        """Whether it builds, or would."""
        return self in (Condition.BUILDING, Condition.UPLOADING, Condition.CALLED, Condition.FREE)

    @property
    def is_alarming(self) -> bool:
        """Whether somebody should look."""
        return self in (Condition.UNWELL, Condition.QUARANTINED, Condition.SILENT)


_WORKS: dict[str, Condition] = {
    Build.State.DISPATCHED: Condition.CALLED,
    Build.State.BUILDING: Condition.BUILDING,
    Build.State.UPLOADING: Condition.UPLOADING,
}


@dataclass(frozen=True)
class Work:
    """A build, as the page of the farm shows it."""

    pk: int
    url: str
    package: str
    version: str
    state: str
    since: datetime | None  # when its builder began it
    expected_s: float | None


@dataclass(frozen=True)
class BuilderNow:
    """One builder at the moment."""

    name: str
    mode: str  # what an operator, or the farm itself, wants of it
    condition: Condition
    since: datetime | None  # of a condition that an operator, or the farm, has put it in
    reason: str
    heard_at: datetime | None
    machine: Machine
    work: Work | None
    last: tuple[Work, ...]  # what it ended, the last one first
    per_hour: int

    @property
    def built(self) -> int:
        """How many of its last builds came to a good end."""
        return sum(work.state == Build.State.SUCCEEDED for work in self.last)


@dataclass(frozen=True)
class TargetNow:
    """The builders of one target."""

    key: str
    title: str
    builders: tuple[BuilderNow, ...]

    @property
    def well(self) -> int:
        """How many of them build, or would."""
        return sum(builder.condition.is_well for builder in self.builders)


@dataclass(frozen=True)
class Farm:
    """All builders at the moment."""

    seen_at: datetime
    targets: tuple[TargetNow, ...]
    retired: tuple[str, ...]
    ended: int  # builds in the last hour
    built: int  # of these, those that succeeded

    @property
    def builders(self) -> list[BuilderNow]:
        """All builders that are not retired."""
        return [builder for target in self.targets for builder in target.builders]

    @property
    def well(self) -> int:
        """How many builders build, or would."""
        return sum(builder.condition.is_well for builder in self.builders)

    @property
    def working(self) -> int:
        """How many builders are at a build."""
        return sum(builder.work is not None for builder in self.builders)

    @property
    def alarming(self) -> int:
        """At how many builders somebody should look."""
        return sum(builder.condition.is_alarming for builder in self.builders)


def look(now: datetime) -> Farm:
    """Return what all builders do; five queries, however many there are."""
    rows = list(Builder.objects.select_related("target").order_by("target__order", "target__key", "name"))
    had = {build.builder_id: build for build in _known(Build.objects.assigned())}
    last = last_of_each()
    paces, ended, built = _paces(now)
    targets: dict[tuple[str, str], list[BuilderNow]] = defaultdict(list)
    for row in rows:
        if row.is_enabled:
            seen = _seen(row, had.get(row.pk), last.get(row.pk, ()), paces.get(row.pk, 0), now)
            targets[row.target.key, row.target.title].append(seen)
    return Farm(
        seen_at=now,
        targets=tuple(TargetNow(key, title, tuple(some)) for (key, title), some in targets.items()),
        retired=tuple(row.name for row in rows if not row.is_enabled),
        ended=ended,
        built=built,
    )


def conditions(now: datetime) -> dict[tuple[str, Condition], int]:
    """Return how many builders of each target, by its key, are in which condition; two queries."""
    had = {build.builder_id: build for build in Build.objects.assigned().only("builder", "state")}
    builders = Builder.objects.filter(is_enabled=True).select_related("target")
    return Counter(
        (builder.target.key, _condition(builder, had.get(builder.pk), now)) for builder in builders
    )


def _seen(
    row: Builder, build: Build | None, last: Iterable[Build], per_hour: int, now: datetime
) -> BuilderNow:
    """Return one builder as it is shown."""
    condition = _condition(row, build, now)
    is_turned = row.mode != Builder.Mode.ACTIVE and condition != Condition.SILENT
    return BuilderNow(
        name=row.name,
        mode=row.mode,
        condition=condition,
        since=row.mode_at if is_turned else None,
        reason=_reason(row, condition),
        heard_at=row.heard_at,
        machine=machine(row.facts if isinstance(row.facts, dict) else {}),
        work=_work(build) if build else None,
        last=tuple(_work(each) for each in last),
        per_hour=per_hour,
    )


def _condition(row: Builder, build: Build | None, now: datetime) -> Condition:
    """Return what a builder that is not retired does; what keeps it from building comes first."""
    is_leaving = row.mode in (Builder.Mode.DRAINING, Builder.Mode.STOPPED)
    reasons = [
        (row.mode == Builder.Mode.QUARANTINED, Condition.QUARANTINED),
        (row.mode == Builder.Mode.STOPPED and build is None, Condition.STOPPED),
        (row.heard_at is None, Condition.NEW),
        (row.heard_at is not None and row.heard_at < now - Builder.SILENCE, Condition.SILENT),
        (is_leaving, Condition.DRAINING if build else Condition.DRAINED),
        (row.mode == Builder.Mode.PAUSED, Condition.PAUSED),
        (build is None and bool(row.problem), Condition.UNWELL),
    ]
    works = _WORKS[build.state] if build else Condition.FREE
    return next((condition for applies, condition in reasons if applies), works)


def _reason(row: Builder, condition: Condition) -> str:
    """Return why it gets nothing, if that is for everybody: operators' notes have their names in them."""
    reasons = {Condition.QUARANTINED: row.mode_reason, Condition.UNWELL: row.problem}
    return clean(reasons.get(condition, ""))[:_LONGEST]


def _work(build: Build) -> Work:
    return Work(
        pk=build.pk,
        url=build.get_absolute_url(),
        package=build.version.package.name,
        version=build.version.number,
        state=build.state,
        since=build.claimed_at,
        expected_s=build.expected_s,
    )


def _known(builds: "models.QuerySet[Build]") -> "models.QuerySet[Build]":
    """Return builds with what is shown of them, and no more."""
    shown = ("state", "failure", "builder", "claimed_at", "finished_at", "expected_s", "version__number")
    return builds.select_related("version__package").only(*shown, "version__package__name")


def last_of_each() -> Mapping[int, list[Build]]:
    """Return the last builds of each builder, the last one first.

    To number all builds of each would read millions.  So each builder is asked for its last, for the one
    before that, and so on: ten steps in the index of its builds.
    """
    ended = Build.objects.ended().filter(builder=OuterRef("pk")).values("pk")
    columns = {f"last_{n}": Subquery(ended[n : n + 1]) for n in range(LAST)}
    rows = Builder.objects.filter(is_enabled=True).annotate(**columns).values_list(*columns)
    keys = [key for row in rows for key in row if key]
    found: dict[int, list[Build]] = defaultdict(list)
    for build in _known(Build.objects.filter(pk__in=keys)).order_by("-finished_at", "-pk"):
        found[build.builder_id or 0].append(build)
    return found


def _paces(now: datetime) -> tuple[dict[int, int], int, int]:
    """Return how many builds ended of each builder in the last hour, of all, and how many were built."""
    counted = Build.objects.ended().order_by().filter(finished_at__gte=now - PACE)
    paces: dict[int, int] = defaultdict(int)
    ended = built = 0
    for builder, state, count in counted.values_list("builder", "state").annotate(Count("pk")):
        paces[builder or 0] += count
        ended += count
        built += count if state == Build.State.SUCCEEDED else 0
    return dict(paces), ended, built
