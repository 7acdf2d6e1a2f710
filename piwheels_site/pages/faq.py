"""Questions and answers; what depends on this farm comes from its data and settings."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from builds.models import Target, Wheel
from piwheels_site import snippets
from piwheels_site.answers import named
from simple import index, indexes


@require_safe
def faq(request: HttpRequest) -> HttpResponse:
    """Show them."""
    site, targets = request.build_absolute_uri("/"), list(Target.objects.active())
    own_indexes = (indexes.of_release(target.os_release) for target in targets)
    context = {
        "site": site,
        "host": request.get_host(),
        "environment": snippets.ENVIRONMENT,
        "once": snippets.once(site),
        "for_good": snippets.for_good(site),
        "targets": [named(target) for target in targets],
        "own_index": next(filter(None, own_indexes), ""),
        "example": _example(),
        "has_full": settings.PIWHEELS_FULL_INDEX,
        "requests_a_day": settings.PIWHEELS_REQUESTS_A_DAY,
        "limit_s": settings.PIWHEELS_TIME_LIMIT_S,
    }
    return render(request, "pages/faq.html", context)


def _example() -> Wheel | None:
    """Return the newest wheel, if it is for a target that we build for: its package has a line for apt."""
    newest = index.offered().select_related("package", "build__target").order_by("-pk").first()
    return newest if newest and newest.build.target.is_active else None
