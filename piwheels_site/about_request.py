"""Gives each request of the site a name, which all that is logged for it has, and so has the answer."""

import re
import secrets
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from builder.log_lines import about

HEADER = "X-Request-Id"
# What a proxy may call a request, as nginx does with 32 hexadecimal digits.
_NAME = re.compile(r"[A-Za-z0-9-]{8,64}")


class AboutRequest:
    """Names requests."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Return the answer, with the name of its request."""
        name = _given(request) or secrets.token_hex(8)
        with about(request=name):
            answer = self._get_response(request)
        answer.headers[HEADER] = name
        return answer


def _given(request: HttpRequest) -> str:
    """Return what the proxy calls a request, where there is one; nobody else is believed."""
    name = request.headers.get(HEADER, "")
    return name if settings.PIWHEELS_BEHIND_PROXY and _NAME.fullmatch(name) else ""
