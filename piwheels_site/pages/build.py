"""The page of one build: where it stands, why, what came out, and its log."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from builds.models import Build, Wheel
from builds.planning.wishes import upstream_wheels
from builds.shown import build_page
from builds.wheels.yanks import yanks
from packages.clock import database_now
from packages.models import UpstreamFile
from piwheels_site import snippets
from simple import index, indexes


@require_safe
def build(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one build, and how to install what came of it."""
    related = ("version__package", "target", "builder", "source")
    found = get_object_or_404(Build.objects.select_related(*related), pk=pk)
    now = database_now()
    wheels = build_page.came(found)
    offered = next((came for came in wheels if came.is_offered), None)
    context = {
        **build_page.told(found, now),
        **build_page.log_of(found, request.GET.get("find", ""), request.GET.get("from", "")),
        "build": found,
        "now": now,
        "wheels": wheels,
        "offered": offered,
        "command": _command(request, offered.wheel) if offered else "",
    }
    response = render(request, "builds/build.html", context)
    if found.is_open:
        response["Cache-Control"] = "no-store"
    return response


def _command(request: HttpRequest, wheel: Wheel) -> str:
    """Return the line with which pip installs a wheel."""
    site = request.build_absolute_uri("/")
    return snippets.command(site, wheel.package.name, wheel.version.number, _index(wheel))


def _index(wheel: Wheel) -> str:
    """Return the index from which installers get a wheel, which may be that of its release alone."""
    if not wheel.has_build_tag:
        return indexes.ALL
    alike = list(
        index.offered()
        .of_version(wheel.version)
        .select_related("package", "version", "build__target", "build__source")
    )
    theirs = UpstreamFile.objects.filter(version__in={each.version_id for each in alike})
    yanked = yanks(alike, upstream_wheels(theirs))
    return index.only_in([each for each in alike if each.pk not in yanked]).get(wheel.pk) or indexes.ALL
