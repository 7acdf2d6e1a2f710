"""From rows to what the indexes say: which files each of them offers, and how each file is described."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import quote

from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from packaging.tags import Tag
from packaging.utils import BuildTag, parse_wheel_filename
from packaging.version import Version as ParsedVersion

from builds.models import Wheel, WheelQuerySet
from builds.wheels.coverage import Offer, covers, is_harmless, is_pure
from builds.wheels.upstream import tags_of
from builds.wheels.yanks import Yank, is_superseded, yank_of
from packages.models import Package, UpstreamFile, UpstreamFileQuerySet
from simple.formats import File, ListedProject, ProjectDetail
from simple.indexes import ALL, FULL, PLATFORM, Indexes, current, of_release


def offered() -> WheelQuerySet:
    """Return the wheels that pip may have; the rest of the index follows from this.

    What we built before somebody else got the package's name is hidden as what upstream hides.  The words for
    all that is left out are those of `builds.shown.remarks.why_not_offered`.
    """
    return Wheel.objects.listed().sourced().exclude(package__status__in=Package.HIDDEN)


def project_list() -> Iterator[ListedProject]:
    """Return all projects that have a page, from the rows of their wheels."""
    wheels = Wheel.objects.listed().filter(package=OuterRef("pk"))
    shown = Q(Exists(wheels.sourced())) | Q(Exists(wheels), status=Package.Status.QUARANTINED)
    packages = Package.objects.exclude(status=Package.Status.GONE).filter(shown).order_by("name")
    names = packages.values_list("name", "display_name")
    return (ListedProject(*row) for row in names.iterator())


@dataclass(frozen=True)
class UpstreamEntry:
    """A file of upstream's that it still lists."""

    version: int
    canonical: str  # the version's PEP 440 form, "" if it has none
    kind: str
    filename: str
    url: str
    sha256: str
    metadata_sha256: str
    size: int | None
    requires_python: str
    uploaded_at: datetime | None
    yanked: bool
    yanked_reason: str

    def tags(self) -> frozenset[Tag]:
        """Return the tags of a pure wheel's name; none for any other file."""
        tags = tags_of(self.filename) if self.kind == UpstreamFile.Kind.WHEEL else frozenset()
        return tags if is_pure(tags) else frozenset()


@dataclass(frozen=True)
class Holdings:
    """What there is of one package."""

    package: Package
    wheels: tuple[Wheel, ...]  # that pip may have
    has_wheels: bool  # that it could have, were the package not in quarantine
    upstream: tuple[UpstreamEntry, ...]

    def without(self, filenames: Collection[str]) -> "Holdings":
        """Return what there is without wheels of these names."""
        return replace(self, wheels=tuple(wheel for wheel in self.wheels if wheel.filename not in filenames))


def holdings(packages: Sequence[Package], *, with_upstream: bool) -> list[Holdings]:
    """Read what there is of packages, in a few statements for all of them.

    Without all that upstream has, there are still its pure wheels where they say something of ours.
    """
    wheels = _by_package(_described(offered().filter(package__in=packages)), lambda wheel: wheel.package_id)
    ours = [package.pk for package in packages if package.pk in wheels]
    upstream = _upstream(ours, wheels, everything=with_upstream) if ours else {}
    quarantined = [package.pk for package in packages if package.status == Package.Status.QUARANTINED]
    kept = (
        set(Wheel.objects.listed().filter(package__in=quarantined).values_list("package", flat=True))
        if quarantined
        else set()
    )
    return [
        Holdings(
            package=package,
            wheels=tuple(wheels.get(package.pk, ())),
            has_wheels=package.pk in wheels or package.pk in kept,
            upstream=tuple(upstream.get(package.pk, ())),
        )
        for package in packages
    ]


def _by_package(wheels: WheelQuerySet, key: Callable[[Wheel], int]) -> Mapping[int, list[Wheel]]:
    """Return wheels by the package that they are of."""
    found: dict[int, list[Wheel]] = {}
    for wheel in wheels:
        found.setdefault(key(wheel), []).append(wheel)
    return found


# All that a page tells of a wheel; Django would read 25 columns, one by one in Python.
_TOLD = (
    *("package_id", "filename", "size", "sha256", "metadata_sha256", "requires_python", "published_at"),
    *("yanked", "yanked_reason", "superseded_by_id", "version__canonical", "version__yanked"),
    "version__yanked_reason",
    *("build__source__yanked", "build__source__yanked_reason"),
    *("is_portable", "glibc", "glibcxx", "build__target__os_release", "build__target__policy"),
)


def _described(wheels: WheelQuerySet) -> WheelQuerySet:
    """Return wheels with what pages tell of them, in no order, as a page has its own."""
    return wheels.select_related("version", "build__target", "build__source").only(*_TOLD).order_by()


def _upstream(
    packages: Sequence[int], wheels: Mapping[int, list[Wheel]], *, everything: bool
) -> Mapping[int, list[UpstreamEntry]]:
    """Return what upstream has of packages, or only the wheels of versions of which we have a pure one."""
    if everything:
        return upstream_files(packages)
    versions = {w.version_id for each in wheels.values() for w in each if is_pure(tags_of(w.filename))}
    if not versions:
        return {}
    return _entries(UpstreamFile.objects.filter(version__in=versions, kind=UpstreamFile.Kind.WHEEL))


def upstream_files(
    packages: Sequence[int], versions: Collection[str] | None = None
) -> dict[int, list[UpstreamEntry]]:
    """Return all files that upstream lists of packages, by their keys; or those of these versions."""
    files = UpstreamFile.objects.filter(version__package__in=packages)
    if versions is not None:
        files = files.filter(version__canonical__in=versions)
    return _entries(files)


def _entries(files: UpstreamFileQuerySet) -> dict[int, list[UpstreamEntry]]:
    """Return those of the files that upstream still lists, by package."""
    found: dict[int, list[UpstreamEntry]] = defaultdict(list)
    rows = files.listed().values_list(
        *("version__package", "version", "version__canonical", "kind", "filename", "url", "sha256"),
        *("metadata_sha256", "size", "requires_python", "uploaded_at", "yanked", "yanked_reason"),
    )
    for package, *entry in rows.iterator():
        found[package].append(UpstreamEntry(*entry))
    return found


@dataclass(frozen=True)
class _Entry:
    """A file as a page lists it, with what decides its place there."""

    version: ParsedVersion | None  # None: older than all that PEP 440 knows
    file: File
    build_tag: BuildTag = ()

    @property
    def key(self) -> tuple[bool, ParsedVersion, BuildTag, str]:
        """What it is sorted by, so that the same files are the same page.

        pip 9 knows no build tags, and takes of files that are the same to it the first: that stays the one
        which is in lock files, however often it is built again.
        """
        version = self.version or ParsedVersion("0")
        return self.version is not None, version, self.build_tag, self.file.filename


def details(held: Holdings, indexes: Indexes) -> dict[str, ProjectDetail]:
    """Return the page of a package in each index that has one.

    Where there is none, uv looks for the package in the next index.  A quarantined package keeps its page,
    without files (PEP 792), as long as there are wheels of it.
    """
    if not held.has_wheels:
        return {}
    if held.package.status == Package.Status.QUARANTINED:
        return dict.fromkeys(indexes.names, _page(held.package, []))
    ours = _ours(held)
    apart = _confined([wheel for wheel, entry in ours.items() if not entry.file.yanked], indexes)
    for_all = {wheel: entry for wheel, entry in ours.items() if wheel not in apart}
    chosen = {ALL: list(for_all.values()), PLATFORM: _without_upstreams_pure(held, for_all)}
    offers = {wheel: wheel.offer() for wheel in held.wheels} if indexes.releases else {}
    for index, needs in indexes.releases.items():
        chosen[index] = [
            ours[wheel] for wheel, offer in offers.items() if any(covers(offer, need) for need in needs)
        ]
    if indexes.has_full:
        chosen[FULL] = _with_upstream(held, list(for_all.values()))
    return {index: _page(held.package, entries) for index, entries in chosen.items() if entries}


def may_be_confined(wheels: Iterable[Wheel]) -> bool:
    """Tell whether what systems run could keep any of a package's wheels from the indexes for all of them."""
    return any(wheel.has_build_tag for wheel in wheels)


def _confined(wheels: Collection[Wheel], indexes: Indexes) -> set[Wheel]:
    """Return which of a package's wheels the indexes of releases alone may list.

    Of files with a tag in common installers take the one with the highest build tag, wherever they are, and
    ask no C library: so what all systems see must run wherever those before it do.  Whom its Requires-Python
    keeps from it goes on taking one of those.
    """
    apart: set[Wheel] = set()
    if not may_be_confined(wheels):
        return apart
    needs = indexes.needs
    versions: dict[str, list[Wheel]] = defaultdict(list)
    for wheel in wheels:
        versions[wheel.version.canonical].append(wheel)
    for each in filter(may_be_confined, versions.values()):
        standing: list[tuple[BuildTag, Offer]] = []
        for wheel in sorted(each, key=Wheel.build_tag):
            tag, offer = wheel.build_tag(), wheel.offer()
            before = (other for earlier, other in standing if earlier < tag and other.tags & offer.tags)
            if all(is_harmless(offer, other, needs) for other in before):
                standing.append((tag, offer))
            else:
                apart.add(wheel)
    return apart


def only_in(wheels: Collection[Wheel]) -> dict[int, str]:
    """Return the index of each wheel that no index for all systems lists, by the wheels' keys."""
    apart = _confined(wheels, current()) if may_be_confined(wheels) else ()
    return {wheel.pk: of_release(wheel.build.target.os_release) for wheel in apart}


def _page(package: Package, entries: list[_Entry]) -> ProjectDetail:
    """Return the page of a package with these files, and with the version of each as its name spells it.

    1.0 and 1.0.0 are equal, and two versions.
    """
    versions = sorted({(entry.version, str(entry.version)) for entry in entries if entry.version})
    return ProjectDetail(
        name=package.name,
        status=package.status,
        status_reason=package.status_reason,
        versions=tuple(spelled for _, spelled in versions),
        files=tuple(entry.file for entry in sorted(entries, key=lambda entry: entry.key)),
    )


def _ours(held: Holdings) -> dict[Wheel, _Entry]:
    """Return our wheels as all pages list them, with the version that installers go by: the name's."""
    pure = _upstreams_pure(held)
    entries = {}
    for wheel in held.wheels:
        _, version, build_tag, _ = parse_wheel_filename(wheel.filename)
        file = _file(held.package, wheel, yank_of(wheel, pure.get(wheel.version_id, frozenset())))
        entries[wheel] = _Entry(version, file, build_tag)
    return entries


def _upstreams_pure(held: Holdings) -> dict[int, frozenset[Tag]]:
    """Return the tags of the pure wheels that upstream has and has not yanked, by version."""
    pure: dict[int, frozenset[Tag]] = {}
    for entry in held.upstream:
        if not entry.yanked and (tags := entry.tags()):
            pure[entry.version] = pure.get(entry.version, frozenset()) | tags
    return pure


def _file(package: Package, wheel: Wheel, yank: Yank | None) -> File:
    """Return a wheel as a page describes it."""
    return File(
        filename=wheel.filename,
        url=_url(package, wheel),
        size=wheel.size,
        sha256=wheel.sha256,
        metadata_sha256=wheel.metadata_sha256,
        requires_python=wheel.requires_python,
        uploaded_at=wheel.published_at,
        yanked=yank is not None,
        yanked_reason=yank.reason if yank else "",
    )


def _url(package: Package, wheel: Wheel) -> str:
    """Return where a wheel is: with us, or where the operator has its files."""
    if settings.PIWHEELS_FILES_URL:
        return f"{settings.PIWHEELS_FILES_URL}{quote(wheel.path, safe='/')}"
    return f"/{ALL}/{package.name}/{quote(wheel.filename, safe='')}"


def _without_upstreams_pure(held: Holdings, ours: Mapping[Wheel, _Entry]) -> list[_Entry]:
    """Return our wheels but the pure ones that upstream has one of, too."""
    pure = _upstreams_pure(held)
    return [
        entry
        for wheel, entry in ours.items()
        if not is_superseded(wheel, pure.get(wheel.version_id, frozenset()))
    ]


def _with_upstream(held: Holdings, ours: list[_Entry]) -> list[_Entry]:
    """Return upstream's files and ours; a name that both have is upstream's file, which lock files mean."""
    theirs = {entry.filename for entry in held.upstream}
    return [
        *(entry for entry in ours if entry.file.filename not in theirs),
        *(_Entry(_parsed(entry.canonical), _upstream_file(entry)) for entry in held.upstream),
    ]


def _parsed(canonical: str) -> ParsedVersion | None:
    """Return a version that can be compared."""
    return ParsedVersion(canonical) if canonical else None


def _upstream_file(entry: UpstreamEntry) -> File:
    """Return a file of upstream's as our page describes it."""
    return File(
        filename=entry.filename,
        url=entry.url,
        size=entry.size,
        sha256=entry.sha256,
        metadata_sha256=entry.metadata_sha256,
        requires_python=entry.requires_python,
        uploaded_at=entry.uploaded_at,
        yanked=entry.yanked,
        yanked_reason=entry.yanked_reason,
    )
