"""The page of a package: whether it installs on which Pi, versions by target, files, and what they need."""

from datetime import datetime
from typing import Any

from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from builds.models import Dependency
from builds.shown import dependents
from packages.clock import database_now
from packages.models import Package, Placed, Version
from piwheels_site import card, matrix, snippets, use
from piwheels_site.answers import Answer
from piwheels_site.looking import Looked, look
from piwheels_site.matrix import Cell, File, Matrix
from piwheels_site.naming import canonical_or_404, upstream_url
from piwheels_site.snippets import Snippet
from simple.indexes import ALL

VERSIONS_A_PAGE = 25


@require_safe
def project(request: HttpRequest, name: str) -> HttpResponse:
    """Show a package; to who reads in a terminal, as text."""
    if name != canonical_or_404(name):
        return redirect("project", canonical_or_404(name), permanent=True)
    package = get_object_or_404(Package, name=name)
    placed, now, site = package.versions.newest_first(), database_now(), request.build_absolute_uri("/")
    if card.is_wanted(request):
        looked = look(package, placed, [], now)
        said = commands(looked.installed, site, name)
        response = HttpResponse(card.card(package, looked.answers, said, site), content_type=card.TEXT)
    else:
        page = Paginator(placed, VERSIONS_A_PAGE).get_page(request.GET.get("page"))
        looked = look(package, placed, page, now)
        response = render(request, "pages/project.html", _context(looked, page, site, now))
    patch_vary_headers(response, ["Accept", "User-Agent"])
    return response


@require_safe
def without_slash(request: HttpRequest, name: str) -> HttpResponse:
    """Lead to the page; curl follows no redirect by itself, so it gets its text here."""
    if card.is_wanted(request) and name == canonical_or_404(name):
        return project(request, name)
    response = redirect("project", canonical_or_404(name), permanent=True)
    patch_vary_headers(response, ["Accept", "User-Agent"])
    return response


def _context(
    looked: Looked, page: Page[Placed], site: str, now: datetime
) -> dict[str, Any]:  # Any: for the template
    """Return what the page says."""
    package, found = looked.package, looked.found
    return {
        "package": package,
        "newest": looked.newest,
        "answers": looked.answers,
        "commands": commands(looked.installed, site, package.name),
        "elsewhere": elsewhere(looked.installed, site, package.name),
        "can_ask": not package.why_not_built and any(answer.can_ask for answer in looked.answers),
        "page": page,
        "targets": found.targets,
        "rows": _rows(found, [looked.versions[version.pk] for version in page], site, package.name),
        "needs": sorted({need for answer in looked.installed for need in _pip_names(answer)}),
        "dependents": dependents.of(package),
        "use": use.of(package, looked.its_builds, now),
        "upstream": upstream_url(package.name),
        "site": site,
        "now": now,
    }


def _pip_names(answer: Answer) -> list[str]:
    return matrix.needed(answer.wheel, Dependency.Tool.PIP) if answer.wheel else []


def commands(installed: list[Answer], site: str, name: str) -> list[tuple[list[str], str]]:
    """Return what to type, with the targets that it is for; one for all where it is the same for all."""
    found: dict[str, list[str]] = {}
    for answer in installed:
        apt = f"sudo apt install {' '.join(answer.apt)}\n" if answer.apt else ""
        found.setdefault(apt + snippets.command(site, name, answer.pin, answer.index), []).append(answer.name)
    return [(names, text) for text, names in found.items()]


def elsewhere(installed: list[Answer], site: str, name: str) -> list[tuple[list[str], list[Snippet]]]:
    """Return what to type for other clients than pip, with the targets that it is for."""
    found: dict[tuple[str, str], list[str]] = {}
    for answer in installed:
        found.setdefault((answer.pin, answer.index), []).append(answer.name)
    return [
        (names, [each for each in snippets.once(site, name, *told) if each.client != "pip"])
        for told, names in found.items()
    ]


def _rows(
    found: Matrix, versions: list[Version], site: str, name: str
) -> list[tuple[Version, list[Cell], list[File], list[tuple[str, str]]]]:
    """Return a page of versions, each with what targets have of it, its files, and what to type."""
    rows = []
    for version in versions:
        cells, files = [found.cell(version, target) for target in found.targets], found.files(version.pk)
        indexes = _indexes(found, files)
        typed = [(on, snippets.command(site, name, version.number, index)) for index, on in indexes.items()]
        rows.append((version, cells, files, typed))
    return rows


def _indexes(found: Matrix, files: list[File]) -> dict[str, str]:
    """Return the indexes that have these files, each with the release that it is for; "" for all of them.

    What a release has an index of its own for, its pip does not find in the one for all, and may take another
    release's file there.  Nobody is told to take what is yanked.
    """
    offered = [file.wheel for file in files if file.yank is None]
    confined = {found.only_in[wheel.pk]: wheel for wheel in offered if found.only_in.get(wheel.pk)}
    own = {index: confined[index].build.target.os_release for index in sorted(confined)}
    return {**({ALL: ""} if any(wheel.pk not in found.only_in for wheel in offered) else {}), **own}
