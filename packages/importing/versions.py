"""Takes over versions: when they were released, whether they are yanked or skipped."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from packages import plain_sql
from packages.batches import batches
from packages.importing import names
from packages.importing.original import Original, epoch
from packages.importing.progress import Batch, Progress
from packages.models import NEVER, Package, Version, canonical_version

BATCH = 2000
# What its sync writes into `skip` itself; here the files upstream tell the same, and tell it when it changes.
BINARY_ONLY = "binary only"
LATER = "its package came after the packages were read: say it again"

_PAGE = f"""
    SELECT package, version, {epoch("released")}, coalesce(versions.skip, ''), versions.yanked,
           coalesce(packages.skip, '')
    FROM versions JOIN packages USING (package)
    WHERE (package, version) > (%s, %s) ORDER BY package, version LIMIT {BATCH}
"""  # noqa: S608 (of constants)


class Listed(NamedTuple):
    """A version of theirs."""

    package: str
    number: str
    released_s: float | None
    skip: str
    yanked: bool
    package_skip: str

    @property
    def released_at(self) -> datetime | None:
        """When it was released; what has no time there has the first second of 1970."""
        return datetime.fromtimestamp(self.released_s, UTC) if self.released_s else None

    @property
    def skip_reason(self) -> str:
        """The skip that holds here too."""
        return "" if self.skip == BINARY_ONLY else self.skip[:200]


def refusal(number: str, skip: str) -> str:
    """Return why a version is not taken; "" if it is."""
    if not number.strip() or not number.isprintable() or len(number) > 200:
        return "its number is none that an index can have"
    return "it is being deleted there" if skip == names.DELETED else ""


def take(original: Original, progress: Progress) -> None:
    """Take over all versions; those that we have are brought up to date."""
    step = progress.step("versions")
    if step.is_finished:
        step.begin_again("versions")
    with progress.bar(original.number("SELECT count(*) FROM versions")) as bar:
        bar.show("versions")
        while rows := original.page(_PAGE, step.cursor or ["", ""]):
            batch = Batch()
            found = _judged([Listed(*row) for row in rows], batch)
            with transaction.atomic():
                if not progress.is_dry:
                    _write(found, batch)
                step.note(batch, [rows[-1][0], rows[-1][1]])
            bar.advance(len(rows))
    step.finish()


def _judged(versions: Sequence[Listed], batch: Batch) -> list[Listed]:
    """Return what is taken of these versions, and note of all what becomes of them."""
    found = []
    for version in versions:
        batch.read("versions")
        key = f"{version.package} {version.number}"
        if names.refusal(version.package, version.package_skip):
            batch.refuse("versions", key, "its package is not taken")
        elif reason := refusal(version.number, version.skip):
            batch.refuse("versions", key, reason)
        else:
            batch.wrote("versions", key)
            batch.noted("versions", "legacy", not canonical_version(version.number)[0])
            batch.noted("versions", "skipped", bool(version.skip_reason))
            batch.noted("versions", "yanked", version.yanked)
            found.append(version)
    return found


def _write(found: Sequence[Listed], batch: Batch) -> None:
    """Write the versions that are not there, and what has changed of the others."""
    packages = _packages({version.package for version in found})
    known = _known([package.pk for package in packages.values()])
    new = []
    for version in found:
        if version.package not in packages:
            batch.took_back("versions", f"{version.package} {version.number}", LATER)
        elif (packages[version.package].pk, version.number) not in known:
            new.append(version)
    _create({name: package.pk for name, package in packages.items()}, new)
    changed = {packages[version.package].pk for version in new}
    for version in found:
        package = packages.get(version.package)
        before = known.get((package.pk, version.number)) if package else None
        if package and before and _is_changed(before, version, is_followed=package.fetched_at != NEVER):
            changed.add(package.pk)
    for some in batches(sorted(changed)):
        Package.objects.filter(pk__in=some).update(
            revision=F("revision") + 1, changed_at=Now(), plan_needed=True
        )


def _packages(names: Collection[str]) -> dict[str, Package]:
    """Return packages by their names."""
    found: dict[str, Package] = {}
    for some in batches(sorted(names)):
        for package in Package.objects.filter(name__in=some).only("name", "fetched_at"):
            found[package.name] = package
    return found


def _known(packages: Sequence[int]) -> dict[tuple[int, str], Version]:
    """Return all versions of packages that we have."""
    found: dict[tuple[int, str], Version] = {}
    for some in batches(packages):
        for version in Version.objects.filter(package__in=some).only(
            "package", "number", "skip_reason", "yanked", "released_at"
        ):
            found[version.package_id, version.number] = version
    return found


def _create(packages: Mapping[str, int], new: Sequence[Listed]) -> None:
    """Write new versions."""
    columns = (
        *("package_id", "number", "canonical", "is_prerelease", "released_at", "yanked", "yanked_reason"),
        "skip_reason",
    )
    plain_sql.fill(
        Version,
        columns,
        (
            (
                *(packages[version.package], version.number, *canonical_version(version.number)),
                *(version.released_at, version.yanked, "", version.skip_reason),
            )
            for version in new
        ),
    )


def _is_changed(before: Version, version: Listed, *, is_followed: bool) -> bool:
    """Bring a version up to date.

    A skip that was said there holds, unless another was said here.  What upstream says of a version we know
    better from the moment on that we follow its package.
    """
    facts: dict[str, object] = {} if is_followed else {"yanked": version.yanked}
    if version.skip_reason and not before.skip_reason:
        facts["skip_reason"] = version.skip_reason
    if before.released_at is None and version.released_at:
        facts["released_at"] = version.released_at
    differing = {field: fact for field, fact in facts.items() if getattr(before, field) != fact}
    if differing:
        Version.objects.filter(pk=before.pk).update(**differing)
    return bool(differing)
