"""Removes a wheel's bytes for good: out of the index first, and then from wherever they are stored.

The row stays with its name and hash, so that neither can come back; what it was made of stays on record too.
"""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import F

from builds.files import moving
from builds.files.stored import LOST_AND_FOUND
from builds.models import Wheel
from packages.models import Package

logger = logging.getLogger(__name__)

# How long the bytes wait for the published index to be written without them; if nobody writes it, they go
# nevertheless.
PATIENCE = timedelta(minutes=2)

# A wheel whose bytes could not be removed is tried again after this; which those are, each process finds out.
AGAIN = timedelta(minutes=5)
_put_off: dict[int, datetime] = {}


def take_down(wheels: Iterable[Wheel], reason: str, now: datetime) -> None:
    """Take wheels out of the index for good; `remove_bytes` follows as soon as no page lists them."""
    for wheel in wheels:
        wheel.take_down(now, reason)
        logger.warning("%s was taken down: %s", wheel, reason)


def remove_bytes(now: datetime, limit: int) -> int:
    """Remove the bytes of wheels that were taken down and that the index shows no more; return how many.

    One of which they cannot be removed does not keep those of others.
    """
    later = [wheel for wheel, at in _put_off.items() if now < at <= now + AGAIN]
    wheels = Wheel.objects.to_remove().exclude(pk__in=later).select_related("package")
    done = 0
    for wheel in wheels.order_by("taken_down_at")[:limit]:
        if wheel.taken_down_at and (now - wheel.taken_down_at >= PATIENCE or _is_shown(wheel.package_id)):
            done += try_to_remove(wheel, now)
    return done


def try_to_remove(wheel: Wheel, now: datetime) -> bool:
    """Remove a wheel's bytes, or log why they are there still and put it off."""
    _put_off.pop(wheel.pk, None)
    try:
        remove(wheel, now)
    except moving.faults() as error:
        logger.error("The bytes of %s cannot be removed; it is tried again: %s", wheel, error)
        _put_off[wheel.pk] = now + AGAIN
        return False
    return True


def put_off() -> frozenset[int]:
    """Return the wheels whose bytes this process could not remove."""
    return frozenset(_put_off)


def remove(wheel: Wheel, now: datetime) -> None:
    """Remove a wheel's bytes from every storage; once more does no harm.

    Raises what a storage does that fails.
    """
    for storage in filter(None, moving.both()):
        # Where a disk is not mounted there is nothing to remove, and later there is again.
        storage.require()
        for name in wheel.paths:
            storage.delete(name)
            storage.delete(f"{LOST_AND_FOUND}/{name}")
    wheel.note_removed(now)


def _is_shown(package: int) -> bool:
    """Tell whether the published index is as the package's rows are now."""
    return Package.objects.filter(pk=package, shown_revision=F("revision")).exists()
