"""Finds what an operator names on a command line; raises CommandError, which says what there is."""

from collections.abc import Iterable
from typing import NamedTuple

from django.core.management.base import CommandError
from packaging.utils import canonicalize_name

from builds.models import Target, Wheel, WheelQuerySet
from packages.models import Package, Version, canonical_version


class Subject(NamedTuple):
    """What a deed is done to: a package or one version of it, for one target or for all."""

    package: Package
    version: Version | None
    target: Target | None

    def __str__(self) -> str:
        return f"{self.version or self.package}{f' for {self.target}' if self.target else ''}"


def subject(what: str, key: str | None = None) -> Subject:
    """Return what `PACKAGE[==VERSION]` and a target's key name; without a key it is for all."""
    name, number = split(what)
    of = package(name)
    return Subject(of, version(of, number) if number else None, target(key) if key else None)


def split(what: str) -> tuple[str, str]:
    """Return name and version of `PACKAGE[==VERSION]`; the version may be ""."""
    name, _, number = what.partition("==")
    return name.strip(), number.strip()


def package(name: str) -> Package:
    """Return a package in any spelling of its name."""
    found = Package.objects.filter(name=canonicalize_name(name)).first()
    if found is None:
        raise CommandError(f"The farm does not follow {name}: add_package does so.")
    return found


def version(of: Package, number: str) -> Version:
    """Return a version as upstream spells it, or in another spelling."""
    found = of.versions.filter(number=number).first()
    canonical, _ = canonical_version(number)
    found = found or of.versions.filter(canonical=canonical).exclude(canonical="").first()
    if found is None:
        raise CommandError(f"Upstream has no {of} {number}, as far as the farm knows.")
    return found


def target(key: str) -> Target:
    """Return a target by its key."""
    found = Target.objects.filter(key=key).first()
    if found is None:
        keys = ", ".join(Target.objects.values_list("key", flat=True))
        raise CommandError(f"There is no target {key}; there are: {keys or 'none'}.")
    return found


def wheels(words: Iterable[str]) -> list[Wheel]:
    """Return the wheels that these words name, each a file name or `PACKAGE[==VERSION]`, once each."""
    found: dict[int, Wheel] = {}
    for word in words:
        some = list(_wheels(word))
        if not some:
            raise CommandError(f"The index has no wheel {word}. Nothing was done.")
        found |= {wheel.pk: wheel for wheel in some}
    return list(found.values())


def _wheels(word: str) -> WheelQuerySet:
    """Return the wheels that one word names and that are not withdrawn."""
    standing = Wheel.objects.standing().select_related("package")
    if word.endswith(".whl"):
        return standing.filter(filename=word)
    name, number = split(word)
    of = package(name)
    return standing.filter(version=version(of, number)) if number else standing.filter(package=of)
