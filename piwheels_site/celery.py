"""The server's Celery app and its whole schedule.

Orders to builders have an app of their own (`builds.dispatch.bell`) and share no queue with this one.
"""

import os
import sys
from threading import Semaphore

from celery import Celery, Task
from celery.schedules import crontab, schedule
from celery.signals import task_postrun, task_prerun
from django.conf import settings
from django.db import close_old_connections

from builder.log_lines import about
from piwheels_site import watchdog

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "piwheels_site.settings")


# What may run more than once at a time in a process.  Nothing else may: what is slow, as upstream, a bucket
# or a mail server may be, would take one more thread with each tick.
AT_ONCE = {"simple.make_bundles": settings.PIWHEELS_BUNDLES_AT_ONCE}


class Tick(Task):  # type: ignore[type-arg] # Celery's own class takes none when the program runs
    """A task of the schedule: it takes no more threads than it may, and is named in its lines in the log."""

    def __init__(self) -> None:
        """Make what counts its runs; there is one object of each task in a process."""
        self._places = Semaphore(AT_ONCE.get(self.name, 1))

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Run it, unless it runs already: its next tick is not far."""
        if not self._places.acquire(blocking=False):
            return 0
        try:
            with about(task=self.name, request=self.request.id):
                return super().__call__(*args, **kwargs)
        finally:
            self._places.release()


# As around a request: what is too old is closed, and what broke since is noticed.  Who calls a task as a
# function has a connection of its own to care for.
for around in (task_prerun, task_postrun):
    around.connect(close_old_connections)

app = Celery("piwheels", task_cls=Tick)
app.conf.update(
    broker_url=settings.REDIS_URL,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    task_ignore_result=True,
    result_backend=None,
    task_serializer="json",
    accept_content=["json"],
    task_default_queue="server",
    # Celery would close the database's connection before and after each task, and so have eight made anew a
    # second, which takes PostgreSQL longer than most ticks; Django's own rules (CONN_MAX_AGE) are enough.
    CELERY_DB_REUSE_MAX=sys.maxsize,
    # A task here is a tick: the next one does what a lost one left, so nothing needs to be acknowledged.
    broker_transport_options={"ack_emulation": False, "health_check_interval": 25, "socket_keepalive": True},
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    worker_hijack_root_logger=False,
    beat_scheduler="piwheels_site.beat:SteadyScheduler",
    beat_schedule_filename=str(settings.VAR / "beat-schedule"),
    timezone="UTC",
)
app.autodiscover_tasks(["packages", "builds", "simple", "piwheels_site"])
watchdog.watch()


def tick(task: str, seconds: float) -> dict[str, object]:
    """Return a schedule's entry; a tick that waited for longer than its period is dropped, not done late."""
    return {"task": task, "schedule": schedule(seconds), "options": {"expires": max(seconds, 5)}}


app.conf.beat_schedule = {
    task: tick(task, seconds)
    for task, seconds in [
        ("packages.poll", settings.PIWHEELS_POLL_S),
        ("packages.watch", 10),
        ("packages.reconcile", 60),
        ("packages.sync", 2),
        ("builds.plan", 1),
        ("builds.dispatch", 1),
        ("builds.raise_classes", 5),
        ("builds.advance_campaigns", 10),
        ("builds.sweep", 5),
        ("builds.quarantine", 30),
        ("builds.count", 5),
        ("builds.count_failures", 30),
        ("builds.tidy", 3600),
        ("builds.remove_taken_down", 5),
        ("simple.publish", 0.5),
        ("simple.publish_lists", 1),
        ("simple.count_demand", 6 * 3600),
        ("simple.tidy_downloads", 1800),
        ("simple.publish_catalogue", 3600),
        ("simple.sum_downloads", 300),
        ("site.read_series", 60),
        ("site.watch", 30),
        ("site.deliver", 10),
        ("site.write_figures", 900),
        ("simple.make_bundles", 1),
        ("simple.tidy_bundles", 60),
    ]
}
# While few people install anything; half of each minute, until all was looked at.
app.conf.beat_schedule["builds.check_storage"] = {
    "task": "builds.check_storage",
    "schedule": crontab(hour="1-4"),
    "options": {"expires": 60},
}
# A thread for each of these, so that nothing urgent (dispatch, sweep, publish) ever waits for what is slow.
# They are made when they are needed, and those of a calm farm are few.
app.conf.worker_concurrency = sum(AT_ONCE.get(task, 1) for task in app.conf.beat_schedule)
