"""From the queue to the builders: gives builds to free builders, rings, and takes back what fell silent.

The database says who has what, before anybody is told.  The ring is a Celery message of two numbers on the
builder's own queue; one that is lost, doubled, late or forged costs time and nothing else.
"""

import logging
from collections import defaultdict
from datetime import datetime, timedelta
from functools import cache

from celery import Celery
from django.conf import settings
from django.db import IntegrityError, transaction
from kombu.exceptions import OperationalError

from builder.contract import BUILD_TASK, queue_for
from builds import incoming, logs, queue, retry
from builds.models import Build, Builder, Target

logger = logging.getLogger(__name__)

# A ring that nobody answered is repeated after this: its message went down with Redis, or the builder did
# between taking it and asking for the build.
RING_AGAIN = timedelta(seconds=30)

# How many builds that waited for a time a tick makes ready: more than it can give out, and done in no time.
WOKEN = 500


@cache
def orders() -> Celery:
    """Return the Celery app that only sends orders.

    It shares neither queue nor user with the server's own tasks, so a builder's password opens nothing.
    """
    app = Celery("orders", broker=settings.PIWHEELS_ORDERS_URL, set_as_current=False)
    app.conf.update(
        task_ignore_result=True,
        result_backend=None,
        task_serializer="json",
        accept_content=["json"],
        broker_connection_retry=False,
        broker_transport_options={
            "priority_steps": [0],
            "ack_emulation": False,
            "socket_connect_timeout": 2,
            "socket_timeout": 2,
            # A tick follows in a second, so nobody waits for a Redis that is down.
            "max_retries": 0,
        },
    )
    return app


def ring(build: Build, builder: Builder) -> bool:
    """Tell a builder that a build is waiting for it; False when Redis does not answer."""
    try:
        orders().send_task(
            BUILD_TASK,
            args=[build.pk, build.attempt],
            queue=queue_for(builder.name),
            ignore_result=True,
            retry=False,
        )
    except (OperationalError, OSError) as error:
        logger.warning("Builder %s cannot be told of build %s: %s", builder, build.pk, error)
        return False
    return True


def dispatch(now: datetime) -> int:
    """Give each free builder the next build of its target; return how many builders got one."""
    Build.objects.wake(now, WOKEN)
    given = 0
    for target, builders in free(now).items():
        for build, builder in queue.next_for(target, builders, now):
            if not _assign(build, builder, now):
                continue
            if not ring(build, builder):
                # Nobody started it, so it is no attempt; the rest would fare no better.
                build.unassign()
                return given
            given += 1
    return given


def free(now: datetime) -> dict[Target, list[Builder]]:
    """Return who is free, by target; the one that was heard of longest ago first."""
    found: dict[int, list[Builder]] = defaultdict(list)
    for builder in Builder.objects.ready(now).order_by("heard_at"):
        found[builder.target_id].append(builder)
    return {target: found[target.pk] for target in Target.objects.filter(pk__in=found)} if found else {}


def _assign(build: Build, builder: Builder, now: datetime) -> bool:
    """Give a build to a builder; False if another dispatcher was faster with either of them."""
    try:
        with transaction.atomic():
            return build.assign(builder, now)
    except IntegrityError:
        return False


def ring_again(now: datetime) -> int:
    """Repeat rings that nobody answered; return how many."""
    rung = 0
    for build in Build.objects.unheard_rings(now - RING_AGAIN).select_related("builder"):
        if not build.builder or not ring(build, build.builder):
            break
        build.note_ring(now)
        rung += 1
    return rung


def close_lost(now: datetime, limit: int = 100) -> int:
    """Close builds whose lease ran out and queue them again, a few times at most; return how many."""
    lost = list(Build.objects.lost(now).select_related("builder", "version__package")[:limit])
    return sum(_lose(build, now) for build in lost)


def _lose(build: Build, now: datetime) -> bool:
    """Close one lost build and queue its successor."""
    with transaction.atomic():
        build.version.package.hold()
        if not build.lose(now):
            return False
        retry.after_loss(build, now)
    return True


def take_back(builder: Builder, reason: str, now: datetime) -> int:
    """Take away what a builder has and queue it again for the others; return how many builds that were."""
    taken = 0
    for build in builder.builds.filter(state__in=Build.ASSIGNED).select_related("version__package"):
        with transaction.atomic():
            build.version.package.hold()
            if build.abandon(reason, now):
                retry.elsewhere(build)
                taken += 1
    return taken


def tidy() -> int:
    """Keep the logs of builds that have ended and forget their uploads; return how many builds that were.

    Also what a crash, a full disk or a cancelled build left: both are found by looking at the folders.
    """
    left = set(incoming.builds()) | set(logs.growing())
    running = Build.objects.open().filter(pk__in=left).values_list("pk", flat=True)
    ended = left - set(running)
    for build in ended:
        logs.keep(build)
        incoming.discard(build)
    return len(ended)
