"""Removes a wheel's bytes for good: out of the index first, and then from wherever they are stored.

The row stays with its name and hash, so that neither can come back; what it was made of stays on record too.
"""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import F

from builds import moving
from builds.models import Wheel
from builds.stored import LOST_AND_FOUND
from packages.models import Package

logger = logging.getLogger(__name__)

# How long the bytes wait for the published index to be written without them; if nobody writes it, they go
# nevertheless.
PATIENCE = timedelta(minutes=2)


def take_down(wheels: Iterable[Wheel], reason: str, now: datetime) -> None:
    """Take wheels out of the index for good; `remove_bytes` follows as soon as no page lists them."""
    for wheel in wheels:
        wheel.take_down(now, reason)
        logger.warning("%s was taken down: %s", wheel, reason)


def remove_bytes(now: datetime, limit: int) -> int:
    """Remove the bytes of wheels that were taken down and that the index shows no more; return how many."""
    wheels = Wheel.objects.to_remove().select_related("package").order_by("taken_down_at")[:limit]
    done = 0
    for wheel in wheels:
        if wheel.taken_down_at and (now - wheel.taken_down_at >= PATIENCE or _is_shown(wheel.package_id)):
            remove(wheel, now)
            done += 1
    return done


def remove(wheel: Wheel, now: datetime) -> None:
    """Remove a wheel's bytes from every storage; once more does no harm."""
    for storage in filter(None, moving.both()):
        for name in wheel.paths:
            storage.delete(name)
            storage.delete(f"{LOST_AND_FOUND}/{name}")
    wheel.note_removed(now)


def _is_shown(package: int) -> bool:
    """Tell whether the published index is as the package's rows are now."""
    return Package.objects.filter(pk=package, shown_revision=F("revision")).exists()
