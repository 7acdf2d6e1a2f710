"""The schedule's doors to `sync`."""

from celery import shared_task
from django.conf import settings

from packages import journal, reconcile, sync
from packages.clock import database_now

# How many packages a run marks where each is asked for, and how many it looks up, a second each or less.
MARKS = 100
LOOK_UPS = 100


@shared_task(name="packages.watch")
def watch() -> int:
    """Mark the packages that have to be looked up upstream."""
    return reconcile.watch(
        settings.PIWHEELS_WATCH, now=database_now(), refresh_s=settings.PIWHEELS_REFRESH_S, limit=MARKS
    )


@shared_task(name="packages.sync")
def refresh() -> int:
    """Look up the packages that are marked."""
    return sync.refresh(
        sync.upstream(), now=database_now(), limit=LOOK_UPS, fetchers=settings.PIWHEELS_FETCHERS
    )


@shared_task(name="packages.poll")
def poll() -> int:
    """Mark the packages that upstream's journal has news of; only one run reads it at a time."""
    return journal.poll(sync.upstream().changelog, settings.PIWHEELS_WATCH, now=database_now())


@shared_task(name="packages.reconcile")
def compare() -> int:
    """Compare all names with upstream's when it is time; only one run reads the list at a time."""
    now = database_now()
    return (
        reconcile.reconcile(sync.upstream(), settings.PIWHEELS_WATCH, now=now) if reconcile.is_due(now) else 0
    )
