"""What is answered when an answer cannot be made: the database is away (503), or the fault is ours (500).

Nothing here may need the database, and so neither may its template.
"""

import sys

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from builder import log_lines
from packages.database import DATABASE_AWAY
from piwheels_site.api.answers import problem
from piwheels_site.context import theme_of
from simple import straight

# As nginx says it when the whole web server is away.
RETRY_AFTER_S = 30
_DOORS = ("/api/", "/builder/")
_JSON = {
    503: ("The database does not answer at the moment.", f"Try again in {RETRY_AFTER_S} seconds."),
    500: ("This is our fault, and was noted.", "Whoever reports it may name the request {name}."),
}
_TEXT = {503: "503: the database does not answer.\n", 500: "500: this is our fault, and was noted.\n"}


def broken(request: HttpRequest) -> HttpResponse:
    """Say which of the two it is, in the form that is spoken at that address.

    Django calls it while it handles the exception, and logs that by itself.
    """
    is_away = isinstance(sys.exception(), DATABASE_AWAY)
    response = _said(request, 503 if is_away else 500, log_lines.value_of("request"))
    response.headers["Cache-Control"] = "no-store"
    if is_away:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def _said(request: HttpRequest, status: int, name: str) -> HttpResponse:
    """Return it as JSON or as a line of text, which scripts of any site may read, or as a page."""
    if request.path_info.startswith(_DOORS):
        error, what_to_do = _JSON[status]
        response = problem(status, error, what_to_do.format(name=name))
    elif straight.match_of(request.path_info):
        response = HttpResponse(_TEXT[status], status=status, content_type="text/plain; charset=utf-8")
    else:
        context = {"is_away": status == 503, "name": name, "theme": theme_of(request)}
        return HttpResponse(render_to_string("pages/broken.html", context), status=status)
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response
