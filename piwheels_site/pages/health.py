"""Whether the site can do its work, for whoever watches it."""

import logging
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from builds.dispatch import bell
from builds.models import StorageCheck
from packages.clock import database_now
from packages.health import sync_health
from piwheels_site import brokers
from piwheels_site.celery import app
from piwheels_site.status import TASKS, last_task_at

logger = logging.getLogger(__name__)


class NotMigrated(Exception):
    """The database is older than this code: run `manage.py migrate`."""


def _ping_broker() -> None:
    """Ask the server's own broker for a sign of life."""
    with brokers.client(app) as client:
        client.ping()


def _ping_orders() -> None:
    """Ask the broker of the orders for one."""
    with brokers.client(bell()) as client:
        client.ping()


class _Migrations:
    """Whether the database is as new as this code; once it is, it stays so for as long as a process lives."""

    def __init__(self) -> None:
        self._are_applied = False

    def check(self) -> None:
        """Raise NotMigrated if a migration is to come."""
        if not self._are_applied:
            executor = MigrationExecutor(connection)
            if plan := executor.migration_plan(executor.loader.graph.leaf_nodes()):
                raise NotMigrated(f"{len(plan)} migrations are to come.")
            self._are_applied = True


CHECKS: dict[str, Callable[[], object]] = {
    "database": database_now,
    "broker": _ping_broker,
    "orders": _ping_orders,
}
READY: dict[str, Callable[[], object]] = {**CHECKS, "migrations": _Migrations().check}


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200 when database and brokers answer, else 503, and say which one did not.

    Tells also whether the server's own tasks run, how well we keep up with upstream, and from what of it, and
    what the nightly checks of the storage have found.  With `?tasks` it is 503 also while the tasks stand
    still.
    """
    states = {name: _state(check) for name, check in CHECKS.items()}
    healthy = all(state == "ok" for state in states.values())
    # These are worth a look by a person, and no reason to send readers to another server.
    details: dict[str, Any] = {"tasks": None, "sync": None, "storage": None}
    if states["database"] == "ok":
        now = timezone.now()
        details = {
            "tasks": _tasks(now),
            "sync": asdict(sync_health(now)),
            "storage": StorageCheck.objects.summary(),
        }
    if "tasks" in request.GET and healthy:
        healthy = details["tasks"]["state"] == "ok"
    status = "ok" if healthy else "failing"
    return JsonResponse({"status": status, **states, **details}, status=200 if healthy else 503)


def _tasks(now: datetime) -> dict[str, object]:
    """Return whether the server's own tasks run; those that would tell of it stand still with all others."""
    at = last_task_at()
    if at is None:
        return {"state": "none has run yet", "last_s": None}
    return {"state": "ok" if now - at < TASKS else "stand still", "last_s": (now - at).total_seconds()}


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Tell a load balancer whether to send requests here: 200 or 503, and nothing else.

    Why not is in the log.
    """
    for name, check in READY.items():
        if (state := _state(check)) != "ok":
            logger.warning("This process is not ready: %s is %s.", name, state)
            return JsonResponse({"status": "not ready"}, status=503)
    return JsonResponse({"status": "ready"})


def _state(check: Callable[[], object]) -> str:
    """Return "ok", or what kind of fault it is; not its text, which may name hosts and users."""
    try:
        check()
    except Exception as error:  # whatever it is, the answer is that it does not work
        return f"failing: {type(error).__name__}"
    return "ok"
