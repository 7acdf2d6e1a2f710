"""The page of how everything stands, with incidents and news."""

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from packages.clock import database_now
from piwheels_site import status as everything

# It is looked at this often, in seconds, however many people ask.
LOOKED_AT_EVERY = 5


@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """Show it."""
    now = database_now()
    lines = cache.get_or_set("status", lambda: everything.lines(now), LOOKED_AT_EVERY) or []
    going_on, over = everything.notices(now)
    context = {
        "lines": lines,
        "bad": sum(line.tone == everything.BAD for line in lines),
        "behind": sum(line.tone == everything.BEHIND for line in lines),
        "going_on": going_on,
        "over": over,
        "now": now,
    }
    return render(request, "pages/status.html", context)
