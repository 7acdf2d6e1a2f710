"""From rows to what the index says: which wheels are offered, and how each is described."""

from django.db.models import Exists, OuterRef, Q
from packaging.utils import parse_wheel_filename
from packaging.version import Version as ParsedVersion

from builds.models import Wheel, WheelQuerySet
from packages.models import Package
from simple.formats import File, ListedProject, ProjectDetail, ProjectList


def offered() -> WheelQuerySet:
    """Return the wheels that pip may have; the rest of the index follows from this.

    What upstream took away, or put into quarantine, we do not hand out either: it may be malware.  The same
    goes for what we built before somebody else got the package's name.
    """
    hidden = [Package.Status.QUARANTINED, Package.Status.GONE]
    return Wheel.objects.listed().sourced().exclude(package__status__in=hidden)


def project_list() -> ProjectList:
    """Return all projects that have a page."""
    wheels = Wheel.objects.listed().filter(package=OuterRef("pk"))
    shown = Q(Exists(wheels.sourced())) | Q(Exists(wheels), status=Package.Status.QUARANTINED)
    packages = Package.objects.exclude(status=Package.Status.GONE).filter(shown).order_by("name")
    names = packages.values_list("name", "display_name")
    return ProjectList(projects=tuple(ListedProject(*row) for row in names.iterator()))


def project_detail(package: Package) -> ProjectDetail | None:
    """Return the page of a package; None if it has none, so that uv looks for it in the next index.

    A quarantined package keeps its page, without files (PEP 792), as long as there are wheels of it.
    """
    if package.status == Package.Status.QUARANTINED:
        return _detail(package, []) if Wheel.objects.listed().filter(package=package).exists() else None
    wheels = list(_described(offered().filter(package=package)))
    return _detail(package, wheels) if wheels else None


# All that a page tells of a wheel; Django would read 25 columns, one by one in Python.
_TOLD = (
    *("filename", "size", "sha256", "metadata_sha256", "requires_python", "published_at"),
    *("yanked", "yanked_reason", "version__yanked", "version__yanked_reason"),
)


def _described(wheels: WheelQuerySet) -> WheelQuerySet:
    """Return wheels with what a page tells of them, in no order, as the page has its own."""
    return wheels.select_related("version").only(*_TOLD).order_by()


def _detail(package: Package, wheels: list[Wheel]) -> ProjectDetail:
    """Return the page of a package with these wheels, sorted so that the same wheels are the same page."""
    versions = {wheel: _version(wheel) for wheel in wheels}
    wheels = sorted(wheels, key=lambda wheel: (versions[wheel], wheel.filename))
    return ProjectDetail(
        name=package.name,
        status=package.status,
        status_reason=package.status_reason,
        versions=tuple(str(version) for version in sorted(set(versions.values()))),
        files=tuple(_file(wheel) for wheel in wheels),
    )


def _version(wheel: Wheel) -> ParsedVersion:
    """Return the version as the file's name has it, which is the one that installers go by."""
    return parse_wheel_filename(wheel.filename)[1]


def _file(wheel: Wheel) -> File:
    """Return a wheel as the page describes it; our own reason for a yank goes before upstream's."""
    version = wheel.version
    reasons = [
        wheel.yanked_reason if wheel.yanked else "",
        version.yanked_reason if version.yanked else "",
    ]
    return File(
        filename=wheel.filename,
        size=wheel.size,
        sha256=wheel.sha256,
        metadata_sha256=wheel.metadata_sha256,
        requires_python=wheel.requires_python,
        uploaded_at=wheel.published_at,
        yanked=wheel.yanked or version.yanked,
        yanked_reason=next((reason for reason in reasons if reason), ""),
    )
