"""Has a client wait that asks much of the pages which take long to make, as it has to at the API."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from builds.files import logs
from piwheels_site import limits

# As how many requests to the API each page counts, by the name of its view: each reads or packs a log of
# 10 MB, or judges every file of a package.
COSTS = {
    "build": limits.COSTS["log"],
    "builds-archived-log": limits.COSTS["log"],
    "builds-log": limits.COSTS["log"],
    "builds-diff": 2 * limits.COSTS["log"],
    "explain": limits.COSTS["explain"],
}


class CostlyPages:
    """Middleware that counts requests for such pages."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._answer = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer."""
        return self._answer(request)

    def process_view(
        self, request: HttpRequest, _view: object, _args: object, path: Mapping[str, Any]
    ) -> HttpResponse | None:
        """Count a request once it is known what it asks for; refuse a client that asks for much."""
        name = request.resolver_match.view_name if request.resolver_match else ""
        cost = COSTS.get(name, 0)
        if not cost or (_follows(name, request.GET) and _grows(path["pk"])):
            return None
        wait_s = limits.wait_s(request, cost, time.time())
        return limits.refusal(wait_s) if wait_s else None


def _follows(name: str, asked: Mapping[str, Any]) -> bool:
    """Tell whether a request is for what comes of a log that grows: whoever follows it asks often.

    The page of a build does so by itself, every few seconds where there are no scripts.
    """
    if name == "builds-log":
        return "offset" in asked
    return name == "build" and asked.keys().isdisjoint({"find", "from"})


def _grows(build: int) -> bool:
    """Tell whether a log grows."""
    return logs.growing_size(build) is not None
