"""Tells systemd that worker and beat do their work; whoever does none for WatchdogSec is started anew by it.

What counts is a task that ended, or one that was sent: a process that runs and does neither is as good as
dead.  So is a worker of which one task hangs, as nobody else does that work meanwhile.  The web server asks
itself (deploy/gunicorn.py).  Without systemd nobody is told.
"""

import logging
import time

from celery.signals import after_task_publish, beat_init, task_postrun, task_prerun, worker_ready
from gunicorn.systemd import sd_notify

logger = logging.getLogger(__name__)

# No task takes so long, not even to read the list of all projects over a slow line.
LONGEST_S = 3 * 3600.0
# When each task that runs began.
_began: dict[str, float] = {}


def begin(**_: object) -> None:
    """Say that the process is up."""
    sd_notify("READY=1", logger)


def note(task_id: str = "", **_: object) -> None:
    """Note that a task begins."""
    _began[task_id] = time.monotonic()


def go_on(task_id: str = "", **_: object) -> None:
    """Say that it has done something, unless something else that it does hangs."""
    _began.pop(task_id, None)
    if all(time.monotonic() - began < LONGEST_S for began in list(_began.values())):
        sd_notify("WATCHDOG=1", logger)


def watch() -> None:
    """Have all of this said from now on."""
    for signal in (worker_ready, beat_init):
        signal.connect(begin)
    task_prerun.connect(note)
    for signal in (task_postrun, after_task_publish):
        signal.connect(go_on)
