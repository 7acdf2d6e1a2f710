"""The page of a package: its versions by target, its files and what they need; and the same as JSON."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.paginator import Page, Paginator
from django.db.models import Prefetch, Q
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_safe
from packaging.utils import InvalidName, canonicalize_name

from builds import failures
from builds.coverage import admits, covers
from builds.models import Build, Dependency, Skip, Target, Wheel
from builds.remarks import remarks_on
from builds.upstream import UpstreamWheel
from builds.wishes import upstream_wheels
from packages.models import Package, UpstreamFile, Version
from piwheels_site.templatetags.said import STATES
from simple import index

VERSIONS_A_PAGE = 25


@dataclass(frozen=True)
class Cell:
    """What one target has of one version."""

    sign: str
    word: str
    url: str
    state: str


@dataclass(frozen=True)
class File:
    """A wheel, the names of what it needs, and what else there is to say of it."""

    wheel: Wheel
    apt: list[str]
    missing: list[str]  # libraries that it needs and that are in no package
    pip: list[str]
    remarks: list[str]


@dataclass(frozen=True)
class Row:
    """One version, by target, with its files."""

    version: Version
    cells: list[Cell]
    files: list[File]


@require_safe
def project(request: HttpRequest, name: str) -> HttpResponse:
    """Show a package."""
    if name != canonical_or_404(name):
        return redirect("project", canonical_or_404(name), permanent=True)
    package = get_object_or_404(Package, name=name)
    versions = sorted(package.versions.all(), key=lambda version: version.sort_key, reverse=True)
    page = Paginator(versions, VERSIONS_A_PAGE).get_page(request.GET.get("page"))
    tried = Build.objects.filter(version__package=package).values("target")
    targets = list(Target.objects.filter(Q(is_active=True) | Q(pk__in=tried)))
    context = {
        "package": package,
        "page": page,
        "targets": targets,
        "rows": _rows(package, page, targets),
        "headline": _headline(package, versions),
        "index": request.build_absolute_uri("/simple/"),
        "upstream": upstream_url(package),
    }
    return render(request, "project.html", context)


def canonical_or_404(name: str) -> str:
    """Return the canonical form of a package name; what cannot be one has no page."""
    try:
        return canonicalize_name(name, validate=True)
    except InvalidName as error:
        raise Http404 from error


def upstream_url(package: Package) -> str:
    """Return the address of the package's page upstream."""
    return f"{settings.PIWHEELS_PYPI.removesuffix('simple/')}project/{package.name}/"


def _rows(package: Package, page: Page[Version], targets: list[Target]) -> list[Row]:
    """Return the rows of one page of versions, with a few queries for all of them."""
    shown = [version.pk for version in page]
    wheels: dict[int, list[Wheel]] = defaultdict(list)
    for wheel in _wheels().filter(version__in=shown):
        wheels[wheel.version_id].append(wheel)
    builds = {
        (build.version_id, build.target_id): build
        for build in Build.objects.filter(version__in=shown).order_by("attempt")
    }
    sources: dict[int, UpstreamFile] = {
        file.version_id: file for file in UpstreamFile.objects.listed().sources().filter(version__in=shown)
    }
    held = set(
        Wheel.objects.standing()
        .filter(version__in=shown)
        .exclude(held_reason="")
        .values_list("build", flat=True)
    )
    upstream = upstream_wheels(UpstreamFile.objects.filter(version__in=shown))
    skips = {skip.target_id: skip.reason for skip in Skip.objects.filter(package=package)}
    # A target takes hundreds of tags, so they are not made anew for each version.
    needs = [(target, target.need()) for target in targets]
    return [
        Row(
            version=version,
            cells=[
                _cell(
                    _Known(
                        version=version,
                        target=target,
                        build=builds.get((version.pk, target.pk)),
                        source=sources.get(version.pk),
                        wheels=[wheel for wheel in wheels[version.pk] if covers(wheel.offer(), need)],
                        is_upstream=bool(target.served_upstream(upstream.get(version.pk, []))),
                        skip=skips.get(target.pk, ""),
                    ),
                    held,
                )
                for target, need in needs
            ],
            files=[
                File(
                    wheel,
                    apt=apt_names(wheel),
                    missing=_names(wheel, Dependency.Tool.NONE),
                    pip=_names(wheel, Dependency.Tool.PIP),
                    remarks=remarks_on(wheel),
                )
                for wheel in wheels[version.pk]
            ],
        )
        for version in page
    ]


def _wheels() -> Any:  # Any: a QuerySet of Wheel with things prefetched
    """Return listed wheels with all that a page says of them."""
    dependencies = Prefetch("dependencies", Dependency.objects.order_by("name"))
    return (
        index.offered().select_related("build__target", "package", "version").prefetch_related(dependencies)
    )


@dataclass(frozen=True)
class _Known:
    """What is known of one version for one target."""

    version: Version
    target: Target
    build: Build | None  # the last attempt
    source: UpstreamFile | None
    wheels: list[Wheel]  # that serve it
    is_upstream: bool  # whether upstream's serve it
    skip: str  # why it is not built for this target


def _cell(known: _Known, held: set[int]) -> Cell:
    """Return what a target has of a version: a wheel, a build, or the reason for neither."""
    build = known.build
    if build and build.pk in held:
        return Cell("…", "built, waits for an operator", build.get_absolute_url(), "none")
    if build and build.state == Build.State.SUCCEEDED:
        return Cell(*STATES[Build.State.SUCCEEDED], build.get_absolute_url(), build.state)
    for wheel in known.wheels:
        return Cell("✔", "served by another target's wheel", wheel.build.get_absolute_url(), "succeeded")
    # What is built nevertheless is said by its build.
    if known.is_upstream and not (build and build.is_open):
        return Cell("✔", "served by upstream's wheel", upstream_url(known.version.package), "succeeded")
    if build:
        sign, word = STATES[Build.State(build.state)]
        found = failures.of(build.failure, "") if build.state == Build.State.FAILED else None
        said = f"{word}: {found.failure.title}" if found and build.failure != "unknown" else word
        return Cell(sign, said, build.get_absolute_url(), build.state)
    return Cell("–", _why_not(known), "", "none")


def _why_not(known: _Known) -> str:
    """Return why a version is not even queued for a target."""
    version, target, source = known.version, known.target, known.source
    reasons = [
        (version.gone_at, "removed upstream"),
        (version.yanked, "yanked upstream"),
        (version.package.skip_reason, f"skipped: {version.package.skip_reason}"),
        (version.skip_reason, f"skipped: {version.skip_reason}"),
        (known.skip, f"skipped: {known.skip}"),
        (not version.canonical, "not a version that pip can read"),
        (source is None, "no source"),
        (source and not admits(source.requires_python, target.python), f"not for Python {target.python}"),
        (not target.is_active, "no longer built"),
    ]
    return next((text for applies, text in reasons if applies), "not among the newest, which are built")


def _headline(package: Package, versions: list[Version]) -> dict[str, Any]:  # Any: for the template
    """Return what the box on top says: the newest usable version with a wheel, and its dependencies.

    Neither a pre-release nor a yanked version may speak for the package, unless there is nothing else.
    """
    with_wheels = set(index.offered().filter(package=package).values_list("version", flat=True))
    usable = [version for version in versions if version.pk in with_wheels and not version.yanked]
    best = next((version for version in usable if not version.is_prerelease), usable[0] if usable else None)
    if best is None:
        return {}
    wheels = list(_wheels().filter(version=best))
    return {
        "version": best,
        "apt": sorted({name for wheel in wheels for name in apt_names(wheel)}),
        "pip": sorted({name for wheel in wheels for name in _names(wheel, Dependency.Tool.PIP)}),
    }


def _names(wheel: Wheel, tool: Dependency.Tool) -> list[str]:
    """Return the names of what a wheel needs, sorted, each once."""
    return sorted({dependency.name for dependency in wheel.dependencies.all() if dependency.tool == tool})


def apt_names(wheel: Wheel) -> list[str]:
    """Return the apt packages that a wheel needs beyond those that the target's image has."""
    present = set(wheel.build.target.preinstalled)
    return [name for name in _names(wheel, Dependency.Tool.APT) if name not in present]


@require_safe
def project_json(request: HttpRequest, name: str) -> HttpResponse:
    """Answer what is known of a package, in piwheels.org's shape: keys are added, none is ever removed."""
    if name != canonical_or_404(name):
        return redirect("project-json", canonical_or_404(name), permanent=True)
    package = get_object_or_404(Package, name=name)
    versions = sorted(package.versions.all(), key=lambda version: version.sort_key, reverse=True)
    wheels: dict[int, list[Wheel]] = defaultdict(list)
    for wheel in _wheels().filter(package=package):
        wheels[wheel.version_id].append(wheel)
    builds: dict[int, dict[str, object]] = defaultdict(dict)
    tried = Build.objects.filter(version__package=package).select_related("target")
    for build in tried.order_by("attempt"):
        builds[build.version_id][build.target.key] = _build(build)
    upstream = upstream_wheels(UpstreamFile.objects.filter(version__package=package))
    targets = Target.objects.active()
    body = {
        "package": package.name,
        "summary": package.summary,
        "pypi_url": upstream_url(package).rstrip("/"),
        "piwheels_url": request.build_absolute_uri(package.get_absolute_url()).rstrip("/"),
        "releases": {
            version.number: {
                **_release(package, version, wheels[version.pk]),
                "builds": builds[version.pk],
                "served_upstream": _served_upstream(targets, upstream.get(version.pk, [])),
            }
            for version in versions
        },
    }
    return JsonResponse(body, headers={"Access-Control-Allow-Origin": "*"})


def _release(package: Package, version: Version, wheels: list[Wheel]) -> dict[str, object]:
    """Return one version as the JSON has it."""
    return {
        "released": f"{version.released_at:%Y-%m-%d %H:%M:%S}" if version.released_at else None,
        "prerelease": version.is_prerelease,
        "yanked": version.yanked,
        "skip_reason": version.skip_reason or package.skip_reason,
        "files": {wheel.filename: _file(wheel) for wheel in wheels},
    }


def _served_upstream(targets: Iterable[Target], wheels: list[UpstreamWheel]) -> dict[str, list[str]]:
    """Return which of upstream's files serve which targets, so that nothing is built for them."""
    found = {target.key: target.served_upstream(wheels) for target in targets} if wheels else {}
    return {key: filenames for key, filenames in found.items() if filenames}


def _build(build: Build) -> dict[str, object]:
    """Return the last attempt for a target as the JSON has it; piwheels.org's has none."""
    return {
        "build_id": build.pk,
        "state": build.state,
        "reason": build.reason,
        "why": build.why,
        "failure": build.failure,
        "failure_about": build.failure_about,
        "rung": build.rung,
        "duration": build.duration_s,
    }


def _file(wheel: Wheel) -> dict[str, object]:
    """Return one file as the JSON has it."""
    _, abi, platform = wheel.filename.removesuffix(".whl").rsplit("-", 2)
    return {
        "file_url": wheel.url,
        "filehash": wheel.sha256,
        "filesize": wheel.size,
        "builder_abi": wheel.build.target.abi,
        "file_abi_tag": abi,
        "platform": platform,
        "requires_python": wheel.requires_python or None,
        "glibc": wheel.glibc or None,
        "reproducible": wheel.reproducible,
        "trial": wheel.trial or "unknown",
        "apt_dependencies": apt_names(wheel),
        "unresolved_libraries": _names(wheel, Dependency.Tool.NONE),
        "pip_dependencies": _names(wheel, Dependency.Tool.PIP),
    }
