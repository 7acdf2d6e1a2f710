"""Leads whoever asks for the index straight to it, past sessions, logins and what else only people need."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import Resolver404, ResolverMatch, resolve

INDEX = "simple.urls"


def match_of(path: str) -> ResolverMatch | None:
    """Return what answers for an address of the index; None if it is none of the index."""
    try:
        return resolve(path, INDEX)
    except Resolver404:
        return None


class StraightToIndex:
    """Answers for the addresses of the index; all others go on."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Return the index's answer, if the address is one of the index."""
        match = match_of(request.path_info)
        if match is None:
            return self._get_response(request)
        request.resolver_match = match
        answer: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
        return answer
