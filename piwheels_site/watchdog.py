"""Tells systemd that worker and beat do their work; whoever does none for WatchdogSec is started anew by it.

What counts is a task that ended, or one that was sent: a process that runs and does neither is as good as
dead.  The web server asks itself (deploy/gunicorn.py).  Without systemd nobody is told.
"""

import logging

from celery.signals import after_task_publish, beat_init, task_postrun, worker_ready
from gunicorn.systemd import sd_notify

logger = logging.getLogger(__name__)


def begin(**_: object) -> None:
    """Say that the process is up."""
    sd_notify("READY=1", logger)


def go_on(**_: object) -> None:
    """Say that it has done something."""
    sd_notify("WATCHDOG=1", logger)


def watch() -> None:
    """Have all of this said from now on."""
    for signal in (worker_ready, beat_init):
        signal.connect(begin)
    for signal in (task_postrun, after_task_publish):
        signal.connect(go_on)
