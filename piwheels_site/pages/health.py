"""Whether the site can do its work, for whoever watches it."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from celery import Celery
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from kombu import Connection

from builds.clock import database_now
from builds.dispatch import orders
from builds.models import StorageCheck
from packages.health import sync_health
from piwheels_site.celery import app

# Who asks wants to know now; a server that needs longer is not well.
PATIENCE_S = 2


def _ping(celery: Celery) -> None:
    """Ask a broker for a sign of life."""
    options = {
        **celery.conf.broker_transport_options,
        "socket_timeout": PATIENCE_S,
        "socket_connect_timeout": PATIENCE_S,
        "max_retries": 0,
    }
    with Connection(celery.conf.broker_url, transport_options=options) as connection:
        channel: Any = connection.default_channel  # Any: kombu's types know no channel of Redis
        channel.client.ping()


CHECKS: dict[str, Callable[[], object]] = {
    "database": database_now,
    "broker": lambda: _ping(app),
    "orders": lambda: _ping(orders()),
}


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200 when database and brokers answer, else 503, and say which one did not.

    Tells also how well we keep up with upstream, and from what of it, and what the nightly checks of the
    storage have found.
    """
    states = {name: _state(check) for name, check in CHECKS.items()}
    healthy = all(state == "ok" for state in states.values())
    # Being behind upstream is worth a look, and no reason to send people to another server.
    details: dict[str, Any] = {"sync": None, "storage": None}
    if states["database"] == "ok":
        details = {"sync": asdict(sync_health(timezone.now())), "storage": StorageCheck.objects.summary()}
    status = "ok" if healthy else "failing"
    return JsonResponse({"status": status, **states, **details}, status=200 if healthy else 503)


def _state(check: Callable[[], object]) -> str:
    """Return "ok", or what kind of fault it is; not its text, which may name hosts and users."""
    try:
        check()
    except Exception as error:  # whatever it is, the answer is that it does not work
        return f"failing: {type(error).__name__}"
    return "ok"
