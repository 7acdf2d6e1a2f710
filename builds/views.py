"""People's door to builds: the page of one build, and its log."""

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from builds import failures, logs, position, priority, storage
from builds.clock import database_now
from builds.models import Build, Wheel
from builds.remarks import remarks_on

# In bytes: a browser on a small Pi should not have to lay out ten megabytes of compiler warnings.
SHOWN_LOG = 100_000


@require_safe
def build(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one build: where it stands, why, what came out, and the end of its log."""
    found = get_object_or_404(
        Build.objects.select_related("version__package", "target", "builder", "source"), pk=pk
    )
    now = database_now()
    text, is_cut = logs.tail(found, SHOWN_LOG)
    found_failure = failures.of(found.failure, found.failure_about)
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
        "failure": found_failure,
        "suggestion": found_failure.suggestion(found.target.os_release) if found_failure else "",
        "apt": found_failure.apt(found.target.os_release) if found_failure else "",
        "error": failures.error_block(text) if found.failure == "unknown" else "",
        "now": now,
        "standing": position.of(found, now).said() if found.state == Build.State.QUEUED else [],
    }
    return render(request, "builds/build.html", context)


@require_safe
def build_json(request: HttpRequest, pk: int) -> JsonResponse:
    """Answer where one build stands, and why, for programs that wait for it."""
    found = get_object_or_404(Build.objects.select_related("version__package", "target", "builder"), pk=pk)
    waits = position.of(found, database_now()) if found.state == Build.State.QUEUED else None
    rank, is_raised = priority.class_of(found.priority)
    body = {
        "build_id": found.pk,
        "package": found.version.package.name,
        "version": found.version.number,
        "target": found.target.key,
        "attempt": found.attempt,
        "state": found.state,
        "reason": found.reason,
        "why": found.why,
        "class": rank.name.lower(),
        "raised": is_raised,
        "priority": found.priority,
        "ahead": waits.ahead if waits else None,
        "more_ahead": not waits.is_all if waits else None,
        "starts_in_s": round(waits.starts_in_s) if waits and waits.starts_in_s is not None else None,
        "duration": found.duration_s,
    }
    return JsonResponse(body, headers={"Access-Control-Allow-Origin": "*"})


@require_safe
def log(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """Show a build's whole log, as text that no browser takes for anything else."""
    found = get_object_or_404(Build, pk=pk)
    response = StreamingHttpResponse(logs.lines(found), content_type="text/plain; charset=utf-8")
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox"
    return response


@require_safe
def provenance(request: HttpRequest, pk: int, filename: str) -> HttpResponse:
    """Give the statement of what a wheel was made of; it never changes."""
    wheel = get_object_or_404(Wheel, build=pk, filename=filename)
    try:
        content = storage.read_bytes(wheel.provenance_path)
    except FileNotFoundError as error:
        raise Http404("This wheel was built before statements were kept.") from error
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "Access-Control-Allow-Origin": "*",
        "X-Content-Type-Options": "nosniff",
    }
    return HttpResponse(content, content_type="application/json", headers=headers)
