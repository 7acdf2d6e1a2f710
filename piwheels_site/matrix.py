"""What there is of some versions of a package for some targets: wheels, builds, or the reason for neither.

Read with a few queries, however many versions and targets; pages and JSON make their words of it.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from django.db.models import Prefetch

from builds import failures
from builds.coverage import Need, Offer, admits, covers
from builds.models import Build, Dependency, Skip, Target, Wheel, WheelQuerySet
from builds.remarks import remarks_on
from builds.upstream import UpstreamWheel
from builds.wishes import upstream_wheels
from packages.models import Package, UpstreamFile, Version
from piwheels_site.templatetags.said import STATES
from simple import index


class Kind(Enum):
    """What a target has of a version."""

    HELD = "held"  # a wheel that an operator has to look at
    WHEEL = "wheel"
    UPSTREAM = "upstream"  # upstream's own wheel fits
    OPEN = "open"  # a build that waits or goes on
    FAILED = "failed"
    ENDED = "ended"  # a build that was cancelled or lost
    NEVER = "never"  # nothing, for a reason


@dataclass(frozen=True)
class Cell:
    """What one target has of one version, as a table says it."""

    kind: Kind
    sign: str
    word: str
    url: str
    state: str  # the class of its colour
    build: Build | None = None  # the last attempt
    wheel: Wheel | None = None  # that installers take


@dataclass(frozen=True)
class File:
    """A wheel, the names of what it needs, and what else there is to say of it."""

    wheel: Wheel
    apt: list[str]
    missing: list[str]  # libraries that it needs and that are in no package
    pip: list[str]
    remarks: list[str]


@dataclass(frozen=True)
class Matrix:
    """What there is of a package's versions, as it was read."""

    package: Package
    targets: Sequence[Target]
    upstream_page: str
    wheels: Mapping[int, list[Wheel]]  # by version
    builds: Mapping[tuple[int, int], Build]  # by version and target
    sources: Mapping[int, UpstreamFile]
    upstream: Mapping[int, list[UpstreamWheel]]
    held: Collection[int]  # builds
    skips: Mapping[int, str]  # by target
    _offers: dict[int, Offer] = field(default_factory=dict)

    @cached_property
    def _needs(self) -> dict[int, Need]:
        """A target takes hundreds of tags, so they are not made anew for each version."""
        return {target.pk: target.need() for target in self.targets}

    def serving(self, version: int, target: Target) -> Wheel | None:
        """Return the wheel of a version that serves a target, its own before others'."""
        found = [wheel for wheel in self.wheels.get(version, ()) if self._covers(wheel, target)]
        own = [wheel for wheel in found if wheel.build.target_id == target.pk]
        current = [wheel for wheel in own or found if not wheel.yanked]
        return next(iter(current or own or found), None)

    def _covers(self, wheel: Wheel, target: Target) -> bool:
        if wheel.pk not in self._offers:
            self._offers[wheel.pk] = wheel.offer()
        return covers(self._offers[wheel.pk], self._needs[target.pk])

    def is_upstreams(self, version: int, target: Target) -> bool:
        """Tell whether a target needs no wheel of ours, as upstream has one."""
        return bool(target.served_upstream(self.upstream.get(version, [])))

    def cell(self, version: Version, target: Target) -> Cell:
        """Return what a target has of a version."""
        build = self.builds.get((version.pk, target.pk))
        if build and build.pk in self.held:
            url = build.get_absolute_url()
            return Cell(Kind.HELD, "…", "built, waits for an operator", url, "none", build)
        wheel = self.serving(version.pk, target)
        if build and build.state == Build.State.SUCCEEDED:
            return Cell(
                Kind.WHEEL,
                *STATES[Build.State.SUCCEEDED],
                build.get_absolute_url(),
                build.state,
                build,
                wheel,
            )
        if wheel:
            url, word = wheel.build.get_absolute_url(), "served by another target's wheel"
            return Cell(Kind.WHEEL, "✔", word, url, "succeeded", build, wheel)
        # What is built nevertheless is said by its build.
        if not (build and build.is_open) and self.is_upstreams(version.pk, target):
            word = "served by upstream's wheel"
            return Cell(Kind.UPSTREAM, "✔", word, self.upstream_page, "succeeded", build)
        if build:
            return _of_build(build)
        return Cell(Kind.NEVER, "–", self._why_not(version, target), "", "none")

    def _why_not(self, version: Version, target: Target) -> str:
        """Return why a version is not even queued for a target."""
        source, skip = self.sources.get(version.pk), self.skips.get(target.pk, "")
        reasons = [
            (version.gone_at, "removed upstream"),
            (version.yanked, "yanked upstream"),
            (self.package.skip_reason, f"skipped: {self.package.skip_reason}"),
            (version.skip_reason, f"skipped: {version.skip_reason}"),
            (skip, f"skipped: {skip}"),
            (not version.canonical, "not a version that pip can read"),
            (source is None, "no source"),
            (
                source and not admits(source.requires_python, target.python),
                f"not for Python {target.python}",
            ),
            (not target.is_active, "no longer built"),
        ]
        return next((text for applies, text in reasons if applies), "not among the newest, which are built")

    def files(self, version: int) -> list[File]:
        """Return the wheels of a version, with what there is to say of each."""
        return [
            File(
                wheel,
                apt=apt_names(wheel),
                missing=needed(wheel, Dependency.Tool.NONE),
                pip=needed(wheel, Dependency.Tool.PIP),
                remarks=remarks_on(wheel),
            )
            for wheel in self.wheels.get(version, ())
        ]


def _of_build(build: Build) -> Cell:
    """Return what a build says that left no wheel, or none yet."""
    sign, word = STATES[Build.State(build.state)]
    url = build.get_absolute_url()
    if build.is_open:
        return Cell(Kind.OPEN, sign, word, url, build.state, build)
    if build.state != Build.State.FAILED:
        return Cell(Kind.ENDED, sign, word, url, build.state, build)
    found = failures.of(build.failure, "")
    said = f"{word}: {found.failure.title}" if found and build.failure != "unknown" else word
    return Cell(Kind.FAILED, sign, said, url, build.state, build)


def read(
    package: Package, versions: Collection[int], targets: Sequence[Target], *, upstream_page: str
) -> Matrix:
    """Read what there is of these versions."""
    wheels: dict[int, list[Wheel]] = defaultdict(list)
    for wheel in described(index.offered().filter(version__in=versions)):
        wheel.package = package
        wheels[wheel.version_id].append(wheel)
    files = UpstreamFile.objects.filter(version__in=versions)
    attempts = Build.objects.filter(version__in=versions).order_by("attempt")
    held = Wheel.objects.standing().filter(version__in=versions).exclude(held_reason="")
    return Matrix(
        package=package,
        targets=targets,
        upstream_page=upstream_page,
        wheels=wheels,
        builds={(build.version_id, build.target_id): build for build in attempts},
        sources={file.version_id: file for file in files.listed().sources()},
        upstream=upstream_wheels(files),
        held=set(held.values_list("build", flat=True)),
        skips=dict(Skip.objects.filter(package=package).values_list("target", "reason")),
    )


def described(wheels: WheelQuerySet) -> WheelQuerySet:
    """Return wheels with all that pages say of them."""
    dependencies = Prefetch("dependencies", Dependency.objects.order_by("name"))
    found = wheels.select_related("build__target", "package", "version", "superseded_by")
    return found.prefetch_related(dependencies)


def needed(wheel: Wheel, tool: Dependency.Tool) -> list[str]:
    """Return the names of what a wheel needs, sorted, each once."""
    return sorted({dependency.name for dependency in wheel.dependencies.all() if dependency.tool == tool})


def apt_names(wheel: Wheel) -> list[str]:
    """Return the apt packages that a wheel needs beyond those that the target's image has."""
    return wheel.build.target.lacks(needed(wheel, Dependency.Tool.APT))
