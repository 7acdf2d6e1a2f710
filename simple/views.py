"""pip's door: the list of projects, the page of each, the wheels, and their metadata."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec
from urllib.parse import quote

from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponsePermanentRedirect,
)
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.cache import patch_vary_headers
from django.views.decorators.csrf import csrf_exempt
from packaging.utils import InvalidName, canonicalize_name

from builds.models import Wheel
from packages.accept_encoding import accepts_gzip
from packages.database import DATABASE_AWAY
from simple import downloads, files, tree, unpublished
from simple.formats import OFFERED, Format
from simple.index import offered
from simple.indexes import ALL, FULL, of_release
from simple.negotiation import content_type, liked

logger = logging.getLogger(__name__)

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
# What a page depends on besides its address.
VARY = ["Accept", "Accept-Encoding"]


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


def _plain(text: str, status: int, cache_control: str = MISSING) -> HttpResponse:
    """Return a refusal in plain text."""
    return HttpResponse(
        text,
        status=status,
        content_type="text/plain; charset=utf-8",
        headers={"Cache-Control": cache_control},
    )


@open_to_all(PAGE)
def root(request: HttpRequest, release: str = "", index: str = ALL) -> HttpResponseBase:
    """Serve the list of all projects."""
    index = of_release(release) if release else index
    address = f"/{index}/"
    if request.path_info != address:
        return _moved(request, address)
    return _negotiated(request, index, "")


@open_to_all(PAGE)
def project(request: HttpRequest, name: str, release: str = "", index: str = ALL) -> HttpResponseBase:
    """Serve the page of one project; any other spelling of its name is redirected to it."""
    index = of_release(release) if release else index
    try:
        canonical = canonicalize_name(name, validate=True)
    except InvalidName as error:
        raise Http404 from error
    address = f"/{index}/{canonical}/"
    if request.path_info != address:
        return _moved(request, address)
    return _negotiated(request, index, name)


@open_to_all(FILE)
def wheel_file(request: HttpRequest, name: str, filename: str) -> HttpResponseBase:
    """Serve a wheel."""
    if published := tree.open_file(name, filename):
        response = files.serve_published(request, published)
    else:
        wheel = _wheel(name, filename)
        response = files.serve(request, wheel.path, wheel.sha256)
    downloads.count(request, response, name, filename)
    return response


@open_to_all(FILE)
def metadata(request: HttpRequest, name: str, filename: str) -> HttpResponseBase:
    """Serve the METADATA of a wheel (PEP 658)."""
    if published := tree.open_file(name, f"{filename}.metadata"):
        return files.serve_published(request, published)
    wheel = _wheel(name, filename)
    return files.serve(request, wheel.metadata_path, wheel.metadata_sha256)


@open_to_all(PAGE)
def file_elsewhere(request: HttpRequest, name: str, filename: str) -> HttpResponseBase:
    """Redirect from another spelling of a project's name to its file."""
    try:
        canonical = canonicalize_name(name, validate=True)
    except InvalidName as error:
        raise Http404 from error
    return _moved(request, f"/simple/{canonical}/{quote(filename)}")


@open_to_all(PAGE)
def nothing(request: HttpRequest) -> HttpResponseBase:
    """Answer for all addresses below the index that cannot be anything's."""
    raise Http404


def _wheel(name: str, filename: str) -> Wheel:
    """Return the wheel of that name, if pip may have it.

    Without a database, the published page tells as much of it as finding its file in a bucket takes.
    """
    try:
        return get_object_or_404(offered(), package__name=name, filename=filename)
    except DATABASE_AWAY:
        listed = tree.listed(name, filename)
        if listed is None:
            raise
        sha256, metadata_sha256 = listed["hashes"]["sha256"], listed["core-metadata"]["sha256"]
        return Wheel(filename=filename, sha256=sha256, metadata_sha256=metadata_sha256)


def _moved(request: HttpRequest, address: str) -> HttpResponse:
    """Redirect for good, with the query."""
    query = request.META.get("QUERY_STRING", "")
    return HttpResponsePermanentRedirect(f"{address}?{query}" if query else address)


def _negotiated(request: HttpRequest, index: str, name: str) -> HttpResponseBase:
    """Return a page in the format that the client likes best: from the tree, or else from rows."""
    format = _format(request)
    if format is None:
        response: HttpResponseBase = _plain(f"406: ask for one of {', '.join(Format)}.\n", status=406)
        patch_vary_headers(response, ["Accept"])
        return response
    response = _published(request, index, name, format) or _unpublished(request, index, name, format)
    if response.status_code != 302:
        patch_vary_headers(response, VARY)
    return response


def _published(request: HttpRequest, index: str, name: str, format: Format) -> HttpResponseBase | None:
    """Return a page of the tree, with the headers that nginx gives it; None if there is none."""
    packs = accepts_gzip(request.headers.get("Accept-Encoding", ""))
    found = tree.open_page(index, name, format, packed=packs)
    if found is None:
        return None
    return files.serve_page(request, found, content_type(format))


def _unpublished(request: HttpRequest, index: str, name: str, format: Format) -> HttpResponseBase:
    """Return a page from rows; while the database does not answer, what the tree lacks is not there.

    uv gives up on all of an installation where an index answers 5xx, and asks it for every package.
    """
    try:
        return unpublished.page(request, index, name, format)
    except DATABASE_AWAY as error:
        if not tree.is_published():
            raise
        logger.warning("Only the published tree says what there is, the database does not answer: %s", error)
        if index == FULL and name:
            return unpublished.elsewhere(index, name)
        text = "404: while the database does not answer, only what is published is known here.\n"
        return _plain(text, status=404, cache_control="no-store")


def _format(request: HttpRequest) -> Format | None:
    """Return which format to answer in (PEP 691); None if the client likes none of ours."""
    if "format" in request.GET:
        # People write the plus of "v1+json" as it is, and in a query that means a space.
        return OFFERED.get(request.GET["format"].replace(" ", "+"))
    return liked(request.headers.get("Accept", ""))
