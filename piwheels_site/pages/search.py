"""Search for a package, the list of the most downloaded ones, and what is shown where there is nothing."""

from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from builds.models import Demand
from packages.models import Package
from packages.project import canonical
from piwheels_site import search as finding
from piwheels_site.asked import NoTarget

A_PAGE = 50
# Nobody turns pages for longer than this, and each costs more than the one before.
LISTED = 1000


@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """Show what was looked for, or the most downloaded packages."""
    typed = request.GET.get("q", "").replace("\0", "").strip()[:200]
    if not typed:
        return render(request, "pages/packages.html", {"page": _page(request)})
    found = finding.search(typed)
    return render(
        request, "pages/packages.html", {"typed": typed, "found": found, "may_be_a_name": canonical(typed)}
    )


def _page(request: HttpRequest) -> Page[Demand]:
    """Return a page of the most downloaded packages."""
    popular = Demand.objects.most_wanted().select_related("package")
    return Paginator(popular[:LISTED], A_PAGE).get_page(request.GET.get("page"))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say that there is no such page, or why, and which package may have been meant."""
    name = _name_in(request.path_info)
    context = {
        "said": str(exception) if isinstance(exception, NoTarget) else "",
        "name": name,
        "near": finding.near(name) if name else [],
        "is_known": bool(name) and Package.objects.filter(name=name).exists(),
    }
    return render(request, "pages/404.html", context, status=404)


def _name_in(path: str) -> str:
    """Return the package that an address is of, if it is the address of one."""
    _, first, *rest = path.split("/", 3)
    return canonical(rest[0]) if first in ("project", "p", "explain") and rest else ""
