"""The first page: what this is, the line for pip, and what the farm has."""

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from builds.clock import database_now
from builds.models import Build, Builder, Target
from simple import downloads, index

# The counters are counted anew this often, in seconds, however many people look.
COUNTED_EVERY = 30
WAITING_EVERY = 5


def counters() -> list[tuple[int, str]]:
    """Return the four numbers of the first page, each with its name."""
    wheels = index.offered()
    return [
        (wheels.values("package").distinct().count(), "packages with wheels"),
        (wheels.count(), "wheels"),
        (Build.objects.exclude(finished_at=None).count(), "builds finished"),
        (downloads.total(days=30), "downloads in 30 days"),
    ]


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show the first page."""
    recent = Build.objects.exclude(finished_at=None).select_related("version__package", "target")
    context = {
        "index": request.build_absolute_uri("/simple/"),
        "host": request.get_host().rpartition(":")[0] or request.get_host(),
        "is_plain": not request.is_secure(),
        "counters": cache.get_or_set("home-counters", counters, COUNTED_EVERY),
        "targets": Target.objects.active(),
        "running": Build.objects.assigned().select_related("version__package", "target", "builder"),
        # Of a whole PyPI, millions wait.
        "waiting": cache.get_or_set("home-waiting", Build.objects.waiting().count, WAITING_EVERY),
        "builders": Builder.objects.select_related("target"),
        "recent": recent.order_by("-finished_at")[:10],
        "now": database_now(),
    }
    return render(request, "home.html", context)
