"""Questions and answers; what depends on this farm comes from its data and settings."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from builds.models import Target
from piwheels_site import snippets
from piwheels_site.answers import named


@require_safe
def faq(request: HttpRequest) -> HttpResponse:
    """Show them."""
    site = request.build_absolute_uri("/")
    context = {
        "site": site,
        "host": request.get_host(),
        "environment": snippets.ENVIRONMENT,
        "once": snippets.once(site),
        "for_good": snippets.for_good(site),
        "targets": [named(target) for target in Target.objects.active()],
        "has_full": settings.PIWHEELS_FULL_INDEX,
        "requests_a_day": settings.PIWHEELS_REQUESTS_A_DAY,
        "limit_s": settings.PIWHEELS_TIME_LIMIT_S,
    }
    return render(request, "pages/faq.html", context)
