"""Counts downloads: one number per wheel and day."""

import logging
from datetime import date, timedelta

from django.db import Error
from django.db.models import F, Sum
from django.utils import timezone

from builds.models import Wheel
from simple.models import Download

logger = logging.getLogger(__name__)


def count(wheel: Wheel, day: date) -> None:
    """Count a download; a database that cannot do it now costs a number, not somebody's download."""
    row = Download.objects.filter(wheel=wheel, day=day)
    try:
        if not row.update(count=F("count") + 1):
            # Whoever else creates the row meanwhile, it is there afterwards.
            Download.objects.get_or_create(wheel=wheel, day=day)
            row.update(count=F("count") + 1)
    except Error as error:
        logger.warning("A download of %s was not counted: %s", wheel, error)


def total(days: int | None = None) -> int:
    """Return how many downloads there were, in all or on the last days, of which today is one."""
    rows = Download.objects.all()
    if days is not None:
        rows = rows.filter(day__gt=timezone.now().date() - timedelta(days=days))
    counted: int | None = rows.aggregate(total=Sum("count"))["total"]
    return counted or 0
