"""Counts the downloads that this site's own processes answer, and says how many there were.

A site with a web server in front, whose log is followed, sets `PIWHEELS_COUNT_DOWNLOADS` to no: that server
gives the files, and a download that both count would be two (`simple/logs.py` counts what logs tell).
"""

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from threading import Lock

from django.conf import settings
from django.db import Error
from django.db.models import Sum
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from builds.models import Wheel
from simple.agents import MAX_LENGTH
from simple.log_lines import is_download
from simple.models import DownloadDay
from simple.tally import Taken, Tally

logger = logging.getLogger(__name__)

EVERY_S = 5.0
# Of a database that is down, no more than this many are remembered.
MOST = 10_000


class Downloads:
    """What one process has counted and not written yet; what it has not when it ends is lost."""

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._lock = Lock()
        self._writing = Lock()
        self._taken: list[Taken] = []
        self._tally = Tally()
        self._write_at = time.monotonic() + every_s

    def count(self, taken: Taken) -> None:
        """Count one; now and then, write all."""
        with self._lock:
            if len(self._taken) < MOST:
                self._taken.append(taken)
            if time.monotonic() < self._write_at:
                return
            self._write_at = time.monotonic() + self._every_s
        # While one thread waits for the database, the others do not wait for it too.
        if self._writing.acquire(blocking=False):
            try:
                self._write()
            finally:
                self._writing.release()

    def _write(self) -> None:
        """Write what there is, or keep it for the next time: no trouble here fails somebody's download."""
        with self._lock:
            batch, self._taken = self._taken, []
        try:
            self._tally.add(batch)
        except Error as error:
            logger.warning("%d downloads could not be counted now: %s", len(batch), error)
            with self._lock:
                self._taken = (batch + self._taken)[:MOST]


of_this_process = Downloads()


def count(request: HttpRequest, response: HttpResponseBase, wheel_of_it: Callable[[], Wheel | None]) -> None:
    """Count an answer to a request for a wheel, if it is one that gives the file.

    A database that cannot tell which wheel it is costs a number, and nobody's download.
    """
    if not settings.PIWHEELS_COUNT_DOWNLOADS:
        return
    method, range_header = request.method or "", request.headers.get("Range", "")
    if not is_download(method, response.status_code, range_header):
        return
    try:
        wheel = wheel_of_it()
    except Error as error:
        logger.warning("A download was not counted: %s", error)
        return
    if wheel is None:
        return
    now = timezone.now()
    of_this_process.count(
        Taken(
            day=now.date(),
            hour=now.hour,
            wheel=wheel.pk,
            package=wheel.package_id,
            address=request.META.get("REMOTE_ADDR", ""),
            # One character more, so that what is too long is still seen to be.
            agent=request.headers.get("User-Agent", "")[: MAX_LENGTH + 1],
        )
    )


def total(days: int | None = None) -> int:
    """Return how many downloads there were, in all or on the last days, of which today is one."""
    rows = DownloadDay.objects.all()
    if days is not None:
        rows = rows.filter(day__gt=timezone.now().date() - timedelta(days=days))
    counted: int | None = rows.aggregate(total=Sum("count"))["total"]
    return counted or 0
