"""The door itself: what is asked goes to its operation, and every answer, also a refusal, is made the same.

No session and no cookie is looked at, so that scripts of any site may ask; what an answer is known by is the
hash of its bytes.
"""

import time
from collections.abc import Callable, Iterable
from functools import cache, wraps
from hashlib import blake2b
from typing import Any

import pydantic
from django.core.exceptions import SuspiciousOperation
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseNotModified,
    JsonResponse,
)
from django.urls import URLPattern, path, re_path
from django.utils.http import parse_etags
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, ValidationError

from piwheels_site import limits
from piwheels_site.api import (
    asking,
    builds,
    farm,
    installing,
    operators,
    packages,
    statistics,
    targets,
    wheels,
)
from piwheels_site.api.answers import ROOT, Refused, problem, schemas_of
from piwheels_site.asked import NoTarget

_SAID = (
    "Wheels for the Raspberry Pi, and how they come about. Nothing has to be paid or registered for; answers "
    "are JSON, have an ETag, and may be read by scripts of any site."
)


class _Api(NinjaAPI):
    """Ninja's, with JSON's plain media type: it has no charset (RFC 8259)."""

    def get_content_type(self) -> str:
        """Return what an answer is."""
        return str(self.renderer.media_type)


api = _Api(title="piwheels", version="1", description=_SAID, openapi_url=None, docs_url=None)
for each in (packages, wheels, builds, targets, farm, statistics, installing, asking, operators):
    api.add_router("", each.router)

View = Callable[..., HttpResponse]


@api.exception_handler(Refused)
def refused(request: HttpRequest, refusal: Refused) -> HttpResponse:
    """Answer as an operation refuses."""
    return problem(refusal.status, refusal.problem.error, refusal.problem.what_to_do)


@api.exception_handler(NoTarget)
def no_target(request: HttpRequest, error: NoTarget) -> HttpResponse:
    """Answer what takes a system where there is none."""
    return problem(404, str(error), f"Ask again when there is one at {ROOT}/targets.")


@api.exception_handler(ValidationError)
def not_valid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """Answer what is not as the description has it."""
    return _unclear(error.errors)


@api.exception_handler(pydantic.ValidationError)
def not_valid_body(request: HttpRequest, error: pydantic.ValidationError) -> HttpResponse:
    """Answer a body that is not as the description has it."""
    return _unclear(error.errors(include_url=False, include_input=False, include_context=False))


@api.exception_handler(AuthenticationError)
def not_known(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    """Answer who brings no token that opens anything."""
    said = "Make one in the admin, or with `manage.py create_operator_token`, and send it as a bearer token."
    response = problem(401, "This takes a token, and yours is none, is over, or was revoked.", said)
    response["WWW-Authenticate"] = 'Bearer realm="operators"'
    return response


@api.exception_handler(SuspiciousOperation)
def not_taken(request: HttpRequest, error: SuspiciousOperation) -> HttpResponse:
    """Answer what Django takes from nobody, as a thousand parameters."""
    return problem(422, str(error), f"See {ROOT}/docs for what may be asked.")


def _unclear(errors: Iterable[Any]) -> HttpResponse:
    """Say what is wrong with what was asked; Any: pydantic's own records."""
    said = [f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in errors]
    return problem(422, "; ".join(said)[:1000], f"See {ROOT}/docs for what may be asked.")


def nothing(request: HttpRequest) -> HttpResponse:
    """Answer for an address that there is not."""
    return problem(404, "There is no such address.", f"All addresses are at {ROOT}/docs.")


@cache
def description() -> dict[str, Any]:  # Any: it is JSON
    """Return the OpenAPI description of all that may be asked."""
    found = dict(api.get_openapi_schema(path_prefix=f"{ROOT.lstrip('/')}/"))
    for sent in (installing.Question, asking.Wishes, asking.BundleQuestion, operators.Wanted):
        found["components"]["schemas"] |= schemas_of(sent)
    found["servers"] = [{"url": "/"}]
    return found


def openapi(request: HttpRequest) -> HttpResponse:
    """Give that description."""
    return JsonResponse(description()) if request.method == "GET" else HttpResponseNotAllowed(["GET"])


def open_to_all(view: View, name: str | None) -> View:
    """Return a view with what all addresses of the API have in common."""

    @csrf_exempt
    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if wait_s := limits.wait_s(request, limits.COSTS.get(name or "", 1), time.time()):
            said = f"Wait for {wait_s} seconds, or ask for more at a time."
            response = problem(429, "These are more requests than one client may make.", said)
            response["Retry-After"] = str(wait_s)
        elif request.method == "OPTIONS":
            response = _methods(view(request, *args, **kwargs))
        else:
            response = _known_by_hash(request, _asked(view, request, *args, **kwargs))
        response["Access-Control-Allow-Origin"] = "*"
        response["Access-Control-Expose-Headers"] = "ETag, Retry-After, X-Log-Offset, X-Build-State"
        response["X-Content-Type-Options"] = "nosniff"
        return response

    return answer


def _asked(view: View, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """Return a view's answer; HEAD is asked as GET, and the server leaves the body out."""
    method, request.method = request.method, "GET" if request.method == "HEAD" else request.method
    try:
        response = view(request, *args, **kwargs)
    finally:
        request.method = method
    if response.status_code == 405:
        allowed = _allowed(response)
        response = problem(405, f"This address takes no {method}.", f"It takes {allowed}.")
        response["Allow"] = allowed
    return response


def _allowed(refusal: HttpResponse) -> str:
    """Return the methods that an address takes, by its refusal of another."""
    methods = refusal.get("Allow", "GET").split(", ")
    return ", ".join([*methods, *(["HEAD"] if "GET" in methods else []), "OPTIONS"])


def _methods(refusal: HttpResponse) -> HttpResponse:
    """Return what an address takes, by its refusal of OPTIONS."""
    allowed = _allowed(refusal)
    headers = {
        "Allow": allowed,
        "Access-Control-Allow-Methods": allowed,
        "Access-Control-Allow-Headers": "Content-Type, If-None-Match",
        "Access-Control-Max-Age": "86400",
    }
    return HttpResponse(status=204, headers=headers)


def _known_by_hash(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Give an answer its ETag, or say that who asks has it already."""
    if "Authorization" in request.headers:
        # What one account is told is nobody else's, and is kept nowhere.
        response["Cache-Control"] = "private, no-store"
        return response
    if request.method not in ("GET", "HEAD") or response.status_code != 200:
        return response
    etag = f'"{blake2b(response.content, digest_size=16).hexdigest()}"'
    # A server in front, or a middleware, that packed the answer has made a weak one of it.
    known = {each.removeprefix("W/") for each in parse_etags(request.headers.get("If-None-Match", ""))}
    if etag in known or "*" in known:
        unchanged = HttpResponseNotModified()
        unchanged["ETag"] = etag
        return unchanged
    response["ETag"] = etag
    response["Cache-Control"] = "public, max-age=0, must-revalidate"
    return response


def urls() -> list[URLPattern]:
    """Return the addresses, below the root of the API."""
    operations = [each for each in api.urls[0] if isinstance(each, URLPattern) and each.name != "api-root"]
    for pattern in operations:
        pattern.callback = open_to_all(pattern.callback, pattern.name)
    return [
        *operations,
        path("openapi.json", open_to_all(openapi, None), name="openapi"),
        re_path(r"", open_to_all(nothing, None)),
    ]
