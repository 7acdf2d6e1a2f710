"""The page of the farm: what each builder does, how it is, and how its last builds ended; live."""

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from builds.builders import farm as builders
from packages.clock import database_now

# The farm is looked at this often, in seconds, however many people watch; a page asks every 2 seconds, and so
# is 3 behind at the most.
LOOKED_AT_EVERY = 1


def _part() -> str:
    """Return the part of the page that changes, which is the same for everybody."""
    return cache.get_or_set("farm", _rendered, LOOKED_AT_EVERY) or _rendered()


def _rendered() -> SafeString:
    now = database_now()
    return render_to_string("pages/_farm.html", {"farm": builders.look(now), "now": now})


@require_safe
def farm(request: HttpRequest) -> HttpResponse:
    """Show the farm; with `?still` it does not change by itself."""
    return render(request, "pages/farm.html", {"part": _part(), "is_still": "still" in request.GET})


@cache_control(no_cache=True)
@require_safe
def farm_now(request: HttpRequest) -> HttpResponse:
    """Show the part of that page that changes."""
    return HttpResponse(_part())
