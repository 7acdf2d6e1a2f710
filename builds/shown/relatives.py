"""The other builds that a build is best understood beside."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import OuterRef, QuerySet

from builds.models import Build

# Nobody reads more of them; the package's page has them all.
MOST = 100


@dataclass(frozen=True)
class Relatives:
    """The builds around one."""

    before: Build | None
    after: Build | None
    attempts: list[Build]  # at the same version for the same target, the last one first, without this one
    elsewhere: list[Build]  # the last one of the version for each other target
    compared: list[tuple[str, Build]]  # with what its log is worth comparing, and what that is


def of(build: Build) -> Relatives:
    """Return the builds around one; two queries, however many there are."""
    found = list(
        Build.objects.filter(version=build.version_id).select_related("target").order_by("-pk")[:MOST]
    )
    attempts = [other for other in found if other.target_id == build.target_id and other.pk != build.pk]
    others = [other for other in found if other.target_id != build.target_id]
    last = {other.target_id: other for other in reversed(others)}
    before = max((other for other in attempts if other.attempt < build.attempt), key=_attempt, default=None)
    after = min((other for other in attempts if other.attempt > build.attempt), key=_attempt, default=None)
    elsewhere = sorted(last.values(), key=lambda other: (other.target.order, other.target.key))
    return Relatives(before, after, attempts, elsewhere, list(_compared(build, before, others)))


def _attempt(build: Build) -> int:
    return build.attempt


def _compared(build: Build, before: Build | None, others: list[Build]) -> Iterator[tuple[str, Build]]:
    """Yield the builds whose logs tell most about this one's."""
    if build.state == Build.State.FAILED:
        elsewhere = next((other for other in others if other.state == Build.State.SUCCEEDED), None)
        if elsewhere:
            yield f"the last good build of this version, for {elsewhere.target}", elsewhere
        if earlier := _good_before(build):
            yield f"the last good build for this target, of {earlier.version.number}", earlier
    if before and not build.is_open and not before.is_open:
        yield "the attempt before", before


def _good_before(build: Build) -> Build | None:
    """Return the build of the newest version before this one that succeeded for the same target."""
    good = good_builds(build.version.package_id, build.target_id).exclude(version=build.version_id)
    return good.filter(released_at__lte=build.released_at).select_related("version").first()


def good_builds(package: int | OuterRef, target: int | OuterRef) -> QuerySet[Build]:
    """Return the builds of a package that succeeded for a target, the one released last first.

    Both are keys, or stand for those of a query around it.
    """
    good = Build.objects.filter(version__package=package, target=target, state=Build.State.SUCCEEDED)
    return good.order_by("-released_at", "-pk")
