"""The pages of how builds fail: all classes, and one class with its builds."""

from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from builds import failures
from builds.figures import breakages, failing
from packages.clock import database_now
from piwheels_site.charts import bars

# The numbers are read from roll-ups this often, in seconds, however many people look.
READ_EVERY = 15
# How many of the new releases that fail are shown.
BREAKAGES = 25
TITLE = "Builds that failed, by day"


@require_safe
def failure_classes(request: HttpRequest) -> HttpResponse:
    """Show in which ways builds fail, and how often."""
    now = database_now()
    found = cache.get_or_set("failures", lambda: failing.classes(now), READ_EVERY) or []
    broken = cache.get_or_set(
        "failures-broken", lambda: list(breakages.standing(now)[:BREAKAGES]), READ_EVERY
    )
    series = cache.get_or_set("failures-trend", lambda: failing.trend(now), READ_EVERY) or []
    context = {
        "classes": found,
        "broken": broken,
        "lately": sum(each.lately for each in found),
        "chart": bars(TITLE, series),
        "now": now,
    }
    return render(request, "pages/failures.html", context)


@require_safe
def failure_class(request: HttpRequest, key: str) -> HttpResponse:
    """Show one way to fail, and the builds of one target that did, the last one first."""
    failure = failures.classes().get(key)
    if failure is None:
        raise Http404("There is no such class of failure.")
    now = database_now()
    before = request.GET.get("before", "")
    targets = failing.by_target(key, now)
    asked = request.GET.get("target", "")
    target = next((each for each, _ in targets if each.key == asked), targets[0][0] if targets else None)
    start = int(before) if before.isdecimal() and len(before) < 19 else 0
    context = {
        "class": failing.one(failure, now),
        "chart": bars(TITLE, failing.trend(now, key)),
        "targets": targets,
        "target": target,
        "last": failing.last(key, target, now, start) if target else None,
        "is_first": not start,
        "now": now,
    }
    return render(request, "pages/failure.html", context)
