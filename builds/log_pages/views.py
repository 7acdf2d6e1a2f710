"""People's and programs' door to logs: as text, as files, as they grow, and compared."""

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from builder.contract import LOG_LIMIT
from builds.files import logs
from builds.log_pages import comparing
from builds.log_pages.diff import MOST
from builds.log_pages.live import since
from builds.log_pages.parts import part
from builds.models import Build
from packages.accept_encoding import accepts_gzip

# A text that no browser takes for anything else, and that may be read by scripts of other sites.
_AS_TEXT = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox",
    "Access-Control-Allow-Origin": "*",
}
_FOR_EVER = "public, max-age=31536000, immutable"


@require_safe
def log(request: HttpRequest, pk: int) -> HttpResponse | StreamingHttpResponse:
    """Give a build's whole log as text, or with `offset` what has come since.

    The answer to the latter says in `X-Log-Offset` where to go on and in `X-Build-State` whether that is
    worth it; it is 204 when there is nothing new.
    """
    found = get_object_or_404(Build.objects.only("state"), pk=pk)
    if "offset" in request.GET:
        return _from(found, _number(request, "offset"))
    response = StreamingHttpResponse(
        logs.lines(found), content_type="text/plain; charset=utf-8", headers=_AS_TEXT
    )
    response["Cache-Control"] = "no-store" if found.is_open else "public, max-age=300"
    return response


def _from(build: Build, offset: int) -> HttpResponse:
    """Answer with a log's text from an offset on."""
    come = part(build, offset)
    headers = {
        **_AS_TEXT,
        "Cache-Control": "no-store",
        "X-Log-Offset": str(come.offset),
        "X-Build-State": build.state,
        "Access-Control-Expose-Headers": "X-Log-Offset, X-Build-State",
    }
    return HttpResponse(
        come.text,
        content_type="text/plain; charset=utf-8",
        status=200 if come.text else 204,
        headers=headers,
    )


@require_safe
def archived(request: HttpRequest, one: str, two: str, three: str, ending: str) -> HttpResponse:
    """Give a log at the address that it has on piwheels.org: as a compressed file, or as text."""
    found = get_object_or_404(Build.objects.only("state"), pk=int(one + two + three))
    packed = logs.packed(found.pk)
    response = HttpResponse(packed, content_type="application/gzip", headers=_AS_TEXT)
    response["Cache-Control"] = "no-store" if found.is_open else _FOR_EVER
    if ending == ".txt":
        response["Content-Type"] = "text/plain; charset=utf-8"
        patch_vary_headers(response, ["Accept-Encoding"])
        if accepts_gzip(request.headers.get("Accept-Encoding", "")):
            response["Content-Encoding"] = "gzip"
        else:
            response.content = logs.unpacked(packed)
    return response


@require_safe
def live(request: HttpRequest, pk: int) -> HttpResponse:
    """Give the lines that came since a page last asked; it loads itself anew when the build has moved on."""
    state = Build.objects.filter(pk=pk).values_list("state", flat=True).first()
    if state is None:
        raise Http404("There is no such build.")
    logs.watch(pk)
    response = HttpResponse(status=204)
    if state != request.GET.get("state"):
        response = HttpResponse(headers={"HX-Refresh": "true"})
    elif (logs.growing_size(pk) or 0) > _number(request, "seen"):
        come = since(pk, _number(request, "offset"), _number(request, "line", 1), _number(request, "held"))
        response = render(request, "builds/_live.html", {"build": pk, "state": state, "live": come})
        if come.is_anew:
            response["HX-Retarget"], response["HX-Reswap"] = "#live", "innerHTML"
    response["Cache-Control"] = "no-store"
    return response


@require_safe
def diff(request: HttpRequest, first: int, second: int) -> HttpResponse:
    """Show what two logs say differently."""
    builds = Build.objects.select_related("version__package", "target", "builder")
    one, other = get_object_or_404(builds, pk=first), get_object_or_404(builds, pk=second)
    compared = comparing.compare(one, other, _number(request, "after"))
    return render(request, "builds/diff.html", {"compared": compared, "most": MOST})


def _number(request: HttpRequest, name: str, least: int = 0) -> int:
    """Return a number that was asked for; the least one if it is none, or none that a log could have."""
    text = request.GET.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 12):
        return least
    return min(max(int(text), least), LOG_LIMIT + 1)
