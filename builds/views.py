"""People's door to builds: the page of one build, and its log."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from builds import logs
from builds.clock import database_now
from builds.models import Build

# A browser on a small Pi should not have to lay out ten megabytes of compiler warnings.
SHOWN_LOG = 100_000


@require_safe
def build(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one build: where it stands, why, what came out, and the end of its log."""
    found = get_object_or_404(
        Build.objects.select_related("version__package", "target", "builder", "source"), pk=pk
    )
    text = logs.read(found)
    context = {
        "build": found,
        "wheels": found.wheels.prefetch_related("dependencies"),
        "refusals": found.refusals.all(),
        "siblings": Build.objects.filter(version=found.version).select_related("target").order_by("pk"),
        "log": text[-SHOWN_LOG:],
        "is_cut": len(text) > SHOWN_LOG,
        "now": database_now(),
    }
    return render(request, "builds/build.html", context)


@require_safe
def log(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a build's whole log, as text that no browser takes for anything else."""
    found = get_object_or_404(Build, pk=pk)
    response = HttpResponse(logs.read(found), content_type="text/plain; charset=utf-8")
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox"
    return response
