"""What is known of a package, as JSON in piwheels.org's shape: keys are added, none is ever removed."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import chain

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_safe

from builds.models import Build, Dependency, Target, Wheel
from builds.planning.wishes import upstream_wheels
from builds.shown import position
from builds.shown.remarks import why_not_offered
from builds.wheels.upstream import UpstreamWheel
from builds.wheels.yanks import Yank, yanks
from packages.clock import database_now
from packages.models import Package, UpstreamFile, Version
from piwheels_site import use
from piwheels_site.matrix import apt_names, described, kept_back, needed
from piwheels_site.naming import canonical_or_404, upstream_url
from simple import index

CORS = {"Access-Control-Allow-Origin": "*"}


@require_safe
def project_json(request: HttpRequest, name: str) -> HttpResponse:
    """Answer what is known of a package."""
    if name != canonical_or_404(name):
        return redirect("project-json", canonical_or_404(name), permanent=True)
    package = get_object_or_404(Package, name=name)
    return JsonResponse(body(package, request.build_absolute_uri("/")), headers=CORS)


def body(package: Package, site: str) -> dict[str, object]:
    """Return what is known of a package; `site` ends in a slash."""
    now = database_now()
    placed = package.versions.newest_first()
    versions = {version.pk: version for version in package.versions.all()}
    wheels: dict[int, list[Wheel]] = defaultdict(list)
    for wheel in described(index.offered().filter(package=package)):
        wheels[wheel.version_id].append(wheel)
    attempts = Build.objects.filter(version__package=package).select_related("target").order_by("attempt")
    builds = {(build.version_id, build.target_id): build for build in attempts}
    ahead = _ahead(builds.values())
    told: dict[int, dict[str, object]] = defaultdict(dict)
    away = {wheel.build_id: why_not_offered(wheel) for wheel in kept_back(package.wheels.all())}
    for (version, _), build in builds.items():
        told[version][build.target.key] = _build(build, ahead.get(build.pk), away.get(build.pk, ""))
    upstream = upstream_wheels(UpstreamFile.objects.filter(version__package=package))
    yanked = yanks(chain(*wheels.values()), upstream)
    targets = Target.objects.active()
    recent, total = use.counts(package, now)
    return {
        "package": package.name,
        "summary": package.summary,
        "pypi_url": upstream_url(package.name).rstrip("/"),
        "piwheels_url": f"{site}project/{package.name}",
        "downloads": {"recent": recent, "all": total},
        "releases": {
            number: {
                **_release(package, versions[pk], wheels[pk], yanked),
                "builds": told[pk],
                "served_upstream": _served_upstream(targets, upstream.get(pk, [])),
            }
            for pk, number, *_ in placed
        },
    }


def _ahead(builds: Iterable[Build]) -> dict[int, int]:
    """Return how many builds go before the next one of each target, by its key.

    Of a package thousands may wait, so those behind are not counted; nor are all others, as in
    `builds.shown.position`.
    """
    first: dict[int, Build] = {}
    for build in builds:
        if build.state == Build.State.QUEUED:
            best = first.setdefault(build.target_id, build)
            if (build.priority, build.released_at) > (best.priority, best.released_at):
                first[build.target_id] = build
    return {build.pk: Build.objects.count_before(build, position.COUNTED) for build in first.values()}


def _release(
    package: Package, version: Version, wheels: list[Wheel], yanked: Mapping[int, Yank]
) -> dict[str, object]:
    """Return one version as the JSON has it."""
    return {
        "released": f"{version.released_at:%Y-%m-%d %H:%M:%S}" if version.released_at else None,
        "prerelease": version.is_prerelease,
        "yanked": version.yanked,
        "skip_reason": version.skip_reason or package.skip_reason,
        "files": {wheel.filename: _file(wheel, yanked.get(wheel.pk)) for wheel in wheels},
    }


def _served_upstream(targets: Iterable[Target], wheels: list[UpstreamWheel]) -> dict[str, list[str]]:
    """Return which of upstream's files serve which targets, so that nothing is built for them."""
    found = {target.key: target.served_upstream(wheels) for target in targets} if wheels else {}
    return {key: filenames for key, filenames in found.items() if filenames}


def _build(build: Build, ahead: int | None, not_offered: str) -> dict[str, object]:
    """Return the last attempt for a target as the JSON has it; piwheels.org's has none."""
    return {
        "build_id": build.pk,
        "status": build.state,
        "state": build.state,
        "reason": build.reason,
        "not_offered": not_offered,
        "why": build.why,
        "failure_class": build.failure,
        "failure": build.failure,
        "failure_about": build.failure_about,
        "rung": build.rung,
        "duration": build.duration_s,
        "log_url": f"{build.get_absolute_url()}log",
        "queue_position": None if ahead is None else ahead + 1,
    }


def _file(wheel: Wheel, yank: Yank | None) -> dict[str, object]:
    """Return one file as the JSON has it."""
    _, abi, platform = wheel.filename.removesuffix(".whl").rsplit("-", 2)
    return {
        "file_url": wheel.url,
        "filehash": wheel.sha256,
        "filesize": wheel.size,
        "upload_time": f"{wheel.published_at:%Y-%m-%dT%H:%M:%SZ}",
        "builder_abi": wheel.build.target.abi,
        "file_abi_tag": abi,
        "platform": platform,
        "platforms": platform.split("."),
        "target": wheel.build.target.key,
        "requires_python": wheel.requires_python or None,
        "yanked": yank is not None,
        "yanked_reason": yank.reason if yank else "",
        "glibc": wheel.glibc or None,
        "reproducible": wheel.reproducible,
        "trial": wheel.trial or "unknown",
        "apt_dependencies": apt_names(wheel),
        "unresolved_libraries": needed(wheel, Dependency.Tool.NONE),
        "pip_dependencies": needed(wheel, Dependency.Tool.PIP),
    }
