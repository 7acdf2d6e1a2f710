"""Which versions of a package are worth a wheel for which Python, and what each is built from."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from django.conf import settings
from packaging.version import Version as ParsedVersion

from builds.models import Build
from builds.wheels.coverage import admits
from builds.wheels.upstream import UpstreamWheel
from packages.models import Package, UpstreamFile, UpstreamFileQuerySet, Version
from packages.project import SOURCE_SUFFIXES

# Which Python's own modules do not unpack, whatever pip makes of their names.
_LZIP = (".tar.lz", ".tlz")


@dataclass(frozen=True)
class Candidate:
    """A version that could have a wheel for a Python, and the source to build it from."""

    version: Version
    source: UpstreamFile
    depth: int  # 1 for the newest, or the newest of the pre-releases
    is_newest: bool
    is_chosen: bool  # by the package's depth, or because somebody asked for it


def candidates(package: Package, pythons: Collection[str]) -> dict[str, list[Candidate]]:
    """Return the versions of a package that could have a wheel, the newest first, for each of some Pythons.

    Nothing of a skipped or quarantined package, nothing yanked or without a source, no version that pip
    cannot read, or that the Python may not have: for a Python that the newest one no longer admits, the
    newest is the last one that does, as it is for pip.
    """
    if package.why_not_built:
        return {python: [] for python in pythons}
    sources = best_sources(UpstreamFile.objects.filter(version__package=package))
    versions = list(_built(_usable(package.versions.all(), sources)).values())
    limit = package.depth if package.depth is not None else settings.PIWHEELS_DEPTH or None
    return {
        python: _ranked(
            [version for version in versions if admits(sources[version.pk].requires_python, python)],
            sources,
            limit,
        )
        for python in pythons
    }


def _ranked(
    versions: list[Version], sources: Mapping[int, UpstreamFile], limit: int | None
) -> list[Candidate]:
    """Return the candidates that these versions are, the newest first.

    Chosen are the newest few, but no nightly (`.dev`), and those that somebody asked for.
    """
    finals = [version for version in versions if not version.is_prerelease] or versions
    deep = {version.pk: depth for depth, version in enumerate(finals, 1)}
    others = [version for version in versions if version.pk not in deep]
    place = {version.pk: depth for depth, version in enumerate(others, 1)} | deep
    return [
        Candidate(
            version=version,
            source=sources[version.pk],
            depth=place[version.pk],
            is_newest=version == finals[0],
            is_chosen=bool(version.requested_at)
            or (
                (limit is None or deep.get(version.pk, limit + 1) <= limit)
                and not ParsedVersion(version.canonical).is_devrelease
            ),
        )
        for version in versions
    ]


def stand_ins(versions: Iterable[Version], sources: Collection[int]) -> dict[int, Version]:
    """Return which version is built in the place of another of these, as `1.0` may be for `1.0.0`.

    By the other's key; `sources` are the keys of those that have a source.
    """
    usable = _usable(versions, sources)
    built = _built(usable)
    twins = {version.pk: built[ParsedVersion(version.canonical)] for version in usable}
    return {key: twin for key, twin in twins.items() if twin.pk != key}


def _usable(versions: Iterable[Version], sources: Collection[int]) -> list[Version]:
    """Return those of a package's versions that could have a wheel, the newest first."""
    usable = (version for version in versions if version.is_buildable and version.pk in sources)
    return sorted(usable, key=lambda version: version.sort_key, reverse=True)


def _built(usable: Iterable[Version]) -> dict[ParsedVersion, Version]:
    """Keep one of `1.0` and `1.0.0`, whose wheels would have one name: the one released last."""
    kept: dict[ParsedVersion, Version] = {}
    for version in usable:
        twin = kept.get(ParsedVersion(version.canonical))
        if twin is None or (
            version.released_at and twin.released_at and version.released_at > twin.released_at
        ):
            kept[ParsedVersion(version.canonical)] = version
    return kept


def upstream_wheels(files: UpstreamFileQuerySet) -> dict[int, list[UpstreamWheel]]:
    """Return the wheels among upstream's files, by version, without those that are yanked."""
    wheels = files.listed().filter(kind=UpstreamFile.Kind.WHEEL, yanked=False).order_by("filename")
    found: dict[int, list[UpstreamWheel]] = {}
    for version, filename, requires_python in wheels.values_list("version", "filename", "requires_python"):
        found.setdefault(version, []).append(UpstreamWheel(filename, requires_python))
    return found


def source_of(build: Build) -> UpstreamFile | None:
    """Return the source to build from, or None when there is no longer one."""
    return _best(build.sources())


def best_sources(files: UpstreamFileQuerySet) -> dict[int, UpstreamFile]:
    """Return the one of these files that each version is built from, where there is one; by version."""
    found: dict[int, list[UpstreamFile]] = {}
    needed = files.only("version", "filename", "url", "sha256", "requires_python", "uploaded_at")
    for file in needed.listed().sources().filter(yanked=False):
        found.setdefault(file.version_id, []).append(file)
    return {version: best for version, some in found.items() if (best := _best(some))}


def _best(sources: Iterable[UpstreamFile]) -> UpstreamFile | None:
    """Return the source that is built, of several of one version; None if pip unpacks none of them."""
    ranked = [(rank, source) for source in sources if (rank := _rank(source))]
    return min(ranked, key=lambda pair: pair[0])[1] if ranked else None


def _rank(file: UpstreamFile) -> tuple[int, str] | None:
    """Return how much a source is preferred, lower first; None for a kind that nobody unpacks."""
    for rank, ending in enumerate(SOURCE_SUFFIXES):
        if ending not in _LZIP and file.filename.lower().endswith(ending):
            return rank, file.filename
    return None
