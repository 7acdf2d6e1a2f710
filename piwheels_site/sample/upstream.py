"""What exists upstream in the sample: packages, versions and files, as the sync would write them."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from django.conf import settings
from packaging.utils import canonicalize_name

from packages.models import Alias, Package, SyncCursor, UpstreamFile, Version, canonical_version
from piwheels_site.sample import catalogue
from piwheels_site.sample.catalogue import Entry

# A new release in so many packages is of the last hours.
_FRESH = 0.08
_NATIVE = "manylinux2014_{0}.manylinux_2_17_{0}"
_YANKS = ("Broken on 32-bit systems.", "", "Wrong metadata; use the next one.", "CVE-2025-0000: do not use.")
_SERIAL = 31_415_926

# In the address of each file, where nothing is: nobody has ever uploaded it.
PLACE = "/made-up-sample/"


@dataclass(frozen=True)
class Project:
    """A package of the catalogue, its row, and its versions with their files, the newest first."""

    entry: Entry
    rank: int  # 0 for the most wanted
    package: Package
    versions: list[Version]
    files: dict[int, list[UpstreamFile]]  # by version

    def source(self, version: Version) -> UpstreamFile | None:
        """Return what a version is built from; None if upstream has nothing."""
        return next((file for file in self.files[version.pk] if file.kind == "source"), None)


def write(count: int, seed: int, now: datetime) -> list[Project]:
    """Write so many packages with all that upstream has of them."""
    listed = catalogue.entries(count, seed)
    rows = Package.objects.bulk_create([_package(entry, seed, now) for entry in listed])
    Alias.objects.bulk_create(
        Alias(package=row, name=row.display_name) for row in rows if row.display_name != row.name
    )
    numbered = [
        version
        for entry, row in zip(listed, rows, strict=True)
        for version in _versions(entry, row, seed, now)
    ]
    versions = Version.objects.bulk_create(numbered, batch_size=500)
    found = {
        row.pk: Project(entry, rank, row, [], {})
        for rank, (entry, row) in enumerate(zip(listed, rows, strict=True))
    }
    files = []
    for version in versions:
        project = found[version.package_id]
        project.versions.append(version)
        files += _files(project.entry, version, now)
    for file in UpstreamFile.objects.bulk_create(files, batch_size=500):
        found[file.version.package_id].files.setdefault(file.version_id, []).append(file)
    for project in found.values():
        for version in project.versions:
            project.files.setdefault(version.pk, [])
    _read_journal(now)
    return list(found.values())


def _package(entry: Entry, seed: int, now: datetime) -> Package:
    """Return the row of a package."""
    chance = Random(f"{seed}/package/{entry.name}")
    target, reason = catalogue.skipped().get(entry.name, ("everything else", ""))
    return Package(
        name=canonical(entry),
        display_name=entry.name,
        summary=entry.summary,
        status=entry.status,
        status_reason=entry.status_reason,
        skip_reason="" if target else reason,
        serial=_SERIAL - chance.randrange(1_000_000),
        added_at=now - timedelta(days=chance.uniform(120, 400)),
        fetched_at=now - timedelta(hours=chance.uniform(0, 600)),
        revision=1,
        changed_at=now - timedelta(minutes=chance.expovariate(1 / 4000)),
    )


def _versions(entry: Entry, package: Package, seed: int, now: datetime) -> list[Version]:
    """Return the rows of a package's versions."""
    chance = Random(f"{seed}/versions/{entry.name}")
    is_fresh = chance.random() < _FRESH
    at = now - (
        timedelta(hours=chance.uniform(0.1, 20))
        if is_fresh
        else timedelta(days=chance.expovariate(1 / 60) + 1)
    )
    rows: list[Version] = []
    for number in catalogue.versions(entry, chance):
        canonical, is_prerelease = canonical_version(number)
        is_yanked = bool(rows) and chance.random() < 0.03
        rows.append(
            Version(
                package=package,
                number=number,
                canonical=canonical,
                is_prerelease=is_prerelease,
                released_at=at,
                yanked=is_yanked,
                yanked_reason=chance.choice(_YANKS) if is_yanked else "",
            )
        )
        at -= timedelta(days=chance.uniform(2, 70))
    return rows


def _files(entry: Entry, version: Version, now: datetime) -> list[UpstreamFile]:
    """Return what upstream offers of a version; wheels for Python 3.13 only of what is young enough."""
    stem = canonical(entry).replace("-", "_") + f"-{version.number}"
    files = [_file(version, f"{stem}.tar.gz", "source")]
    if entry.kind == "pure":
        files.append(_file(version, f"{stem}-py3-none-any.whl", "wheel"))
    if entry.kind == "gaps":
        pythons = (
            ["cp39", "cp311", "cp313"]
            if now - (version.released_at or now) < timedelta(days=400)
            else ["cp39", "cp311"]
        )
        files += [
            _file(version, f"{stem}-{python}-{python}-{_NATIVE.format(machine)}.whl", "wheel")
            for python in pythons
            for machine in ("x86_64", "aarch64")
        ]
    return files


def canonical(entry: Entry) -> str:
    """Return the canonical name of a package."""
    return canonicalize_name(entry.name)


def source(version: Version) -> UpstreamFile:
    """Return the source of a version, not saved yet."""
    return _file(version, f"{version.package.name.replace('-', '_')}-{version.number}.tar.gz", "source")


def _file(version: Version, filename: str, kind: str) -> UpstreamFile:
    digest = hashlib.sha256(filename.encode()).hexdigest()
    return UpstreamFile(
        version=version,
        filename=filename,
        kind=kind,
        url=f"{settings.PIWHEELS_PYPI.removesuffix('/simple/')}{PLACE}{filename}",
        sha256=digest,
        size=20_000 + int(digest[:5], 16),
        uploaded_at=version.released_at,
        yanked=version.yanked,
        yanked_reason=version.yanked_reason,
    )


def _read_journal(now: datetime) -> None:
    """Note that upstream was read a moment ago."""
    SyncCursor.objects.update_or_create(
        pk=1,
        defaults={
            "upstream": settings.PIWHEELS_PYPI,
            "serial": _SERIAL,
            "upstream_serial": _SERIAL + 3,
            "journal": SyncCursor.Journal.XML_RPC,
            "journal_asked_at": now - timedelta(hours=3),
            "polled_at": now - timedelta(seconds=11),
            "listing": SyncCursor.Listing.SERIALS,
            "listed_at": now - timedelta(hours=2),
            "scanned_at": now - timedelta(minutes=1),
        },
    )
