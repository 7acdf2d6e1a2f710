"""Counts how often pip asked for a package of which there is nothing: somebody wants it.

pip asks an extra index for everything that it installs, so these answers are many and must cost nothing.
They are added up in memory and written once a minute; what a process that ends has not written is lost.
"""

import logging
import time
from collections import Counter
from collections.abc import Mapping
from datetime import date
from itertools import islice
from threading import Lock

from django.conf import settings
from django.db import Error, connection

from packages.models import Package
from packages.plain_sql import change

logger = logging.getLogger(__name__)

EVERY_S = 60.0

# A package that was deleted meanwhile is not there to be joined.
_ADD = """
    INSERT INTO simple_miss (package_id, day, count)
    SELECT package.id, {day}, missed.column3
    FROM (VALUES {values}) AS missed JOIN packages_package AS package ON package.id = missed.column1
    WHERE TRUE ORDER BY 1, 2
    ON CONFLICT (package_id, day) DO UPDATE SET count = simple_miss.count + excluded.count
"""
# What names a day in a list of values is a text to PostgreSQL.
_DAY = {"postgresql": "missed.column2::date", "sqlite": "missed.column2"}
# SQLite takes 999 variables in a statement, of which each miss has three.
_AT_ONCE = 300


class Misses:
    """What one process has counted and not written yet."""

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._lock = Lock()
        self._counted: Counter[tuple[int, date]] = Counter()
        self._written_at = time.monotonic()

    def count(self, package: Package, day: date) -> None:
        """Count one, unless a log that is followed tells of it too; now and then, write all."""
        if not settings.PIWHEELS_COUNT_DOWNLOADS:
            return
        with self._lock:
            self._counted[package.pk, day] += 1
            if time.monotonic() - self._written_at < self._every_s:
                return
            counted, self._counted = self._counted, Counter()
            self._written_at = time.monotonic()
        self._write(counted)

    def _write(self, counted: Counter[tuple[int, date]]) -> None:
        """Write what was counted; a database that cannot do it now costs a number, not somebody's answer."""
        try:
            add(counted)
        except Error as error:
            logger.warning("%d misses were not counted: %s", counted.total(), error)


def add(counted: Mapping[tuple[int, date], int]) -> None:
    """Add to the rows of packages and days, in the order of their keys: no two wait for each other."""
    rest = iter(sorted(counted.items()))
    while some := list(islice(rest, _AT_ONCE)):
        sql = _ADD.format(day=_DAY[connection.vendor], values=", ".join(["(%s, %s, %s)"] * len(some)))
        change(sql, [value for (package, day), count in some for value in (package, str(day), count)])


of_this_process = Misses()
