"""Counts the downloads that this site's own processes answer, and says how many there were.

A site with a web server in front, whose log is followed, sets `PIWHEELS_COUNT_DOWNLOADS` to no: that server
gives the files, and a download that both count would be two (`simple/logs.py` counts what logs tell).
"""

import logging
import time
from datetime import timedelta
from threading import Lock

from django.conf import settings
from django.db import Error
from django.db.models import Sum
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from simple import clients
from simple.agents import MAX_LENGTH
from simple.known_wheels import KnownWheels
from simple.log_lines import Served, is_download
from simple.models import DownloadDay
from simple.tally import Tally

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
        self._served: list[Served] = []
        self._wheels = KnownWheels()
        self._tally = Tally()
        self._write_at = time.monotonic() + every_s

    def count(self, served: Served) -> None:
        """Count one; now and then, write all."""
        with self._lock:
            if len(self._served) < MOST:
                self._served.append(served)
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
            batch, self._served = self._served, []
        try:
            self._tally.add(self._wheels.taken(batch))
        except Error as error:
            logger.warning("%d downloads could not be counted now: %s", len(batch), error)
            with self._lock:
                self._served = (batch + self._served)[:MOST]


of_this_process = Downloads()


def count(request: HttpRequest, response: HttpResponseBase, project: str, filename: str) -> None:
    """Count an answer to a request for a wheel, if it is one that gives the file.

    Which wheel that is gets asked for many at once: a download costs the database nothing now.
    """
    if not settings.PIWHEELS_COUNT_DOWNLOADS:
        return
    method, range_header = request.method or "", request.headers.get("Range", "")
    agent = request.headers.get("User-Agent", "")
    if not is_download(method, response.status_code, range_header, agent):
        return
    now = timezone.now()
    of_this_process.count(
        Served(
            day=now.date(),
            hour=now.hour,
            project=project,
            filename=filename,
            address=clients.address(request),
            # One character more, so that what is too long is still seen to be.
            agent=agent[: MAX_LENGTH + 1],
        )
    )


def total(days: int | None = None) -> int:
    """Return how many downloads there were, in all or on the last days, of which today is one."""
    rows = DownloadDay.objects.all()
    if days is not None:
        rows = rows.filter(day__gt=timezone.now().date() - timedelta(days=days))
    counted: int | None = rows.aggregate(total=Sum("count"))["total"]
    return counted or 0


def saved_s() -> float:
    """Return for how long Pis would have compiled what was downloaded, as far as it was summed up."""
    saved: float | None = DownloadDay.objects.aggregate(saved=Sum("saved_s"))["saved"]
    return saved or 0.0
