"""Adds a package, or one version of it, because a person asks for it; and tells the person if that cannot be.

Unlike `sync`, which takes what comes, this looks upstream at once and refuses with a reason.
"""

from datetime import datetime, timedelta

from django.db import transaction
from packaging.utils import InvalidName, canonicalize_name
from packaging.version import Version as ParsedVersion

from packages import merge
from packages.models import Dirty, Package, Version, canonical_version
from packages.project import MAX_NAME, Project
from packages.pypi import NoSuchProject, PyPI

# Whoever reads the journal passes over names that we do not have, which a new one was while it was fetched;
# after this time they have read on.
SECOND_LOOK = timedelta(minutes=2)


class CannotAdd(Exception):
    """What was asked for cannot be built; the text says why, and what can."""


class BadName(CannotAdd):
    """That is no package's name."""


class NotUpstream(CannotAdd):
    """Upstream has no such package."""


class NoSuchVersion(CannotAdd):
    """The package has no such version."""


class NotBuildable(CannotAdd):
    """The version is there, but nothing can be built of it."""


class Skipped(CannotAdd):
    """An operator decided that it is not to be built."""


def add(
    pypi: PyPI, name: str, *, version: str | None = None, depth: int | None = None, now: datetime
) -> Package:
    """Follow a package, or ask for one version of it to be built first.

    A package that is new, and asked for by one version, is built in that version only, unless a depth is
    given.  Raises CannotAdd, and UpstreamUnavailable; then nothing is written.
    """
    return _write(*_asked(pypi, name, version), depth, now)


def check(pypi: PyPI, name: str, *, version: str | None = None, now: datetime) -> None:
    """Tell whether it could be added, and leave nothing of it; raises as `add` does."""
    asked = _asked(pypi, name, version)
    with transaction.atomic():
        _write(*asked, None, now)
        transaction.set_rollback(True)


def _asked(pypi: PyPI, name: str, version: str | None) -> tuple[Project, str | None]:
    """Return upstream's state of a package, and how it spells the version."""
    project = _fetch(pypi, name)
    return project, None if version is None else _number(project, version)


def _write(project: Project, number: str | None, depth: int | None, now: datetime) -> Package:
    """Add what upstream has, or nothing."""
    with transaction.atomic():
        is_new = not Package.objects.filter(name=project.name).exists()
        package = merge.apply(project, now)
        if is_new:
            Dirty.remind([package.name], Dirty.Why.FIRST, now + SECOND_LOOK)
        _refuse_skipped(package)
        if number is None or depth is not None:
            package.follow(depth)
        elif is_new:
            package.follow(0)
        if number is not None:
            request(package.versions.get(number=number), now)
    return package


def _refuse_skipped(subject: Package | Version) -> None:
    """Raise Skipped for what an operator has decided not to build."""
    if subject.skip_reason:
        raise Skipped(f"{subject} is skipped: {subject.skip_reason}. Unskip it first.")


def _fetch(pypi: PyPI, name: str) -> Project:
    """Return upstream's state of the package of that name.

    That one we have is not there is for `sync` to believe, which asks more than once.
    """
    try:
        canonical = canonicalize_name(name, validate=True)
    except InvalidName as error:
        raise BadName(
            f"{name!r} is no package's name: that has letters, digits, and `-`, `_` or `.` between them."
        ) from error
    if len(canonical) > MAX_NAME:
        raise BadName(f"{name[:40]}… is too long for a package's name: {MAX_NAME} characters are the most.")
    try:
        return pypi.project(canonical)
    except NoSuchProject as error:
        raise NotUpstream(f"{error} Look at the spelling.") from error


def _number(project: Project, version: str) -> str:
    """Return how upstream spells a version."""
    numbers = [release.number for release in project.versions]
    if version in numbers:
        return version
    wanted = canonical_version(version)[0]
    same = [number for number in numbers if wanted and _is_equal(number, wanted)]
    if len(same) == 1:
        return same[0]
    newest = sorted(numbers, key=_sort_key, reverse=True)[:5]
    told = f"the newest are {', '.join(newest)}" if newest else "it has none at all"
    raise NoSuchVersion(f"{project.name} has no version {version}: {told}.")


def _is_equal(number: str, wanted: str) -> bool:
    """Whether two versions are the same to PEP 440, as 1.0 and 1.0.0 are."""
    canonical = canonical_version(number)[0]
    return bool(canonical) and ParsedVersion(canonical) == ParsedVersion(wanted)


def _sort_key(number: str) -> tuple[bool, ParsedVersion, str]:
    """Return a key that orders version numbers."""
    return Version(number=number, canonical=canonical_version(number)[0]).sort_key


def request(version: Version, now: datetime) -> None:
    """Ask for a version to be built first; raises NotBuildable and Skipped."""
    if not version.canonical:
        raise NotBuildable(f"{version} is no version to PEP 440, so no pip of today would install it.")
    if version.gone_at or version.yanked:
        reason = f": {version.yanked_reason.rstrip('.')}" if version.yanked_reason else ""
        state = "is gone from upstream" if version.gone_at else f"is yanked upstream{reason}"
        raise NotBuildable(f"{version} {state}. Ask for another version.")
    if not version.files.listed().sources().exists():
        raise NotBuildable(f"{version} has no source upstream, so it cannot be built.")
    _refuse_skipped(version)
    version.request(now)
