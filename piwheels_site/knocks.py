"""Says in the log who tries keys that open nothing, for whoever watches it: a person, or fail2ban.

A line for each client and kind of key in a minute, of each process of the site.  Neither the key is in it
nor the name that was typed, which may be a password in the wrong field.
"""

import logging
from collections.abc import Callable

from django.core.cache import caches
from django.http import HttpRequest, HttpResponse

from simple import clients
from simple.asking import network

logger = logging.getLogger(__name__)

EVERY_S = 60


class KnocksNoted:
    """Middleware that says whom a door has refused for a token."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Go before that."""
        self._answer = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, and say so if it is refused."""
        response = self._answer(request)
        if response.status_code == 401:
            whose = "a builder's" if request.path.startswith("/builder/") else "an operator's"
            tell(request, f"{whose} token")
        return response


def tell(request: HttpRequest, what: str) -> None:
    """Say that somebody tries a key of that kind in vain."""
    address = clients.address(request)
    # Only an address has a network; a proxy that is none of ours may say anything.
    if not (household := network(address)):
        return
    if caches["limits"].add(f"told/{what.replace(' ', '-')}/{household}", 1, EVERY_S):
        logger.warning("%s tries %s that opens nothing.", address, what)
