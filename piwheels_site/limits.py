"""How much one client may ask of the API, and how often somebody may fail to sign in.

Counted by each process of the site in its own memory: no request waits for a count, and what is kept of an
address is gone a minute later, or a quarter of an hour after a failed sign-in.
"""

from hashlib import sha256

from django.conf import settings
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from simple import clients
from simple.asking import network

WINDOW_S = 60
# What counts for more than one request to the API, by the name of its address there.
COSTS = {"check": 10, "bundles": 10, "requests": 10, "explain": 5, "log": 2}

# So often one client may fail to sign in in a quarter of an hour, as whoever that may be ...
SIGN_IN_WINDOW_S = 15 * 60
FAILURES_OF_CLIENT = 10
# ... and all clients together as one person: more, so that nobody is kept out by a stranger's few tries.
FAILURES_OF_NAME = 50
# A browser in which that person has signed in before has tries of its own alone: many by strangers, or by
# whoever has the same address, keep nobody out.
_KNOWN_BROWSER = "known-browser"
_KNOWN_BROWSER_S = 180 * 24 * 3600


def wait_s(request: HttpRequest, cost: int, now: float) -> int:
    """Count a request; return for how many seconds its client has to wait, 0 if not at all.

    What costs more counts for more.
    """
    most = settings.PIWHEELS_API_A_MINUTE
    if not most:
        return 0
    number, into_s = window(now, WINDOW_S)
    spent = _count("limits", f"{network(clients.address(request))}/{number}", cost, WINDOW_S)
    return WINDOW_S - into_s if spent > most else 0


def window(now: float, length_s: int) -> tuple[int, int]:
    """Return the number of the window in which that moment is, and how many seconds of it have passed.

    All clients' windows begin at the same moments, so that a count needs no beginning of its own.
    """
    return divmod(int(now), length_s)


def words(wait_s: int) -> str:
    """Return what a page says to a client that has to wait."""
    return f"That was much for one client: ask again in {wait_s} seconds."


def refusal(wait_s: int) -> HttpResponse:
    """Return what a page answers to such a client, in a line of text."""
    return HttpResponse(
        f"{words(wait_s)}\n",
        status=429,
        content_type="text/plain; charset=utf-8",
        headers={"Retry-After": str(wait_s), "Cache-Control": "no-store"},
    )


def sign_in_wait_s(request: HttpRequest, name: str, now: float) -> int:
    """Return for how many seconds nobody signs in from there, or as that person; 0 if not at all."""
    _, into_s = window(now, SIGN_IN_WINDOW_S)
    failed = [(caches["sign-ins"].get(key, 0), most) for key, most in _sign_in_keys(request, name, now)]
    return SIGN_IN_WINDOW_S - into_s if any(count >= most for count, most in failed) else 0


def count_failed_sign_in(request: HttpRequest, name: str, now: float) -> None:
    """Count a sign-in that failed."""
    for key, _ in _sign_in_keys(request, name, now):
        _count("sign-ins", key, 1, SIGN_IN_WINDOW_S)


def remember_browser(response: HttpResponse, name: str) -> None:
    """Have a browser known as one in which somebody has signed in."""
    response.set_signed_cookie(
        _KNOWN_BROWSER,
        _person(name),
        salt=_KNOWN_BROWSER,
        max_age=_KNOWN_BROWSER_S,
        path=reverse("admin:index"),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )


def _is_known(request: HttpRequest, name: str) -> bool:
    """Tell whether somebody has signed in with this browser before."""
    person = request.get_signed_cookie(
        _KNOWN_BROWSER, default="", salt=_KNOWN_BROWSER, max_age=_KNOWN_BROWSER_S
    )
    return person == _person(name)


def _person(name: str) -> str:
    """Return what stands for a name, which may be any text."""
    return sha256(name.casefold().encode()).hexdigest()


def _sign_in_keys(request: HttpRequest, name: str, now: float) -> list[tuple[str, int]]:
    """Return what failures are counted by, and how many of each may be."""
    number, _ = window(now, SIGN_IN_WINDOW_S)
    if _is_known(request, name):
        browser = sha256(request.COOKIES[_KNOWN_BROWSER].encode()).hexdigest()
        return [(f"sign-in-from/{browser}/{number}", FAILURES_OF_CLIENT)]
    return [
        (f"sign-in/{network(clients.address(request))}/{number}", FAILURES_OF_CLIENT),
        (f"sign-in-as/{_person(name)}/{number}", FAILURES_OF_NAME),
    ]


def _count(kind: str, key: str, cost: int, kept_s: int) -> int:
    """Add to a count of that kind, and return it."""
    counts = caches[kind]
    counts.add(key, 0, timeout=kept_s)
    try:
        return counts.incr(key, cost)
    except ValueError:
        # It was thrown out at this moment, as very many clients came at once.
        return 0
