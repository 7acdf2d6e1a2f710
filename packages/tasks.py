"""The schedule's doors to `sync`."""

from threading import Lock

from celery import shared_task
from django.conf import settings

from packages import journal, reconcile, sync
from packages.alone import alone
from packages.clock import database_now

# How many packages a run marks, and how many it looks up.  A look-up takes a second or less, and a run should
# not keep a worker's thread for long.
MARKS = 100
LOOK_UPS = 100


# Held by the run that talks to upstream.  One that is slow to answer must not take all of a worker's threads,
# which also give out builds and take back lost ones.
_talking = Lock()


@shared_task(name="packages.watch")
def watch() -> int:
    """Mark the packages that have to be looked up upstream."""
    return alone(
        _talking,
        lambda: reconcile.watch(
            settings.PIWHEELS_WATCH,
            now=database_now(),
            refresh_s=settings.PIWHEELS_REFRESH_S,
            limit=MARKS,
        ),
    )


@shared_task(name="packages.sync")
def refresh() -> int:
    """Look up the packages that are marked."""
    return alone(
        _talking,
        lambda: sync.refresh(
            sync.upstream(),
            now=database_now(),
            limit=LOOK_UPS,
            fetchers=settings.PIWHEELS_FETCHERS,
        ),
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
