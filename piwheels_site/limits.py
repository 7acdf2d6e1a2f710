"""How much one client may ask of the API: so much a minute, where what costs more counts for more.

Counted by each process of the site in its own memory: no request waits for a count, and what is kept of an
address is gone a minute later.
"""

from django.conf import settings
from django.core.cache import caches
from django.http import HttpRequest

from piwheels_site import clients
from simple.asking import network

WINDOW_S = 60


def wait_s(request: HttpRequest, cost: int, now: float) -> int:
    """Count a request; return for how many seconds its client has to wait, 0 if not at all."""
    most = settings.PIWHEELS_API_A_MINUTE
    if not most:
        return 0
    window, into_s = divmod(int(now), WINDOW_S)
    key = f"{network(clients.address(request))}/{window}"
    counts = caches["limits"]
    counts.add(key, 0, timeout=WINDOW_S)
    try:
        spent = counts.incr(key, cost)
    except ValueError:
        # It was thrown out at this moment, as very many clients came at once.
        return 0
    return WINDOW_S - into_s if spent > most else 0
