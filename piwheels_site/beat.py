"""Celery beat for a server whose clock may be put back.

Celery knows of each task when it ran last, by the wall clock, also after a restart.  A machine without a
battery for its clock, as most Pis, may start an hour ahead and be put right: beat would then send nothing for
an hour (seen in tests/faults/test_clocks.py).
"""

import logging
from datetime import timedelta
from typing import Any

from celery.beat import PersistentScheduler

logger = logging.getLogger(__name__)

# By how much a task may have run "later than now" before anything is done about it.
SLACK = timedelta(seconds=1)


class SteadyScheduler(PersistentScheduler):
    """A schedule that begins anew with what would have run in times to come."""

    def tick(self, *args: Any, **kwargs: Any) -> float:  # Any: Celery's signature, which is its own matter
        """Send a task that is due, and return after how many seconds to look again."""
        self.begin_anew()
        return float(super().tick(*args, **kwargs))

    def begin_anew(self) -> None:
        """Take what ran "later than now" for having run now."""
        now = self.app.now()
        ahead = {}
        for entry in self.schedule.values():
            if entry.last_run_at and entry.last_run_at > now + SLACK:
                ahead[entry.name] = entry.last_run_at - now
                entry.last_run_at = now
        if not ahead:
            return
        by = max(ahead.values()).total_seconds()
        logger.warning("The clock was put back by %.0f s; the schedule begins anew.", by)
        # What orders the entries by when they are due is made of the old times.
        self._heap = None
