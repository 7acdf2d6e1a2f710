"""What is answered when an answer cannot be made: the database is away (503), or the fault is ours (500).

Nothing here may need the database, and so neither may its template.
"""

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string

from builder import log_lines
from piwheels_site.context import theme_of
from simple import straight

# As nginx says it when the whole web server is away.
RETRY_AFTER_S = 30
_DOORS = ("/api/", "/builder/")
# Scripts of any site may read what is no page.
_TO_ALL = {"Access-Control-Allow-Origin": "*"}
_AWAY = "The database does not answer at the moment.", f"Try again in {RETRY_AFTER_S} seconds."
_OURS = "This is our fault, and was noted.", "Whoever reports it may name the request {name}."


def broken(request: HttpRequest) -> HttpResponse:
    """Say which of the two it is, in the form that is spoken at that address.

    Django calls it while it handles the exception, and logs that by itself.
    """
    is_away = isinstance(sys.exception(), OperationalError | InterfaceError)
    response = _said(request, is_away=is_away)
    response.status_code = 503 if is_away else 500
    response.headers["Cache-Control"] = "no-store"
    if is_away:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def _said(request: HttpRequest, *, is_away: bool) -> HttpResponse:
    """Return it as JSON, as a line of text, or as a page."""
    name = log_lines.value_of("request")
    if request.path_info.startswith(_DOORS):
        error, what_to_do = _AWAY if is_away else _OURS
        told = {"error": error, "what_to_do": what_to_do.format(name=name)}
        return JsonResponse(told, headers=_TO_ALL)
    if straight.match_of(request.path_info):
        text = (
            "503: the database does not answer.\n" if is_away else "500: this is our fault, and was noted.\n"
        )
        return HttpResponse(text, content_type="text/plain; charset=utf-8", headers=_TO_ALL)
    context = {"is_away": is_away, "name": name, "theme": theme_of(request)}
    return HttpResponse(render_to_string("broken.html", context))
