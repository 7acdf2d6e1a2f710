"""Counts how often pip asked for a package of which there is nothing: somebody wants it.

pip asks an extra index for everything that it installs, so these answers are many and must cost nothing.
They are added up in memory and written once a minute; what a process that ends has not written is lost.
"""

import logging
import time
from collections import Counter
from datetime import date
from threading import Lock

from django.db import Error, connection

from packages.models import Package
from packages.plain_sql import change

logger = logging.getLogger(__name__)

EVERY_S = 60.0

# A package that was deleted meanwhile is not there to be selected.
_ADD = """
    INSERT INTO simple_miss (package_id, day, count)
    SELECT id, %s, %s FROM packages_package WHERE id = %s
    ON CONFLICT (package_id, day) DO UPDATE SET count = simple_miss.count + excluded.count
"""


class Misses:
    """What one process has counted and not written yet."""

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._lock = Lock()
        self._counted: Counter[tuple[int, date]] = Counter()
        self._written_at = time.monotonic()

    def count(self, package: Package, day: date) -> None:
        """Count one; now and then, write all."""
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
            # In the order of their keys, so that two processes do not wait for each other.
            for (package, day), count in sorted(counted.items()):
                change(_ADD, [connection.ops.adapt_datefield_value(day), count, package])
        except Error as error:
            logger.warning("%d misses were not counted: %s", counted.total(), error)


of_this_process = Misses()
