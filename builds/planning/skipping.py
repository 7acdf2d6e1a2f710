"""What an operator does not want built: a package, one of its versions, or a package for one target.

Wheels that are there stay; what waits for a builder, or is at one, is dropped by the next plan.
"""

from builds.models import Build, Skip, Target
from packages.models import Package, Version

# As long as the columns are.
LONGEST = 200


class CannotSkip(Exception):
    """It cannot be skipped so; the text says how it can."""


def check(version: Version | None, target: Target | None, reason: str) -> None:
    """Raise CannotSkip if this cannot be skipped so."""
    if not reason.strip() or len(reason) > LONGEST:
        raise CannotSkip(
            f"Give a reason of at most {LONGEST} characters: people read it on the package's page."
        )
    if version and target:
        raise CannotSkip("Name a version or a target: a version is skipped for all targets.")


def skip(package: Package, version: Version | None, target: Target | None, *, reason: str, by: str) -> None:
    """Build this no more; a reason that was given before is replaced.  Raises CannotSkip."""
    check(version, target, reason)
    if target:
        row = Skip.objects.filter(package=package, target=target).first() or Skip(
            package=package, target=target
        )
        row.reason, row.by = reason, by
        row.begin()
    else:
        (version or package).skip(reason)


def is_skipped(package: Package, version: Version | None, target: Target | None) -> bool:
    """Tell whether this very thing is skipped."""
    if target:
        return Skip.objects.filter(package=package, target=target).exists()
    return bool((version or package).skip_reason)


def unskip(package: Package, version: Version | None, target: Target | None) -> bool:
    """Build this again; False if it was not skipped."""
    if target:
        rows = list(Skip.objects.filter(package=package, target=target))
        for row in rows:
            row.end()
        return bool(rows)
    skipped = version or package
    if not skipped.skip_reason:
        return False
    skipped.unskip()
    return True


def open_builds(package: Package, version: Version | None, target: Target | None) -> int:
    """Return how many builds a skip would drop."""
    found = Build.objects.open().filter(version__package=package)
    if version:
        found = found.filter(version=version)
    return found.filter(**({"target": target} if target else {})).count()
