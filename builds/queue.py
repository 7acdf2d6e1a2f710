"""The policy: which versions to build for which targets, in which order, and why.

A plan is made for one package at a time, when something about it has changed; what it wants becomes a queued
build, what it no longer wants is dropped.  Everything else waits in the database, where operators see it.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction
from packaging.version import Version as ParsedVersion

from builder.elf import version_key
from builds import recipes
from builds.coverage import Offer, admits, covers
from builds.models import Build, Builder, Size, Target, Wheel
from packages.models import Package, UpstreamFile, UpstreamFileQuerySet, Version

logger = logging.getLogger(__name__)

# What a build's priority may be, and how a person reads it; the higher goes first.
REQUESTED = (100, "Somebody asked for this version.")
NEWEST = (50, "It is the newest version.")
OLDER = (10, "It is an older version.")
PRERELEASE = (5, "It is a pre-release.")

# pip unpacks all of these; where upstream has several, it is the first that is built.
SOURCE_ENDINGS = (".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz")

# How many builds are looked at beyond those that are given, for one that no older system waits for.
LOOK_AHEAD = 20


@dataclass(frozen=True)
class Wish:
    """A version that is worth a wheel, and the source to build it from."""

    version: Version
    source: UpstreamFile
    priority: int
    why: str


def plan_changed(now: datetime, limit: int) -> int:
    """Make a plan for packages of which something changed; return how many builds that touched."""
    touched = 0
    for package in Package.objects.to_plan().order_by("pk")[:limit]:
        touched += _plan_or_log(package, now)
    return touched


def _plan_or_log(package: Package, now: datetime) -> int:
    """Make a plan for one package, which must not keep those behind it from theirs."""
    try:
        return plan(package, now)
    except Exception:
        logger.exception("No plan could be made for %s; it is tried again when it changes.", package)
        package.begin_plan()
        return 0


@transaction.atomic
def plan(package: Package, now: datetime) -> int:
    """Queue the builds that a package lacks, drop those that it no longer needs, and count both."""
    if not package.begin_plan():
        return 0
    package.refresh_from_db()
    wishes = wanted(package)
    needs = {target: target.need() for target in Target.objects.active()}
    offers = _offers(package)
    wanted_pairs = {
        (wish.version.pk, target.pk): wish
        for wish in wishes
        for target, need in needs.items()
        if admits(wish.source.requires_python, target.python)
        and not any(covers(offer, need) for offer in offers.get(wish.version.pk, []))
    }
    latest = {
        (build.version_id, build.target_id): build
        for build in Build.objects.filter(version__package=package).order_by("attempt")
    }
    dropped = [
        build.drop("It is no longer needed: skipped, withdrawn upstream, or served by another wheel.", now)
        for pair, build in latest.items()
        if build.is_open and pair not in wanted_pairs
    ]
    return sum(dropped) + _queue(package, wanted_pairs, latest)


def _queue(
    package: Package, wishes: dict[tuple[int, int], Wish], latest: dict[tuple[int, int], Build]
) -> int:
    """Queue what is wanted and was not tried, or only dropped; return how many builds that are."""
    size = recipes.size_for(package) if wishes.keys() - latest.keys() else ""
    new = [
        Build(
            version_id=version,
            target_id=target,
            priority=wish.priority,
            why=wish.why,
            size=size,
            **({"released_at": wish.version.released_at} if wish.version.released_at else {}),
        )
        for (version, target), wish in wishes.items()
        if (version, target) not in latest
    ]
    Build.objects.bulk_create(new)
    for pair, wish in wishes.items():
        before = latest.get(pair)
        if before is None:
            continue
        if before.state == Build.State.CANCELLED and before.may_return:
            new.append(before.again(losses=before.losses, priority=wish.priority, why=wish.why))
        elif before.state == Build.State.QUEUED and before.priority != wish.priority:
            before.prioritise(wish.priority, wish.why)
    return len(new)


def _offers(package: Package) -> dict[int, list[Offer]]:
    """Return what our index has of a package, or will have once a person has looked at it, by version."""
    offers: dict[int, list[Offer]] = {}
    for wheel in Wheel.objects.standing().filter(package=package).select_related("build__target"):
        offers.setdefault(wheel.version_id, []).append(wheel.offer())
    return offers


def wanted(package: Package) -> list[Wish]:
    """Return the versions of a package that are worth a wheel, whatever the target.

    The newest few by the package's depth, and those that somebody asked for.  Nothing of a skipped or
    quarantined package, nothing yanked, no nightly (`.dev`), no version that pip cannot read.
    """
    if package.skip_reason or package.status in (Package.Status.QUARANTINED, Package.Status.GONE):
        return []
    sources = _sources(package)
    candidates = sorted(
        (
            version
            for version in package.versions.listed()
            .filter(yanked=False, skip_reason="")
            .exclude(canonical="")
            if version.pk in sources
        ),
        key=lambda version: version.sort_key,
        reverse=True,
    )
    candidates = _without_twins(candidates)
    finals = [version for version in candidates if not version.is_prerelease] or candidates
    depth = package.depth if package.depth is not None else settings.PIWHEELS_DEPTH or None
    chosen = [
        version
        for version in candidates
        if version.requested_at
        or (version in finals[:depth] and not ParsedVersion(version.canonical).is_devrelease)
        or (depth is None and not ParsedVersion(version.canonical).is_devrelease)
    ]
    return [_wish(version, sources[version.pk], finals[0]) for version in chosen]


def _wish(version: Version, source: UpstreamFile, newest: Version) -> Wish:
    """Return the wish for a version, with the priority that it deserves."""
    if version.requested_at:
        priority, why = REQUESTED
    elif version == newest:
        priority, why = NEWEST
    else:
        priority, why = PRERELEASE if version.is_prerelease else OLDER
    return Wish(version=version, source=source, priority=priority, why=why)


def _without_twins(versions: Iterable[Version]) -> list[Version]:
    """Keep one of `1.0` and `1.0.0`, whose wheels would have one name: the one released last."""
    kept: dict[ParsedVersion, Version] = {}
    for version in versions:
        twin = kept.get(ParsedVersion(version.canonical))
        if twin is None or (
            version.released_at and twin.released_at and version.released_at > twin.released_at
        ):
            kept[ParsedVersion(version.canonical)] = version
    return list(kept.values())


def _sources(package: Package) -> dict[int, UpstreamFile]:
    """Return the one file that each version of a package is built from."""
    return _best_of(UpstreamFile.objects.filter(version__package=package))


def _best_of(files: UpstreamFileQuerySet) -> dict[int, UpstreamFile]:
    """Return the one of these files that each version is built from."""
    best: dict[int, UpstreamFile] = {}
    needed = files.only("version", "filename", "url", "sha256", "requires_python", "uploaded_at")
    for file in needed.listed().sources().filter(yanked=False):
        other = best.get(file.version_id)
        if _rank(file) is not None and (other is None or _rank(file) < _rank(other)):  # type: ignore[operator]
            best[file.version_id] = file
    return best


def _rank(file: UpstreamFile) -> tuple[int, str] | None:
    """Return how much a source is preferred, lower first; None for a kind that pip cannot build."""
    for rank, ending in enumerate(SOURCE_ENDINGS):
        if file.filename.endswith(ending):
            return rank, file.filename
    return None


def source_of(build: Build) -> UpstreamFile | None:
    """Return the source to build from, or None when there is no longer one."""
    return _best_of(UpstreamFile.objects.filter(version=build.version_id)).get(build.version_id)


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
    count = len(builders) + len(elsewhere) + LOOK_AHEAD
    fitting = Build.objects.waiting().due(now).filter(target=target, size__in=size.and_smaller())
    free = [build for build in fitting[:count] if build.version_id not in elsewhere - known]
    first = _oldest_first(free, target)
    if not {build.avoid_id for build in first} & {builder.pk for builder in builders}:
        return list(zip(first, builders, strict=False))
    others = list(Builder.objects.at_work(now).filter(target=target))
    pairs: dict[Build, Builder] = {}
    for builder in builders:
        # A builder that lost a whole row of builds must not idle before those behind them.
        behind = fitting.exclude(avoid=builder)[:count]
        for build in (build for some in (first, behind) for build in some):
            stays = build in pairs or build.version_id in elsewhere - known
            if not stays and not _is_for_another(build, builder, others):
                pairs[build] = builder
                break
    return list(pairs.items())


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
    return sorted(builds, key=lambda build: (-build.priority, build.version_id in wait))
