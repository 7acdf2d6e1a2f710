"""Programs' door to one build: where it stands, and what its wheels were made of."""

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from builds.files import storage
from builds.models import Build, Wheel
from builds.planning import priority
from builds.shown import position
from packages.clock import database_now


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
