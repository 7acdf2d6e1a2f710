"""The schedule's doors to `sync`."""

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from packages import sync

# How many packages a run marks, and how many it looks up.  A look-up takes a second or less, and a run should
# not keep a worker's thread for long; runs that overlap share the names out among them.
MARKS = 100
LOOK_UPS = 20


@shared_task(name="packages.watch")
def watch() -> int:
    """Mark the packages that have to be looked up upstream."""
    return sync.watch(
        sync.upstream(),
        settings.PIWHEELS_WATCH,
        now=timezone.now(),
        refresh_s=settings.PIWHEELS_REFRESH_S,
        limit=MARKS,
    )


@shared_task(name="packages.sync")
def refresh() -> int:
    """Look up the packages that are marked."""
    return sync.refresh(sync.upstream(), now=timezone.now(), limit=LOOK_UPS)
