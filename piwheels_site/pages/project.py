"""The page of a package: whether it installs on which Pi, versions by target, files, and what they need."""

from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_safe

from builds import dependents
from builds.clock import database_now
from builds.models import Build, Dependency, Target
from packages.models import Package, Placed, Version
from piwheels_site import answers, matrix, snippets, use
from piwheels_site.answers import Answer
from piwheels_site.matrix import Cell, File, Matrix
from piwheels_site.naming import canonical_or_404, upstream_url

VERSIONS_A_PAGE = 25


@require_safe
def project(request: HttpRequest, name: str) -> HttpResponse:
    """Show a package."""
    if name != canonical_or_404(name):
        return redirect("project", canonical_or_404(name), permanent=True)
    package = get_object_or_404(Package, name=name)
    placed = package.versions.newest_first()
    page = Paginator(placed, VERSIONS_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "project.html", _context(request, package, placed, page))


def _context(
    request: HttpRequest, package: Package, placed: list[Placed], page: Page[Placed]
) -> dict[str, Any]:  # Any: for the template
    """Return what the page says, read with the same few queries for any package."""
    now, site = database_now(), request.build_absolute_uri("/")
    speaking = answers.spokesmen(placed)
    shown = {version.pk for version in [*page, *speaking]}
    versions = Version.objects.in_bulk(shown)
    targets = targets_of(package)
    found = matrix.read(package, shown, targets, upstream_page=upstream_url(package.name))
    newest = versions.get(speaking[0].pk) if speaking else None
    answered = answers.answers(found, newest, speaking, now)
    installed = [answer for answer in answered if answer.wheel]
    needs = sorted({need for answer in installed for need in _pip_names(answer)})
    return {
        "package": package,
        "newest": newest,
        "answers": answered,
        "commands": commands(installed, site, package.name),
        "snippets": snippets.once(site, package.name),
        "can_ask": any(answer.can_ask for answer in answered),
        "page": page,
        "targets": targets,
        "rows": _rows(found, [versions[version.pk] for version in page]),
        "needs": needs,
        "dependents": dependents.of(package),
        "use": use.of(package, found.builds.values(), now),
        "upstream": upstream_url(package.name),
        "site": site,
        "now": now,
    }


def targets_of(package: Package) -> list[Target]:
    """Return the targets that we build for, and others for which this package was built."""
    tried = Build.objects.filter(version__package=package).values("target")
    return list(Target.objects.filter(Q(is_active=True) | Q(pk__in=tried)))


def _pip_names(answer: Answer) -> list[str]:
    return matrix.needed(answer.wheel, Dependency.Tool.PIP) if answer.wheel else []


def commands(installed: list[Answer], site: str, name: str) -> list[tuple[list[str], str]]:
    """Return what to type, with the targets that it is for; one for all where it is the same for all."""
    found: dict[str, list[str]] = {}
    for answer in installed:
        apt = f"sudo apt install {' '.join(answer.apt)}\n" if answer.apt else ""
        found.setdefault(apt + snippets.command(site, name), []).append(answer.name)
    return [(names, text) for text, names in found.items()]


def _rows(found: Matrix, versions: list[Version]) -> list[tuple[Version, list[Cell], list[File]]]:
    """Return a page of versions, each with what the targets have of it, and its files."""
    return [
        (version, [found.cell(version, target) for target in found.targets], found.files(version.pk))
        for version in versions
    ]
