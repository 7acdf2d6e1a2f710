"""The page of the farm: what each builder does, how it is, and how its last builds ended; live."""

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from builds import farm as builders
from builds.clock import database_now

# The farm is looked at this often, in seconds, however many people watch; a page asks every 3 seconds.
LOOKED_AT_EVERY = 2


def _context() -> dict[str, object]:
    """Return what the page and its live part show."""
    now = database_now()
    return {"farm": cache.get_or_set("farm", lambda: builders.now(now), LOOKED_AT_EVERY), "now": now}


@require_safe
def farm(request: HttpRequest) -> HttpResponse:
    """Show the farm; with `?still` it does not change by itself."""
    return render(request, "farm.html", {**_context(), "is_still": "still" in request.GET})


@cache_control(public=True, max_age=LOOKED_AT_EVERY)
@require_safe
def farm_now(request: HttpRequest) -> HttpResponse:
    """Show the part of that page that changes."""
    return render(request, "_farm.html", _context())
