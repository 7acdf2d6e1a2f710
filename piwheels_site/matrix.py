"""What there is of some versions of a package for some targets: wheels, builds, or the reason for neither.

Read with a few queries, however many versions and targets; pages and JSON make their words of it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from itertools import chain

from django.db.models import Exists, OuterRef, Prefetch

from builds import failures
from builds.models import Build, Dependency, Skip, Target, Wheel, WheelQuerySet
from builds.planning.wishes import best_sources, stand_ins, upstream_wheels
from builds.shown.remarks import remarks_on, why_not_offered
from builds.wheels.coverage import Need, Offer, admits, covers
from builds.wheels.upstream import UpstreamWheel
from builds.wheels.yanks import Yank, yanks
from packages.models import Package, UpstreamFile, Version
from piwheels_site.templatetags.said import STATES
from simple import index

# What decides whom a wheel serves, and whether it is offered.
_BUILD = ("build__target", "build__source")


class Kind(Enum):
    """What a target has of a version."""

    WHEEL = "wheel"
    FITS = "fits"  # a wheel that was built for another target
    HELD = "held"  # a wheel that an operator has to look at
    YANKED = "yanked"  # a wheel that installers pass over
    AWAY = "away"  # what was built is not offered
    UPSTREAM = "upstream"  # upstream's own wheel fits
    OPEN = "open"  # a build that waits or goes on
    FAILED = "failed"
    ENDED = "ended"  # a build that was cancelled or lost
    UNCHOSEN = "unchosen"  # nothing, as only the newest versions are built
    SOURCELESS = "sourceless"  # nothing, as there is no source that can be built
    NEVER = "never"  # nothing, for another reason


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
    yank: Yank | None = None  # why they do not take the one that there is


@dataclass(frozen=True)
class File:
    """A wheel, the names of what it needs, and what else there is to say of it."""

    wheel: Wheel
    apt: list[str]
    missing: list[str]  # libraries that it needs and that are in no package
    pip: list[str]
    remarks: list[str]
    yank: Yank | None


@dataclass(frozen=True)
class Matrix:
    """What there is of a package's versions, as it was read."""

    package: Package
    targets: Sequence[Target]
    upstream_page: str
    wheels: Mapping[int, list[Wheel]]  # by version; those that the index offers
    yanks: Mapping[int, Yank]  # by wheel
    only_in: Mapping[int, str]  # by wheel; the index of the release that alone lists it
    kept_back: Mapping[int, list[Wheel]]  # by version; those that the index does not offer, the newest first
    builds: Mapping[tuple[int, int], Build]  # by version and target
    sources: Mapping[int, UpstreamFile]  # by version; what it would be built from
    upstream: Mapping[int, list[UpstreamWheel]]
    skips: Mapping[int, str]  # by target
    stand_ins: Mapping[int, Version]  # by version; the twin that is built in its place
    _offers: dict[int, Offer] = field(default_factory=dict)

    @cached_property
    def _needs(self) -> dict[int, Need]:
        """A target takes hundreds of tags, so they are not made anew for each version."""
        return {target.pk: target.need() for target in self.targets}

    def serving(self, version: int, target: Target) -> Wheel | None:
        """Return the wheel of a version that serves a target, its own before others', a yanked one last."""
        found = [wheel for wheel in self.wheels.get(version, ()) if self._covers(wheel, target)]
        return min(
            found,
            key=lambda wheel: (wheel.pk in self.yanks, wheel.build.target_id != target.pk),
            default=None,
        )

    def taken(self, version: int, target: Target) -> Wheel | None:
        """Return the wheel of a version that installers take on a target without being told to."""
        wheel = self.serving(version, target)
        return wheel if wheel and wheel.pk not in self.yanks else None

    def takes_upstreams(self, version: int, target: Target) -> bool:
        """Tell whether pip takes upstream's own wheel of a version on a target, whatever we build for it."""
        return not self.package.is_hidden and bool(target.takes(self.upstream.get(version, ())))

    def compiles(self, version: int, target: Target) -> bool:
        """Tell whether pip would compile a version on a target, where it has no wheel."""
        source = self.sources.get(version)
        return source is not None and admits(source.requires_python, target.python)

    def _covers(self, wheel: Wheel, target: Target) -> bool:
        if wheel.pk not in self._offers:
            self._offers[wheel.pk] = wheel.offer()
        return covers(self._offers[wheel.pk], self._needs[target.pk])

    def cell(self, version: Version, target: Target) -> Cell:
        """Return what a target has of a version."""
        build = self.builds.get((version.pk, target.pk))
        wheel = self.serving(version.pk, target)
        if wheel and wheel.pk not in self.yanks:
            return _of_wheel(wheel, target, build)
        if build and self._is_held(build):
            url = build.get_absolute_url()
            return Cell(Kind.HELD, "…", "built, waits for an operator", url, "none", build)
        # What is built nevertheless is said by its build.
        if build and build.is_open:
            return _of_build(build)
        return self._without_wheel(version, target, build, wheel)

    def _without_wheel(
        self, version: Version, target: Target, build: Build | None, yanked: Wheel | None
    ) -> Cell:
        """Return what there is where installers take no wheel of ours, and none is being built."""
        # pip goes from a wheel of ours that is yanked to upstream's, whatever we build for the target.
        theirs = self.upstream.get(version.pk, [])
        if not self.package.is_hidden and (
            target.takes(theirs) if yanked else target.served_upstream(theirs)
        ):
            word = "served by upstream's wheel"
            return Cell(Kind.UPSTREAM, "✔", word, self.upstream_page, "succeeded", build)
        if yanked:
            yank, url = self.yanks[yanked.pk], yanked.build.get_absolute_url()
            return Cell(Kind.YANKED, "–", f"built, but {yank.said}", url, "none", build, yank=yank)
        if build and build.state == Build.State.SUCCEEDED:
            word = f"built, but {self._why_away(build, target)}"
            return Cell(Kind.AWAY, "–", word, build.get_absolute_url(), "none", build)
        return _of_build(build) if build else self._why_not(version, target)

    def _is_held(self, build: Build) -> bool:
        """Tell whether a wheel of a build waits for an operator."""
        return any(
            wheel.held_reason and wheel.withdrawn_at is None
            for wheel in self.kept_back.get(build.version_id, ())
            if wheel.build_id == build.pk
        )

    def _why_away(self, build: Build, target: Target) -> str:
        """Return why what a build has made is not offered, or what it found made before."""
        kept_back = self.kept_back.get(build.version_id, ())
        own = [wheel for wheel in kept_back if wheel.build_id == build.pk]
        fitting = own or [wheel for wheel in kept_back if self._covers(wheel, target)]
        if fitting:
            return why_not_offered(fitting[0])
        is_offered = any(wheel.build_id == build.pk for wheel in self.wheels.get(build.version_id, ()))
        return "its wheel does not fit this system" if is_offered else "no wheel of it is here"

    def _why_not(self, version: Version, target: Target) -> Cell:
        """Return why a version is not even queued for a target."""
        source, skip = self.sources.get(version.pk), self.skips.get(target.pk, "")
        twin = self.stand_ins.get(version.pk)
        reasons = [
            (version.gone_at or self.package.status == Package.Status.GONE, Kind.NEVER, "removed upstream"),
            (version.yanked, Kind.NEVER, "yanked upstream"),
            (self.package.is_hidden, Kind.NEVER, "quarantined upstream"),
            (self.package.skip_reason, Kind.NEVER, f"skipped: {self.package.skip_reason}"),
            (version.skip_reason, Kind.NEVER, f"skipped: {version.skip_reason}"),
            (skip, Kind.NEVER, f"skipped: {skip}"),
            (not version.canonical, Kind.NEVER, "not a version that pip can read"),
            (source is None, Kind.SOURCELESS, "no source that can be built"),
            (not self.compiles(version.pk, target), Kind.NEVER, f"not for Python {target.python}"),
            (not target.is_active, Kind.NEVER, "no longer built"),
            (twin, Kind.NEVER, f"the same version as {twin and twin.number}, which is built"),
        ]
        found = ((kind, text) for applies, kind, text in reasons if applies)
        kind, text = next(found, (Kind.UNCHOSEN, "not among the newest, which are built"))
        return Cell(kind, "–", text, "", "none")

    def files(self, version: int) -> list[File]:
        """Return the wheels of a version, with what there is to say of each."""
        return [
            File(
                wheel,
                apt=apt_names(wheel),
                missing=needed(wheel, Dependency.Tool.NONE),
                pip=needed(wheel, Dependency.Tool.PIP),
                remarks=[*self._remarks_on_index(wheel), *remarks_on(wheel)],
                yank=self.yanks.get(wheel.pk),
            )
            for wheel in self.wheels.get(version, ())
        ]

    def _remarks_on_index(self, wheel: Wheel) -> list[str]:
        """Say which index has a wheel, if not all of them have."""
        name = self.only_in.get(wheel.pk)
        return (
            [f"In the index /{name}/ alone, as another one of its name runs where it does not."]
            if name
            else []
        )


def _of_wheel(wheel: Wheel, target: Target, build: Build | None) -> Cell:
    """Return what a wheel says that installers take."""
    sign, built = STATES[Build.State.SUCCEEDED]
    is_own = wheel.build.target_id == target.pk
    kind, word = (Kind.WHEEL, built) if is_own else (Kind.FITS, "served by another target's wheel")
    return Cell(kind, sign, word, wheel.build.get_absolute_url(), "succeeded", build, wheel)


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
    package: Package, versions: Mapping[int, Version], targets: Sequence[Target], *, upstream_page: str
) -> Matrix:
    """Read what there is of these versions, given by their keys."""
    wheels: dict[int, list[Wheel]] = defaultdict(list)
    for wheel in described(index.offered().filter(version__in=versions)):
        wheel.package = package
        wheels[wheel.version_id].append(wheel)
    away: dict[int, list[Wheel]] = defaultdict(list)
    for wheel in kept_back(Wheel.objects.filter(version__in=versions)):
        away[wheel.version_id].append(wheel)
    files = UpstreamFile.objects.filter(version__in=versions)
    upstream = upstream_wheels(files)
    found = yanks(chain(*wheels.values()), upstream)
    sources = best_sources(files)
    attempts = Build.objects.filter(version__in=versions).order_by("attempt")
    return Matrix(
        package=package,
        targets=targets,
        upstream_page=upstream_page,
        wheels=wheels,
        yanks=found,
        only_in=index.only_in([wheel for wheel in chain(*wheels.values()) if wheel.pk not in found]),
        kept_back=away,
        builds={(build.version_id, build.target_id): build for build in attempts},
        sources=sources,
        upstream=upstream,
        skips=dict(Skip.objects.filter(package=package).values_list("target", "reason")),
        stand_ins=stand_ins(versions.values(), sources),
    )


def described(wheels: WheelQuerySet) -> WheelQuerySet:
    """Return wheels with all that pages say of them."""
    dependencies = Prefetch("dependencies", Dependency.objects.order_by("name"))
    found = wheels.select_related("package", "version", *_BUILD)
    return found.prefetch_related(dependencies)


def kept_back(wheels: WheelQuerySet) -> WheelQuerySet:
    """Return those of these wheels that the index does not offer, the newest first, with what says why."""
    offered = index.offered().filter(pk=OuterRef("pk"))
    return wheels.exclude(Exists(offered)).select_related("package", "version", *_BUILD).order_by("-pk")


def needed(wheel: Wheel, tool: Dependency.Tool) -> list[str]:
    """Return the names of what a wheel needs, sorted, each once."""
    return sorted({dependency.name for dependency in wheel.dependencies.all() if dependency.tool == tool})


def apt_names(wheel: Wheel) -> list[str]:
    """Return the apt packages that a wheel needs beyond those that the target's image has."""
    return wheel.build.target.lacks(needed(wheel, Dependency.Tool.APT))
