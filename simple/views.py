"""pip's door: the list of projects, the page of each, the wheels, and their metadata."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.db.models import Count, Max, Sum
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponsePermanentRedirect,
)
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import condition
from packaging.utils import InvalidName, canonicalize_name

from builds.models import Wheel
from packages.models import NEVER, Package
from simple import downloads, files, misses
from simple.formats import API_VERSION, LAYOUT, OFFERED, Format, ProjectDetail, ProjectList
from simple.index import offered, project_detail, project_list

Params = ParamSpec("Params")
View = Callable[Concatenate[HttpRequest, Params], HttpResponseBase]

METHODS = ["GET", "HEAD", "OPTIONS"]
# Any web page may read the index (as of warehouse).
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET",
    "Access-Control-Allow-Headers": (
        "Content-Type, If-Match, If-Modified-Since, If-None-Match, If-Unmodified-Since"
    ),
    "Access-Control-Max-Age": "86400",
}

# A new wheel is seen within five minutes; a proxy may show the old page for a day while we are down,
# because uv gives up on the whole installation when an index fails.
PAGE = "public, max-age=300, stale-if-error=86400"
FILE = "public, max-age=365000000, immutable"
MISSING = "public, max-age=60"


def open_to_all(cache_control: str) -> Callable[[View[Params]], View[Params]]:
    """Let everyone read what a view answers, and let caches keep it that long.

    Here is what all answers of the index have in common: no other methods (and no 403 by the CSRF check
    before it comes to that), a 404 that is small, the headers for web pages, and no body after HEAD.
    """

    def decorate(view: View[Params]) -> View[Params]:
        @csrf_exempt
        @wraps(view)
        def answer(request: HttpRequest, /, *args: Params.args, **kwargs: Params.kwargs) -> HttpResponseBase:
            _forget_cookies(request)
            response = _answer(view, request, *args, **kwargs)
            if response.status_code in (200, 206, 301, 304):
                response.headers["Cache-Control"] = cache_control
            for header, value in CORS.items():
                response.headers[header] = value
            if isinstance(response, HttpResponse) and response.status_code not in (204, 304):
                response.headers.setdefault("Content-Length", str(len(response.content)))
                if request.method == "HEAD":
                    response.content = b""
            return response

        return answer

    return decorate


def _forget_cookies(request: HttpRequest) -> None:
    """Keep Django from answering a broken session or CSRF cookie with a new one, which caches would share."""
    request.COOKIES.clear()
    request.META.pop("CSRF_COOKIE_NEEDS_UPDATE", None)


def _answer(
    view: View[Params], request: HttpRequest, *args: Params.args, **kwargs: Params.kwargs
) -> HttpResponseBase:
    """Return a view's answer to GET and HEAD, and our own to all else."""
    if request.method == "OPTIONS":
        return HttpResponse(status=204, headers={"Allow": ", ".join(METHODS)})
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS)
    try:
        return view(request, *args, **kwargs)
    except Http404:
        return _plain("404: this index has nothing here.\n", status=404)


def _plain(text: str, status: int) -> HttpResponse:
    """Return a refusal in plain text."""
    return HttpResponse(
        text, status=status, content_type="text/plain; charset=utf-8", headers={"Cache-Control": MISSING}
    )


@open_to_all(PAGE)
def root(request: HttpRequest) -> HttpResponseBase:
    """Serve the list of all projects."""
    address = reverse("simple-root")
    if request.path != address:
        return _moved(request, address)
    return _negotiated(request, _root_page)


@open_to_all(PAGE)
def project(request: HttpRequest, name: str) -> HttpResponseBase:
    """Serve the page of one project; any other spelling of its name is redirected to it."""
    try:
        canonical = canonicalize_name(name, validate=True)
    except InvalidName as error:
        raise Http404 from error
    address = reverse("simple-project", args=[canonical])
    if request.path != address:
        return _moved(request, address)
    return _negotiated(request, _project_page, get_object_or_404(Package, name=name))


@open_to_all(FILE)
def wheel_file(request: HttpRequest, name: str, filename: str) -> HttpResponseBase:
    """Serve a wheel."""
    wheel = _wheel(name, filename)
    response = files.serve(request, wheel.path, wheel.sha256)
    downloads.count(request, response, wheel)
    return response


@open_to_all(FILE)
def metadata(request: HttpRequest, name: str, filename: str) -> HttpResponseBase:
    """Serve the METADATA of a wheel (PEP 658)."""
    wheel = _wheel(name, filename)
    return files.serve(request, wheel.metadata_path, wheel.metadata_sha256)


@open_to_all(PAGE)
def nothing(request: HttpRequest) -> HttpResponseBase:
    """Answer for all addresses below the index that cannot be anything's."""
    raise Http404


def _wheel(name: str, filename: str) -> Wheel:
    """Return the wheel of that name, if pip may have it."""
    return get_object_or_404(offered(), package__name=name, filename=filename)


def _moved(request: HttpRequest, address: str) -> HttpResponse:
    """Redirect for good, with the query."""
    query = request.META.get("QUERY_STRING", "")
    return HttpResponsePermanentRedirect(f"{address}?{query}" if query else address)


def _negotiated(
    request: HttpRequest,
    page: Callable[Concatenate[HttpRequest, Format, Params], HttpResponseBase],
    *args: Params.args,
    **kwargs: Params.kwargs,
) -> HttpResponseBase:
    """Return the page in the format that the client likes best."""
    format = _format(request)
    if format is None:
        response: HttpResponseBase = _plain(f"406: ask for one of {', '.join(Format)}.\n", status=406)
    else:
        response = page(request, format, *args, **kwargs)
    patch_vary_headers(response, ["Accept"])
    return response


def _format(request: HttpRequest) -> Format | None:
    """Return which format to answer in (PEP 691); None if the client likes none of ours."""
    if "format" in request.GET:
        # People write the plus of "v1+json" as it is, and in a query that means a space.
        return OFFERED.get(request.GET["format"].replace(" ", "+"))
    if not request.headers.get("Accept"):
        return Format.HTML
    try:
        preferred = request.get_preferred_type(list(OFFERED))
    except (TypeError, ValueError):  # RFC 2231 parameters that are broken, which the email package trips over
        return None
    return OFFERED[preferred] if preferred else None


def _root_etag(request: HttpRequest, format: Format) -> str:
    """Return a validator that changes when any package does."""
    now = Package.objects.aggregate(rows=Count("pk"), revisions=Sum("revision"), changed_at=Max("changed_at"))
    changed_at = now["changed_at"] or NEVER
    return f'"{now["rows"]}-{now["revisions"]}-{changed_at:%Y%m%d%H%M%S%f}-{format.name}-{LAYOUT}"'


@condition(etag_func=_root_etag)
def _root_page(request: HttpRequest, format: Format) -> HttpResponse:
    """Return the list of all projects."""
    return _rendered(project_list(), format, "simple/root.html")


def _project_etag(request: HttpRequest, format: Format, package: Package) -> str:
    """Return a validator that changes when the package does."""
    return f'"{package.pk}-{package.revision}-{package.changed_at:%Y%m%d%H%M%S%f}-{format.name}-{LAYOUT}"'


@condition(etag_func=_project_etag)
def _project_page(request: HttpRequest, format: Format, package: Package) -> HttpResponse:
    """Return the page of one project, if it has one."""
    detail = project_detail(package)
    if detail is None:
        misses.of_this_process.count(package, timezone.now().date())
        raise Http404
    return _rendered(detail, format, "simple/project.html")


def _rendered(page: ProjectDetail | ProjectList, format: Format, template: str) -> HttpResponse:
    """Return a page in that format."""
    if format is Format.JSON:
        return HttpResponse(page.to_json(), content_type=str(format))
    html = render_to_string(template, {"page": page, "api_version": API_VERSION})
    return HttpResponse(html, content_type=f"{format}; charset=utf-8")
