"""What becomes of what we know when the farm is told to follow another index.

Serials and ETags are the old index's own: compared with the new one's they would make fresh answers stale, or
have us wait for events that were long ago.  So the farm starts anew, with a look at all that it has.  A
package that the new index lacks is not withdrawn for that: a person has to say so first.
"""

import logging
from datetime import datetime

from django.db import transaction

from packages import keyset
from packages.batches import batches
from packages.models import Dirty, Package, PackageQuerySet, SyncCursor

logger = logging.getLogger(__name__)


def settle(simple_url: str, now: datetime) -> None:
    """Forget what another index said, if the farm followed another one until now."""
    cursor = SyncCursor.current()
    if not cursor.upstream:
        cursor.follow(simple_url)
    elif cursor.upstream != simple_url:
        _move(cursor, simple_url, now)


def _move(cursor: SyncCursor, simple_url: str, now: datetime) -> None:
    """Start anew with another index."""
    # Some at a time, as reports and plans of a million packages would wait for them; whoever is cut short
    # begins once more.
    for some in batches(keyset.keys(_of_the_old_index())):
        if SyncCursor.current().upstream == simple_url:
            # Somebody else has come to the end, and what is there now may be the new one's.
            return
        Package.objects.filter(pk__in=some).update(serial=None, etag="")
    _begin(cursor, simple_url, now)


def _of_the_old_index() -> PackageQuerySet:
    """Return the packages of which we have what the old index counted."""
    return Package.objects.exclude(serial=None, etag="")


@transaction.atomic
def _begin(cursor: SyncCursor, simple_url: str, now: datetime) -> None:
    """Follow the other index from now on."""
    if not cursor.move(simple_url, now):
        return
    logger.warning(
        "PIWHEELS_PYPI was %s and is %s: all packages are looked up there. What it lacks is withdrawn when"
        " somebody has run `manage.py reconcile --believe`.",
        *(cursor.upstream, simple_url),
    )
    _of_the_old_index().update(serial=None, etag="")
    Dirty.objects.update(wanted_serial=None)


def has_unseen(moved_at: datetime) -> bool:
    """Whether there is a package of ours that nobody has seen at the new index."""
    ours = Package.objects.exclude(status=Package.Status.GONE)
    return ours.filter(fetched_at__lt=moved_at).exists()
