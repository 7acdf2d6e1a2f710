"""What the sample's builders have tried until now, and what came out, in the order in which it ended."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import cycle
from random import Random

from builds.models import Build, Builder, Target, Wheel
from builds.planning.wishes import upstream_wheels
from builds.wheels.coverage import Need, covers
from packages.models import UpstreamFile, Version
from piwheels_site.sample import farm, printed
from piwheels_site.sample.catalogue import Entry
from piwheels_site.sample.printed import Failed
from piwheels_site.sample.upstream import Project
from piwheels_site.sample.wheels import MadeWheel, make

# How much faster than a Pi 4 with a 32-bit system they are.
_PACE = {"armhf": 1.0, "arm64": 0.6}
_LIMIT_S = 10_800.0
# What a new target has not come to yet.
_UNTRIED = {"trixie-arm64-cp313": 0.3}
_GIB = 1 << 30
# Whoever fails so does it with every version; the catalogue names some.
_OF_THE_OLD = "python2-only"


@dataclass
class Attempt:
    """A build that has ended, and what it left."""

    project: Project
    build: Build
    log: str
    brought: "Brought | None" = None
    refused: str = ""


@dataclass(frozen=True)
class Brought:
    """A wheel: its bytes and its row."""

    made: MadeWheel
    wheel: Wheel


@dataclass
class _Wish:
    """A version that a target had no wheel of."""

    project: Project
    version: Version
    target: Target
    chance: Random


@dataclass
class History:
    """Draws what became of every version for every target."""

    targets: list[Target]
    builders: dict[int, list[Builder]]  # by target
    seed: int
    now: datetime
    failures: Iterator[Failed] = field(init=False)

    def __post_init__(self) -> None:
        """Have each class of failure come up that anybody may meet, in an order that the seed draws."""
        logs = [failed for failed in printed.by_name().values() if failed.key != _OF_THE_OLD]
        Random(f"{self.seed}/failures").shuffle(logs)
        self.failures = cycle(logs)

    def attempts(self, projects: list[Project]) -> list[Attempt]:
        """Return all attempts, the one that ended first in front."""
        found = [attempt for project in projects for attempt in self._of_project(project)]
        return sorted(found, key=lambda attempt: (attempt.build.finished_at, attempt.build.attempt))

    def _of_project(self, project: Project) -> Iterator[Attempt]:
        """Give the attempts at all versions of a project."""
        if project.package.skip_reason:
            return
        upstream = upstream_wheels(UpstreamFile.objects.filter(version__package=project.package))
        needs = [(target, target.need()) for target in self.targets]
        for version in project.versions:
            wheels: list[Wheel] = []
            for target, need in needs:
                wish = _Wish(project, version, target, Random(f"{self.seed}/{version}/{target}"))
                if self._is_tried(wish, need, wheels) and not target.served_upstream(
                    upstream.get(version.pk, [])
                ):
                    for attempt in self._try(wish):
                        wheels += [attempt.brought.wheel] if attempt.brought else []
                        yield attempt

    def _is_tried(self, wish: _Wish, need: Need, wheels: list[Wheel]) -> bool:
        """Tell whether a version was tried for a target at all."""
        version, target = wish.version, wish.target
        age = self.now - (version.released_at or self.now)
        if version.yanked or not version.canonical or any(covers(wheel.offer(), need) for wheel in wheels):
            return False
        if not target.is_active and age < timedelta(days=farm.ENDED):
            return False
        # What has just come out waits, and so does some of what a target has not come to.
        is_fresh = age < timedelta(hours=3)
        return not is_fresh and wish.chance.random() >= _UNTRIED.get(target.key, 0.04)

    def _try(self, wish: _Wish) -> Iterator[Attempt]:
        """Give the attempts at one version for one target: mostly one."""
        queued_at, finished_at = self._when(wish)
        seconds = wish.project.entry.seconds * _PACE[wish.target.architecture]
        duration_s = min(seconds * wish.chance.lognormvariate(0, 0.2), _LIMIT_S)
        attempt = 1
        if wish.chance.random() < 0.03:
            yield self._lost(wish, queued_at, finished_at - timedelta(hours=1))
            attempt = 2
        build = self._build(wish, attempt, queued_at, finished_at, duration_s)
        if failed := self._failed(wish, duration_s):
            yield self._fail(wish, build, failed)
        else:
            yield self._succeed(wish, build)

    def _when(self, wish: _Wish) -> tuple[datetime, datetime]:
        """Return when a build was queued and when it ended; of old versions most of what was lately is."""
        released_at = wish.version.released_at or self.now
        began = self.now - timedelta(days=farm.BEGAN[wish.target.key])
        over = self.now if wish.target.is_active else self.now - timedelta(days=farm.ENDED)
        if released_at > began:
            # Within the hour, or the day for those that must wait for a large builder.
            waits = timedelta(minutes=3 + wish.chance.expovariate(1 / 40))
            return released_at, min(
                released_at + waits, over - timedelta(seconds=wish.chance.uniform(9, 9000))
            )
        return began, over - (over - began) * wish.chance.random() ** 2.2 - timedelta(seconds=20)

    def _failed(self, wish: _Wish, duration_s: float) -> Failed | None:
        """Return how a build failed, if it did."""
        entry = wish.project.entry
        if entry.fails:
            return printed.by_name()[entry.fails]
        if duration_s >= _LIMIT_S:
            return printed.by_name()["timeout"]
        is_newest = wish.version is wish.project.versions[0]
        odds = 0.02 if is_newest or entry.is_pure else 0.14
        return next(self.failures) if wish.chance.random() < odds else None

    def _build(
        self, wish: _Wish, attempt: int, queued_at: datetime, finished_at: datetime, duration_s: float
    ) -> Build:
        """Return the row of a build that has ended well."""
        builder = wish.chance.choice(self.builders[wish.target.pk])
        return Build(
            version=wish.version,
            target=wish.target,
            attempt=attempt,
            losses=attempt - 1,
            state=Build.State.SUCCEEDED,
            why="It is an older version."
            if wish.version.released_at != queued_at
            else "It is a new release.",
            expected_s=round(duration_s),
            released_at=wish.version.released_at or self.now,
            source=wish.project.source(wish.version),
            builder=builder,
            queued_at=queued_at,
            rang_at=finished_at - timedelta(seconds=duration_s + 4),
            claimed_at=finished_at - timedelta(seconds=duration_s + 3),
            finished_at=finished_at,
            duration_s=round(duration_s, 1),
            cpu_s=round(duration_s * wish.chance.uniform(0.9, 2.8), 1),
            peak_memory_bytes=int(
                _GIB * (0.06 + min(duration_s, 6000) / 6000 * wish.chance.uniform(0.3, 2.5))
            ),
            rung=wish.chance.choices(["current", "setuptools<82", "older-tools"], [92, 5, 3])[0],
            sandbox="full",
            size=builder.size,
        )

    def _lost(self, wish: _Wish, queued_at: datetime, finished_at: datetime) -> Attempt:
        """Return an attempt whose builder fell silent."""
        build = self._build(wish, 1, queued_at, finished_at, 60.0)
        build.state, build.failure, build.duration_s = Build.State.LOST, "builder-lost", None
        build.cpu_s = build.peak_memory_bytes = None
        build.reason = f"Builder {build.builder} fell silent, or began anew without it."
        return Attempt(wish.project, build, "")

    def _fail(self, wish: _Wish, build: Build, failed: Failed) -> Attempt:
        """Have a build have failed."""
        build.state, build.failure, build.failure_about = Build.State.FAILED, failed.key, failed.about
        build.reason = failed.reason
        if failed.key not in ("timeout", "stalled"):
            build.duration_s = round(min(build.duration_s or 0, 240) * wish.chance.uniform(0.2, 1) + 3, 1)
        log = printed.log(wish.project.entry, wish.version.number, wish.target, wish.chance, failed)
        return Attempt(wish.project, build, log)

    def _succeed(self, wish: _Wish, build: Build) -> Attempt:
        """Give a build a wheel."""
        entry = wish.project.entry
        made = make(
            wish.project.package.name,
            wish.version.canonical,
            tag(entry, wish.target),
            summary=entry.summary,
            requires=entry.needs,
        )
        log = printed.log(entry, wish.version.number, wish.target, wish.chance)
        return Attempt(wish.project, build, log, Brought(made, row_of(made, build, entry, wish.chance)))


def tag(entry: Entry, target: Target) -> str:
    """Return what a wheel of a package is named for when it is built for a target."""
    platforms = ".".join(target.platform_tags)
    if entry.is_pure:
        return "py3-none-any"
    return f"cp39-abi3-{platforms}" if entry.is_portable else f"{target.abi}-{target.abi}-{platforms}"


def row_of(made: MadeWheel, build: Build, entry: Entry, chance: Random) -> Wheel:
    """Return the row of a wheel; the build need not be saved yet."""
    is_native = not entry.is_pure
    return Wheel(
        build=build,
        package=build.version.package,
        version=build.version,
        filename=made.filename,
        size=len(made.content),
        sha256=made.sha256,
        metadata_sha256=made.metadata_sha256,
        glibc="2.17" if is_native else "",
        glibcxx="3.4.21" if is_native and chance.random() < 0.4 else "",
        is_portable=entry.is_portable,
        reproducible=chance.choices([True, False, None], [6, 1, 3])[0],
        trial=chance.choices(["works", "fails", "unknown"], [90, 4, 6])[0],
        published_at=build.finished_at or build.queued_at,
    )


def of_targets(builders: list[Builder]) -> dict[int, list[Builder]]:
    """Return builders by their targets."""
    found: dict[int, list[Builder]] = defaultdict(list)
    for builder in builders:
        found[builder.target_id].append(builder)
    return found
