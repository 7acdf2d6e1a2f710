"""What there is of a package for each target: one look, for its page, badge and card, and for apt's line."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from django.db.models import Q

from builds.models import Build, Target
from packages.models import Package, Placed, UpstreamFile, Version
from packages.ordering import LEGACY, order
from piwheels_site import answers, matrix
from piwheels_site.answers import Answer
from piwheels_site.matrix import Matrix
from piwheels_site.naming import upstream_url


@dataclass(frozen=True)
class Looked:
    """What there is of a package: what each target gets, and what that was read from."""

    package: Package
    newest: Version | None
    versions: dict[int, Version]
    found: Matrix
    answers: list[Answer]
    speaking: frozenset[int]  # the versions, by their keys, that were heard: the newest

    @property
    def its_builds(self) -> list[Build]:
        """The last attempts at those versions: the same ones, whichever others are shown."""
        return [build for build in self.found.builds.values() if build.version_id in self.speaking]

    @property
    def installed(self) -> list[Answer]:
        """The answers of targets where pip takes a wheel from here."""
        return [answer for answer in self.answers if answer.wheel]


def look(package: Package, placed: Sequence[Placed], shown: Iterable[Placed], now: datetime) -> Looked:
    """Read what each target gets of a package, and what there is of the versions that are shown.

    It takes the same few queries for any package, and one more for one of many versions.
    """
    targets = _targets_of(package)
    speaking = _heard(package, answers.spokesmen(placed), targets)
    versions = Version.objects.in_bulk(_with_twins({version.pk for version in [*shown, *speaking]}, placed))
    found = matrix.read(package, versions, targets, upstream_page=upstream_url(package.name))
    newest = versions.get(speaking[0].pk) if speaking else None
    spokesmen = frozenset(version.pk for version in speaking)
    return Looked(package, newest, versions, found, answers.answers(found, newest, speaking, now), spokesmen)


def _heard(package: Package, speaking: Sequence[Placed], targets: Iterable[Target]) -> Sequence[Placed]:
    """Return those of the versions that may speak for a package that are looked at."""
    if len(speaking) <= answers.LOOKED_AT:
        return speaking
    files = UpstreamFile.objects.listed().filter(version__package=package, yanked=False).order_by()
    wanted: dict[int, list[str]] = defaultdict(list)
    for version, requires_python in files.values_list("version", "requires_python").distinct():
        wanted[version].append(requires_python)
    return answers.heard(speaking, wanted, {target.python for target in targets if target.is_active})


def _with_twins(versions: set[int], placed: Sequence[Placed]) -> set[int]:
    """Add to some versions their other spellings, as one of `1.0` and `1.0.0` is built."""
    found = set(versions)
    for key, alike in groupby(placed, lambda version: order(version.canonical)):
        twins = {version.pk for version in alike}
        if key != LEGACY and not versions.isdisjoint(twins):
            found |= twins
    return found


def _targets_of(package: Package) -> list[Target]:
    """Return the targets that we build for, and others for which this package was built."""
    tried = Build.objects.filter(version__package=package).values("target")
    return list(Target.objects.filter(Q(is_active=True) | Q(pk__in=tried)))
