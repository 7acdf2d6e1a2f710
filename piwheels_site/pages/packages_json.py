"""All packages with their downloads as JSON, in piwheels.org's shape."""

from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.timezone import now
from django.views.decorators.http import require_safe

from packages.accept_encoding import accepts_gzip
from simple import catalogue, files, tree

JSON = "application/json"
# It is written once an hour.
KEPT = "public, max-age=600"


@require_safe
def packages_json(request: HttpRequest) -> HttpResponseBase:
    """Answer with the list that was written last, or make it in pieces where none was."""
    packs = accepts_gzip(request.headers.get("Accept-Encoding", ""))
    if found := tree.open_catalogue(packed=packs):
        response = files.serve_page(request, found, JSON)
    else:
        response = StreamingHttpResponse(catalogue.lines(now()), content_type=JSON)
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cache-Control"] = KEPT
    patch_vary_headers(response, ["Accept-Encoding"])
    return response
