"""The page of the API: all that may be asked, as its OpenAPI description has it, with examples."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from piwheels_site import limits
from piwheels_site.api import describe
from piwheels_site.api.answers import MOST, ROOT
from simple.requirements import MOST_BYTES


@require_safe
def api_docs(request: HttpRequest) -> HttpResponse:
    """Show it, with examples of what this farm has."""
    site, shown = request.build_absolute_uri("/").rstrip("/"), describe.sample()
    context = {
        "site": site,
        "root": ROOT,
        "sections": describe.sections(site, shown),
        "sample": shown,
        "most": MOST,
        "most_mib": MOST_BYTES >> 20,
        "a_minute": settings.PIWHEELS_API_A_MINUTE,
        "costs": limits.COSTS,
    }
    return render(request, "pages/api.html", context)
