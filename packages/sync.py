"""Turns what PyPI says into rows: which packages to look up, looking them up, and writing what is new.

A mark that something changed is a hint; the state is what is fetched.  So nothing here depends on the order
of hints, and applying a state twice changes nothing.  What follows from a change is for others to see: they
look at `Package.plan_needed` and `Package.revision`.
"""

import logging
import time
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from functools import cache
from itertools import islice
from typing import TypeVar

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from packaging.utils import InvalidName, canonicalize_name

from packages.fetch import UpstreamTimeout
from packages.models import Alias, Dirty, Package, SyncCursor, UpstreamFile, Version, canonical_version
from packages.pypi import File, NoSuchProject, Project, PyPI, Release, UpstreamUnavailable

logger = logging.getLogger(__name__)

Row = TypeVar("Row", bound=models.Model)

# The name in PIWHEELS_WATCH that stands for everything that upstream has.
ALL = "all"
# How often to read the list of all names, and when to try again if that failed.
LISTING = timedelta(hours=1)
LISTING_AGAIN = timedelta(minutes=5)
# SQLite takes 999 variables in a statement.
BATCH = 500
# How often an answer that contradicts what we know is put off before we believe it.  With the pauses of
# `Dirty.put_off` that is half an hour, in which caches between upstream and us find out.
PATIENCE = 10
# A run begins no look-up after this many seconds: it keeps a worker's thread from giving out builds.
RUN_S = 20
# What is noted of a name that upstream does not have.
ABSENT = "Upstream has no such package."


class StaleAnswer(UpstreamUnavailable):
    """Upstream's answer is older than what it said before: it came from a cache."""


class DoubtfulAbsence(UpstreamUnavailable):
    """Upstream has no such package, but had it before: during an outage it says so too."""


def upstream() -> PyPI:
    """Return the client of the index that this farm follows; it is one per process, for its connections."""
    return _client(settings.PIWHEELS_PYPI)


@cache
def _client(simple_url: str) -> PyPI:
    return PyPI(simple_url)


def watch(pypi: PyPI, names: Collection[str], *, now: datetime, refresh_s: float, limit: int) -> int:
    """Mark what has to be looked up: watched names that we lack, and packages that were long not looked at.

    Names that wait already keep their place.  Returns how many were marked, of the packages `limit` at most.
    """
    missing = _list_all(pypi, now) if ALL in names else _mark_missing(_canonical(names), now)
    old = Package.objects.to_refresh(now - timedelta(seconds=refresh_s))
    waiting = Dirty.objects.values("name")
    return missing + _mark(old.exclude(name__in=waiting).values_list("name", flat=True)[:limit], now)


def refresh(pypi: PyPI, *, now: datetime, limit: int) -> int:
    """Look up names that are marked, and return how many of them are settled.

    When upstream asks for a pause or keeps us waiting, the rest waits for the next time.
    """
    began = time.monotonic()
    settled = 0
    for dirty in Dirty.objects.due(now)[:limit]:
        passed_s = time.monotonic() - began
        if passed_s > RUN_S:
            break
        moment = now + timedelta(seconds=passed_s)
        if not dirty.hold(moment):
            continue
        try:
            settled += _settle(pypi, dirty, moment)
        except UpstreamUnavailable as error:
            logger.warning("%s is put off: %s", dirty.name, error)
            dirty.put_off(moment + timedelta(seconds=error.retry_after or 0), _legible(error))
            if error.retry_after is not None or isinstance(error, UpstreamTimeout):
                break
        # What upstream says was made by strangers, and one name must not stop the others.
        except Exception as error:
            logger.exception("%s cannot be looked up, or its rows cannot be written.", dirty.name)
            dirty.put_off(moment, _legible(error))
    return settled


def look_up(
    pypi: PyPI,
    name: str,
    *,
    now: datetime,
    least_serial: int | None = None,
    believes_absence: bool = False,
) -> Package | None:
    """Fetch a package's state and write it down; None if neither upstream nor we have the package.

    Raises StaleAnswer when the answer has a lower serial than it must have, and DoubtfulAbsence when upstream
    no longer has the package, unless that is to be believed.
    """
    try:
        project = pypi.project(name)
    except NoSuchProject as error:
        if not believes_absence and _is_here(name):
            raise DoubtfulAbsence(ABSENT) from error
        return vanish(name, now)
    if least_serial is not None and project.serial is not None and project.serial < least_serial:
        raise StaleAnswer(f"The answer has serial {project.serial}, not {least_serial} or a later one.")
    return apply(project, now)


def apply(project: Project, now: datetime) -> Package:
    """Bring a package's rows to upstream's state, all or none; the same state again changes nothing."""
    with transaction.atomic():
        package, is_new = Package.objects.select_for_update().get_or_create(
            name=project.name, defaults={"display_name": project.display_name or project.name}
        )
        changed = _apply_project(package, project, now)
        if is_new or "display_name" in changed:
            _note_spelling(package, now)
        versions, are_versions_new = _apply_versions(package, project.versions, now)
        are_files_new = _apply_files(package, project.versions, versions, now)
        if is_new or changed or are_versions_new or are_files_new:
            package.request_plan()
            package.mark_changed()
    return package


def vanish(name: str, now: datetime) -> Package | None:
    """Write down that upstream has no such package; None if we never had it."""
    with transaction.atomic():
        package = Package.objects.select_for_update().filter(name=name).first()
        if package is None:
            return None
        changed = _set(package, status=Package.Status.GONE, status_reason="")
        _set(package, fetched_at=now)
        package.save(update_fields=[*changed, "fetched_at"])
        if changed:
            package.versions.listed().update(gone_at=now)
            UpstreamFile.objects.listed().filter(version__package=package).update(gone_at=now)
            package.request_plan()
            package.mark_changed()
    return package


def _settle(pypi: PyPI, dirty: Dirty, now: datetime) -> bool:
    """Look a marked name up and forget the mark; False if it has to be looked up again."""
    known = Package.objects.filter(name=dirty.name).values_list("serial", flat=True).first()
    is_patient = dirty.attempts < PATIENCE
    least_serial = max(dirty.wanted_serial or 0, known or 0) if is_patient else None
    # Attempts that failed otherwise say nothing of an absence: the last one, long ago, must have seen it too.
    believes_absence = not is_patient and dirty.error == ABSENT
    package = look_up(pypi, dirty.name, now=now, least_serial=least_serial, believes_absence=believes_absence)
    if package is None:
        # Perhaps it is so new that a cache does not know it; perhaps somebody mistyped it.
        logger.warning("Upstream has no %s, and neither have we.", dirty.name)
        if is_patient:
            dirty.put_off(now, ABSENT)
            return False
    dirty.clear()
    return True


def _is_here(name: str) -> bool:
    """Whether we have a package that is not gone."""
    return Package.objects.filter(name=name).exclude(status=Package.Status.GONE).exists()


def _legible(error: Exception) -> str:
    """Return what an error says on one line, without what a database cannot keep."""
    line = " ".join(str(error).split()) or type(error).__name__
    return "".join(character if character.isprintable() else "\ufffd" for character in line)


def _apply_project(package: Package, project: Project, now: datetime) -> set[str]:
    """Write what upstream says of the project itself, and return the names of the fields that changed."""
    facts: dict[str, object] = {
        "status": project.status,
        "status_reason": project.status_reason,
        # Whoever has the name now need not be whom we took files from.
        "generation": package.generation + (package.status == Package.Status.GONE),
    }
    if project.display_name is not None:
        facts["display_name"] = project.display_name
    if project.summary is not None:
        facts["summary"] = project.summary
    changed = _set(package, **facts)
    _set(package, serial=project.serial, fetched_at=now)
    package.save(update_fields=[*changed, "serial", "fetched_at"])
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
    package: Package, releases: tuple[Release, ...], versions: dict[str, Version], now: datetime
) -> bool:
    """Write the files; False if they are what we know."""
    known = {file.filename: file for file in UpstreamFile.objects.filter(version__package=package)}
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


def _list_all(pypi: PyPI, now: datetime) -> int:
    """Mark all of upstream's names that we lack, unless that was done lately; return how many."""
    SyncCursor.objects.get_or_create()
    due = Q(listed_at=None) | Q(listed_at__lte=now - LISTING)
    if not SyncCursor.objects.filter(due).update(listed_at=now):
        return 0
    marked = 0
    try:
        names = pypi.names()
        while batch := list(islice(names, BATCH)):
            marked += _mark_missing(batch, now)
    except UpstreamUnavailable as error:
        logger.warning("The list of all names was not read to its end: %s", error)
        SyncCursor.objects.update(listed_at=now - LISTING + LISTING_AGAIN)
    return marked


def _mark_missing(names: Iterable[str], now: datetime) -> int:
    """Mark those of some names that are no packages of ours."""
    names = set(names)
    have = Package.objects.filter(name__in=names).values_list("name", flat=True)
    return _mark(names.difference(have), now)


def _mark(names: Iterable[str], now: datetime) -> int:
    """Mark some names, and return how many were not marked before."""
    names = set(names)
    new = names.difference(Dirty.objects.filter(name__in=names).values_list("name", flat=True))
    Dirty.objects.bulk_create(
        [Dirty(name=name, not_before=now) for name in sorted(new)], BATCH, ignore_conflicts=True
    )
    return len(new)


def _canonical(names: Iterable[str]) -> Iterator[str]:
    """Return the canonical forms of names that a person wrote."""
    for name in names:
        try:
            yield canonicalize_name(name, validate=True)
        except InvalidName:
            logger.error("%r in PIWHEELS_WATCH is no package's name.", name)
