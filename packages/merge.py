"""Brings a package's rows to the state that upstream has, all of them or none.

The same state again changes nothing.  What follows from a change is for others to see: they look at
`Package.plan_needed` and `Package.revision`.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from django.db import models, transaction

from packages import doubt, plain_sql
from packages.batches import BATCH
from packages.doubt import StaleAnswer
from packages.models import Alias, Package, UpstreamFile, Version, canonical_version
from packages.project import File, Project, Release

logger = logging.getLogger(__name__)

Row = TypeVar("Row", bound=models.Model)


class Forgotten(Exception):
    """An operator has had the package forgotten since somebody began to look it up."""


def apply(project: Project, now: datetime, *, believes_older: bool = False, is_ours: bool = False) -> Package:
    """Bring a package's rows to upstream's state, all or none; the same state again changes nothing.

    Raises StaleAnswer for a state that is older than ours, unless that is to be believed, and TooMuchVanishes
    for one that has lost everything while too many others have, and is not said to be quarantined; Forgotten
    for one that was ours and is no more.
    """
    with transaction.atomic():
        package, is_new = _taken(project, is_ours=is_ours)
        if not believes_older:
            _refuse_older(package, project)
        releases = project.versions if project.tells_versions else _releases_by_file(package, project)
        known = {file.filename: file for file in UpstreamFile.objects.filter(version__package=package)}
        before = {name for name, file in known.items() if file.gone_at is None}
        listed = {file.filename for release in releases for file in release.files}
        # A quarantine is said, and may be taken back; of anything else we only know that it is not there.
        if before and not listed and project.status != Package.Status.QUARANTINED:
            doubt.judge(package.name, doubt.EMPTY, now)
            package.emptied_at = now
        # Whoever has the name now need not be whom we took files from.  A removal may be so short that nobody
        # looked meanwhile, or come after all files went one by one; then there is nothing left of what was
        # there before.  Who only put new files into a project of their own has nothing hidden by this that
        # was not hidden with its source, but for imported wheels, of which nobody knows the source.
        was = before or set(known)
        is_other = package.status == Package.Status.GONE or bool(was and listed and not was & listed)
        changed = _apply_project(package, project, now, is_other=is_other)
        if is_new or "display_name" in changed:
            _note_spelling(package, now)
        versions, are_versions_new = _apply_versions(package, releases, now)
        are_files_new = _apply_files(known, releases, versions, now)
        if is_new or changed or are_versions_new or are_files_new:
            package.request_plan()
            package.mark_changed()
    return package


def _taken(project: Project, *, is_ours: bool) -> tuple[Package, bool]:
    """Return a package, locked, and whether it is new."""
    rows = Package.objects.select_for_update()
    if not is_ours:
        defaults = {"display_name": project.display_name or project.name}
        return rows.get_or_create(name=project.name, defaults=defaults)
    package = rows.filter(name=project.name).first()
    if package is None:
        raise Forgotten(f"{project.name} was forgotten meanwhile.")
    return package, False


@transaction.atomic
def create(projects: Sequence[Project], now: datetime) -> None:
    """Write down packages that we do not have, all or none, in a few statements for all of them.

    Raises IntegrityError when we have one of them after all, or one of their files.
    """
    plain_sql.fill(
        Package,
        ("name", "display_name", "summary", "status", "status_reason", "skip_reason", "serial", "etag",
         "fetched_at", "generation", "plan_needed", "revision"),
        (
            # As `apply` leaves a new one: with a plan to make, and the first revision of its pages.
            (project.name, project.display_name or project.name, project.summary or "", project.status,
             project.status_reason, "", project.serial, project.etag, now, 1, True, 1)
            for project in projects
        ),
    )  # fmt: skip
    written = Package.objects.filter(name__in=[project.name for project in projects])
    packages = dict(written.order_by().values_list("name", "pk"))
    plain_sql.fill(
        Alias,
        ("package_id", "name", "seen_at"),
        ((packages[project.name], project.display_name or project.name, now) for project in projects),
    )
    _create_versions(packages, projects)


def _create_versions(packages: Mapping[str, int], projects: Sequence[Project]) -> None:
    """Write down the versions and files of packages that are new, without the ORM's work for each."""
    releases = [(packages[project.name], release) for project in projects for release in project.versions]
    plain_sql.fill(
        Version,
        ("package_id", "number", "canonical", "is_prerelease", "released_at", "yanked", "yanked_reason",
         "skip_reason"),
        (
            (package, release.number, *canonical_version(release.number), release.released_at, release.yanked,
             release.yanked_reason, "")
            for package, release in releases
        ),
    )  # fmt: skip
    written = Version.objects.filter(package__in=packages.values())
    ids = {(package, number): pk for pk, package, number in written.values_list("pk", "package", "number")}
    # A name that a package has twice is one file, as `apply` has it.
    files = {
        (package, file.filename): (ids[package, release.number], file)
        for package, release in releases
        for file in release.files
    }
    plain_sql.fill(
        UpstreamFile,
        ("version_id", "filename", "kind", "url", "sha256", "size", "requires_python", "uploaded_at",
         "yanked", "yanked_reason", "metadata_sha256"),
        (
            (version, file.filename, file.kind, file.url, file.sha256, file.size, file.requires_python,
             file.uploaded_at, file.yanked, file.yanked_reason, file.metadata_sha256)
            for version, file in files.values()
        ),
    )  # fmt: skip


def confirm(package: Package, now: datetime) -> None:
    """Write down that upstream's state is still the one that we have."""
    Package.objects.filter(pk=package.pk).update(fetched_at=now)


def vanish(name: str, now: datetime) -> Package | None:
    """Write down that upstream has no such package; None if we never had it.

    Raises TooMuchVanishes when too many others have vanished with it.
    """
    with transaction.atomic():
        package = Package.objects.select_for_update().filter(name=name).first()
        if package is None:
            return None
        if package.status == Package.Status.GONE:
            confirm(package, now)
            return package
        doubt.judge(name, doubt.ABSENT, now)
        _set(package, status=Package.Status.GONE, status_reason="", etag="", emptied_at=now, fetched_at=now)
        package.save(update_fields=["status", "status_reason", "etag", "emptied_at", "fetched_at"])
        package.versions.listed().update(gone_at=now)
        UpstreamFile.objects.listed().filter(version__package=package).update(gone_at=now)
        package.request_plan()
        package.mark_changed()
    return package


def _refuse_older(package: Package, project: Project) -> None:
    """Raise StaleAnswer if we know a later state: two look-ups may end in another order than they began."""
    if project.serial is not None and package.serial is not None and project.serial < package.serial:
        raise StaleAnswer(f"{doubt.STALE} {project.serial}, and we know {package.serial}.")


def _releases_by_file(package: Package, project: Project) -> tuple[Release, ...]:
    """Return the versions of a project of which upstream named the files alone.

    What we know of a file's version holds on, whatever its name tells, and a version that had no files is not
    missed.  Else an hour without the JSON API would take files away whose names do not tell their version.
    """
    files = [(release.number, file) for release in project.versions for file in release.files]
    files += [("", file) for file in project.unplaced]
    if not files:
        return project.versions
    rows = UpstreamFile.objects.filter(version__package=package)
    known = dict(rows.values_list("filename", "version__number"))
    empty = package.versions.listed().exclude(pk__in=rows.listed().values("version"))
    found: dict[str, dict[str, File]] = {number: {} for number in empty.values_list("number", flat=True)}
    for told, file in files:
        if number := known.get(file.filename, told):
            found.setdefault(number, {})[file.filename] = file
    return tuple(Release(number, tuple(its.values())) for number, its in found.items())


def _apply_project(package: Package, project: Project, now: datetime, *, is_other: bool) -> set[str]:
    """Write what upstream says of the project itself, and return the names of the fields that changed."""
    facts: dict[str, object] = {"status": project.status, "status_reason": project.status_reason}
    if is_other:
        facts |= {"generation": package.generation + 1, "registered_anew_at": now}
    if project.display_name is not None:
        facts["display_name"] = project.display_name
    if project.summary is not None:
        facts["summary"] = project.summary
    changed = _set(package, **facts)
    # An answer without a serial comes from a cache that drops headers; what we know is worth more.
    serial = package.serial if project.serial is None else project.serial
    _set(package, serial=serial, etag=project.etag, fetched_at=now)
    package.save(update_fields=[*changed, "serial", "etag", "emptied_at", "fetched_at"])
    return changed


def _note_spelling(package: Package, now: datetime) -> None:
    """Remember how upstream spells the name."""
    Alias.objects.bulk_create(
        [Alias(package=package, name=package.display_name, seen_at=now)],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["seen_at"],
    )


def _apply_versions(
    package: Package, releases: tuple[Release, ...], now: datetime
) -> tuple[dict[str, Version], bool]:
    """Write the versions; return those that upstream has, and whether anything is new."""
    known = {version.number: version for version in package.versions.all()}
    listed = {release.number: release for release in releases}
    facts: list[tuple[Version, dict[str, object]]] = [
        (version, _version_facts(version, listed[number]))
        if number in listed
        else (version, {"gone_at": version.gone_at or now})
        for number, version in known.items()
    ]
    is_changed = _update(Version.objects.all(), facts)
    new = [_new_version(package, release) for number, release in listed.items() if number not in known]
    Version.objects.bulk_create(new, BATCH)
    versions = known | {version.number: version for version in new}
    return {number: versions[number] for number in listed}, is_changed or bool(new)


def _new_version(package: Package, release: Release) -> Version:
    """Return a row for a version that we have not seen before."""
    canonical, is_prerelease = canonical_version(release.number)
    version = Version(
        package=package, number=release.number, canonical=canonical, is_prerelease=is_prerelease
    )
    _set(version, **_version_facts(version, release))
    return version


def _version_facts(version: Version, release: Release) -> dict[str, object]:
    """Return what upstream says of a version."""
    # The first file may since have been removed.
    moments = [moment for moment in (version.released_at, release.released_at) if moment]
    return {
        "released_at": min(moments, default=None),
        "yanked": release.yanked,
        "yanked_reason": release.yanked_reason,
        "gone_at": None,
    }


def _apply_files(
    known: Mapping[str, UpstreamFile],
    releases: tuple[Release, ...],
    versions: dict[str, Version],
    now: datetime,
) -> bool:
    """Write the files; False if they are what we know."""
    listed = {file.filename: (versions[r.number], file) for r in releases for file in r.files}
    facts: list[tuple[UpstreamFile, dict[str, object]]] = []
    for filename, row in known.items():
        if filename not in listed:
            facts.append((row, {"gone_at": row.gone_at or now}))
        elif listed[filename][1].sha256 == row.sha256:
            facts.append((row, _file_facts(row, *listed[filename])))
        else:
            logger.error(
                "%s has sha256 %s upstream, but had %s before: it is not taken over. Upstream never gives a"
                " name to other bytes, so find out what happened.",
                *(filename, listed[filename][1].sha256, row.sha256),
            )
            # The bytes that we know are gone, whatever took their place.
            facts.append((row, {"gone_at": row.gone_at or now}))
    is_changed = _update(UpstreamFile.objects.all(), facts)
    new = [_new_file(*pair) for filename, pair in listed.items() if filename not in known]
    UpstreamFile.objects.bulk_create(new, BATCH)
    return is_changed or bool(new)


def _new_file(version: Version, file: File) -> UpstreamFile:
    """Return a row for a file that we have not seen before."""
    row = UpstreamFile(filename=file.filename, sha256=file.sha256)
    _set(row, **_file_facts(row, version, file))
    return row


def _file_facts(row: UpstreamFile, version: Version, file: File) -> dict[str, object]:
    """Return what upstream says of a file."""
    return {
        "version_id": version.pk,
        "kind": file.kind,
        "url": file.url,
        # These never change; an answer without them is one where an API was not heard.
        "size": row.size if file.size is None else file.size,
        "uploaded_at": row.uploaded_at if file.uploaded_at is None else file.uploaded_at,
        "requires_python": file.requires_python,
        "yanked": file.yanked,
        "yanked_reason": file.yanked_reason,
        "metadata_sha256": file.metadata_sha256 or row.metadata_sha256,
        "gone_at": None,
    }


def _set(row: models.Model, **facts: object) -> set[str]:
    """Set what differs on a row, and return the names of those fields."""
    differing = {name for name, fact in facts.items() if getattr(row, name) != fact}
    for name in differing:
        setattr(row, name, facts[name])
    return differing


def _update(rows: models.QuerySet[Row], facts: Iterable[tuple[Row, dict[str, object]]]) -> bool:
    """Write what differs in rows; False if nothing does."""
    changed, fields = [], set()
    for row, known in facts:
        if differing := _set(row, **known):
            changed.append(row)
            fields |= differing
    if changed:
        rows.bulk_update(changed, sorted(fields), BATCH)
    return bool(changed)
