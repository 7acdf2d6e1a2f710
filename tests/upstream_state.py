"""What a fake PyPI has and what a farm wrote down of it, in the same words, so that both can be compared."""

from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from packages.models import Package, UpstreamFile, Version
from tests.fake_pypi import FakePyPI
from tests.fake_pypi_pages import FakeFile

KINDS = {"sdist": "source", "bdist_wheel": "wheel"}


@dataclass(frozen=True)
class FileState:
    """What is known of a file."""

    version: str
    kind: str
    sha256: str
    size: int | None
    requires_python: str
    yanked: bool
    yanked_reason: str


@dataclass(frozen=True)
class State:
    """What is known of a project."""

    display_name: str
    status: str
    status_reason: str
    versions: dict[str, bool]  # which are yanked
    files: dict[str, FileState]


def upstream_has(upstream: FakePyPI, name: str) -> State | None:
    """Return what a fake has of a project, without asking its server; None if there is none."""
    project = upstream.projects.get(canonicalize_name(name))
    if project is None:
        return None
    shown = {number: _usable(files) for number, files in project.releases.items()}
    return State(
        display_name=project.name,
        status=project.status or "active",
        status_reason=project.status_reason or "",
        versions={
            number: bool(files) and all(file.yanked is not None for file in files)
            for number, files in shown.items()
        },
        files={file.filename: _file_state(file, number) for number, files in shown.items() for file in files},
    )


def farm_has(name: str) -> State | None:
    """Return what our rows say of a package; None if it is gone or was never here."""
    package = Package.objects.filter(name=canonicalize_name(name)).first()
    if package is None or package.status == Package.Status.GONE:
        return None
    files = UpstreamFile.objects.listed().filter(version__package=package).select_related("version")
    return State(
        display_name=package.display_name,
        status=package.status,
        status_reason=package.status_reason,
        versions={version.number: version.yanked for version in package.versions.listed()},
        files={
            file.filename: FileState(
                file.version.number,
                file.kind,
                file.sha256,
                file.size,
                file.requires_python,
                file.yanked,
                file.yanked_reason,
            )
            for file in files
        },
    )


def differences(upstream: FakePyPI, names: list[str]) -> dict[str, tuple[State | None, State | None]]:
    """Return the packages that we have otherwise than upstream has them, as (upstream's, ours)."""
    pairs = {name: (upstream_has(upstream, name), farm_has(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if not _is_same(*pair)}


def listed_though_hidden() -> list[str]:
    """Return what we list of packages that are gone or in quarantine: it should be nothing."""
    hidden = [Package.Status.GONE, Package.Status.QUARANTINED]
    files = UpstreamFile.objects.listed().filter(version__package__status__in=hidden)
    versions = Version.objects.listed().filter(package__status__in=hidden)
    return [*files.values_list("filename", flat=True), *map(str, versions)]


def _is_same(upstream: State | None, ours: State | None) -> bool:
    if upstream and ours is None:
        # What was in quarantine before we came is in no list, and there is nothing to know of it.
        return upstream.status == "quarantined"
    if upstream is None or ours is None or upstream.versions:
        return upstream == ours
    # Only the JSON API tells how a name is spelled, and nothing of a project that shows no version.
    return _without_name(upstream) == _without_name(ours)


def _without_name(state: State) -> tuple[object, ...]:
    return state.status, state.status_reason, state.versions, state.files


def _usable(files: list[FakeFile]) -> list[FakeFile]:
    return [file for file in files if file.packagetype in KINDS]


def _file_state(file: FakeFile, version: str) -> FileState:
    return FileState(
        version,
        KINDS[file.packagetype],
        file.sha256,
        file.size,
        _readable(file.requires_python),
        file.yanked is not None,
        file.yanked or "",
    )


def _readable(specifiers: str | None) -> str:
    try:
        SpecifierSet(specifiers or "")
    except InvalidSpecifier:
        return ""
    return specifiers or ""
