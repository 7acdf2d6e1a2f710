"""People's door to builds: the page of one build, and its log."""

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from builds import logs
from builds.clock import database_now
from builds.models import Build
from builds.remarks import remarks_on

# In bytes: a browser on a small Pi should not have to lay out ten megabytes of compiler warnings.
SHOWN_LOG = 100_000


@require_safe
def build(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one build: where it stands, why, what came out, and the end of its log."""
    found = get_object_or_404(
        Build.objects.select_related("version__package", "target", "builder", "source"), pk=pk
    )
    text, is_cut = logs.tail(found, SHOWN_LOG)
    context = {
        "build": found,
        "wheels": [
            (wheel, remarks_on(wheel))
            for wheel in found.wheels.select_related("package").prefetch_related("dependencies")
        ],
        "refusals": found.refusals.all(),
        "siblings": Build.objects.filter(version=found.version).select_related("target").order_by("pk"),
        "log": text,
        "is_cut": is_cut,
        "now": database_now(),
    }
    return render(request, "builds/build.html", context)


@require_safe
def log(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """Show a build's whole log, as text that no browser takes for anything else."""
    found = get_object_or_404(Build, pk=pk)
    response = StreamingHttpResponse(logs.lines(found), content_type="text/plain; charset=utf-8")
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox"
    return response
