"""Takes away what there is of a package, or of one version of it, because an operator says so.

A wheel's row is never deleted, so that nothing gets its name again: it is withdrawn, and its build stays on
record.  What was tried and left no wheel is forgotten, with its log.
"""

import logging
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction
from packaging.utils import canonicalize_name

from builds.files import logs, moving, takedown
from builds.models import Build, BuildQuerySet, Wheel, WheelQuerySet
from builds.planning import rebuilding
from packages.journal import ALL
from packages.models import Dirty, Package, Version
from packages.wording import many

logger = logging.getLogger(__name__)


class CannotForget(Exception):
    """The farm would follow it again by itself; the text says what to do first."""


@dataclass(frozen=True)
class Subject:
    """A package, or one version of it."""

    package: Package
    version: Version | None = None

    def __str__(self) -> str:
        return str(self.version or self.package)

    def builds(self) -> BuildQuerySet:
        """Return all builds of it."""
        if self.version:
            return Build.objects.filter(version=self.version)
        return Build.objects.filter(version__package=self.package)

    def wheels(self) -> WheelQuerySet:
        """Return its wheels that are not withdrawn."""
        found = Wheel.objects.standing().select_related("package")
        return found.filter(version=self.version) if self.version else found.filter(package=self.package)

    def counted(self) -> str:
        """Say how much there is of it."""
        tried = self.builds().filter(wheels=None)
        return (
            f"{many(self.wheels().count(), Wheel._meta)}, {many(tried.count(), Build._meta)} without a wheel"
            f" ({self.builds().open().count()} of them open)"
        )


def start_over(subject: Subject, reason: str, now: datetime) -> rebuilding.Answer:
    """Withdraw the wheels of something, forget what was tried, and have all of it built again."""
    with transaction.atomic():
        subject.package.hold()
        pairs = rebuilding.of_package(subject.package, subject.version)
        tried = _clear(subject, reason, now)
        answer = rebuilding.rebuild(subject.package, pairs, reason, now)
    _remove_logs(tried)
    return answer


def skip(subject: Subject, reason: str, now: datetime) -> None:
    """Withdraw the wheels of something, forget what was tried, and build it no more."""
    with transaction.atomic():
        subject.package.hold()
        tried = _clear(subject, reason, now)
        (subject.version or subject.package).skip(reason)
    _remove_logs(tried)


@transaction.atomic
def yank(subject: Subject, reason: str) -> int:
    """Ask installers not to choose the wheels of something; return how many no operator had yanked yet."""
    subject.package.hold()
    wheels = [wheel for wheel in subject.wheels() if not wheel.is_yanked_by_hand]
    for wheel in wheels:
        wheel.yank(reason)
    return len(wheels)


def may_forget(package: Package) -> None:
    """Raise CannotForget for a package that would be followed again at once."""
    watched = settings.PIWHEELS_WATCH
    if ALL in watched or package.name in {str(canonicalize_name(name)) for name in watched}:
        raise CannotForget(
            f"PIWHEELS_WATCH has {package} followed again within a minute. Take it out of there first, or"
            " skip the package."
        )


def forget(package: Package, reason: str, now: datetime) -> bool:
    """Forget a package as if it had never been followed; True if its row is gone, too.

    The bytes of its wheels are removed for good.  The row of a package that ever had a wheel stays, skipped,
    for the names that nothing else may get.  Raises CannotForget.
    """
    may_forget(package)
    with transaction.atomic():
        package.hold()
        subject = Subject(package)
        takedown.take_down(Wheel.objects.filter(package=package, taken_down_at=None), reason, now)
        tried = _clear(subject, reason, now)
        has_names = Wheel.objects.filter(package=package).exists()
        if has_names:
            package.skip(reason)
        else:
            Dirty.objects.filter(name=package.name).delete()
            package.delete()
    _remove_logs(tried)
    return not has_names


def _clear(subject: Subject, reason: str, now: datetime) -> list[int]:
    """Withdraw wheels, end builds, and forget those without a wheel; return these.

    The caller holds the package, as everybody who publishes does.
    """
    for build in subject.builds().open():
        build.cancel(reason, now)
    for wheel in subject.wheels():
        wheel.withdraw(now, reason)
    tried = subject.builds().filter(wheels=None)
    numbers = list(tried.values_list("pk", flat=True))
    tried.delete()
    subject.package.request_plan()
    subject.package.mark_changed()
    return numbers


def _remove_logs(builds: list[int]) -> None:
    """Remove the logs of builds that no row tells of any more.

    What is left, as a storage fails or the process is killed, a check of the storage finds.
    """
    for build in builds:
        try:
            logs.remove(build)
        except moving.faults() as error:
            logger.error("The log of build %s could not be removed: %s", build, error)
