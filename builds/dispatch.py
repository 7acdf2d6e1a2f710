"""From the queue to the builders: gives builds to free builders, rings, and takes back what fell silent.

The database says who has what, before anybody is told.  The ring is a Celery message of two numbers on the
builder's own queue; one that is lost, doubled, late or forged costs time and nothing else.
"""

import logging
from collections.abc import Collection, Set
from datetime import datetime, timedelta
from functools import cache

from celery import Celery
from celery.utils import uuid
from django.conf import settings
from django.db import IntegrityError, transaction
from kombu import Producer
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from builder.contract import BUILD_TASK, queue_for
from builds import queue, way
from builds.files import incoming, logs, moving
from builds.models import Build, Builder, Target
from builds.planning import retry
from packages.database import DATABASE_AWAY

# A build, and the builder that has it.
Given = tuple[Build, Builder]

logger = logging.getLogger(__name__)

# Beat has it done every five seconds; builders speak every two, and pause for longer while nobody answers.
STOOD_STILL = timedelta(minutes=2)
# When this process last swept.
_swept: dict[str, datetime] = {}

# A ring that nobody answered is repeated after this: its message went down with Redis, or the builder did
# between taking it and asking for the build.
RING_AGAIN = timedelta(seconds=30)

# How Redis says that it does not answer.
REDIS_AWAY = (KombuError, RedisError, OSError)

# How many builds that waited for a time a tick makes ready: more than it can give out, and done in no time.
WOKEN = 500


@cache
def bell() -> Celery:
    """Return the Celery app that rings builders, and does nothing else.

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


def ring(given: Collection[Given]) -> bool:
    """Tell builders of the builds that wait for them; False when Redis does not answer, and none may know."""
    try:
        with bell().producer_or_acquire() as producer, producer.batch():
            for build, builder in given:
                _ring(producer, build, builder)
    except REDIS_AWAY as error:
        logger.warning("%s builders cannot be told of their builds: %s", len(given), error)
        return False
    return True


def _ring(producer: Producer, build: Build, builder: Builder) -> None:
    """Put one message on its way, as Celery makes it.

    Celery's way of sending it would declare the queue, which is two more keys in Redis and half the time.
    """
    message = bell().amqp.create_task_message(
        uuid(), BUILD_TASK, args=[build.pk, build.attempt], ignore_result=True
    )
    producer.publish(
        message.body,
        routing_key=queue_for(builder.name),
        serializer="json",
        headers=message.headers,
        **message.properties,
    )


def listening(builders: Collection[Builder]) -> set[Builder]:
    """Return the builders that have taken all of their rings; none when Redis does not answer.

    One that reaches us and not Redis takes none: more would fill Redis, and a build lies with it for nothing.
    """
    return {builder for builder, count in _untaken(builders).items() if not count}


def deaf(builders: Collection[Builder]) -> set[Builder]:
    """Return the builders that have left rings untaken; none when Redis does not answer."""
    return {builder for builder, count in _untaken(builders).items() if count}


def _untaken(builders: Collection[Builder]) -> dict[Builder, int]:
    """Return how many rings each builder has left untaken; of none when Redis does not answer."""
    if not builders:
        return {}
    try:
        with (
            bell().producer_or_acquire() as producer,
            producer.channel.client.pipeline(transaction=False) as asked,
        ):
            for builder in builders:
                asked.llen(queue_for(builder.name))
            untaken = asked.execute()
    except REDIS_AWAY as error:
        logger.warning("%s builders cannot be told of builds: %s", len(builders), error)
        return {}
    return dict(zip(builders, untaken, strict=True))


def dispatch(now: datetime) -> int:
    """Give each free builder the next build of its target; return how many builders got one.

    0 while the server could not store what they would bring: builds wait then, and do not fail.
    """
    Build.objects.wake(now, WOKEN)
    if not incoming.has_room():
        return 0
    able = listening(list(Builder.objects.ready(now).only("name", "target")))
    if not able:
        return 0
    total = 0
    for target in Target.objects.active().filter(pk__in={builder.target_id for builder in able}):
        given = _give_out(target, able, now)
        if not ring(given):
            # Nobody started them, so those are no attempts; other targets would fare no better.
            Build.objects.filter(pk__in=[build.pk for build, _ in given]).unassign()
            break
        for build, builder in given:
            way.say("Given to a builder.", build, builder)
        total += len(given)
    return total


@transaction.atomic
def _give_out(target: Target, able: Set[Builder], now: datetime) -> list[Given]:
    """Give those builders of a target that are free their next builds; return what was given to whom.

    One dispatcher at a time does so for a target; another one leaves it alone.
    """
    if not target.hold():
        return []
    builders = [builder for builder in free(target, now) if builder in able]
    return assign(queue.next_for(target, builders, now), now) if builders else []


def free(target: Target, now: datetime) -> list[Builder]:
    """Return which builders of a target are free, the one that was heard of longest ago first."""
    return list(
        Builder.objects.ready(now).filter(target=target).only("name", "target", "size").order_by("heard_at")
    )


def assign(pairs: list[Given], now: datetime) -> list[Given]:
    """Give builds to builders; return those of which nobody was faster with either."""
    try:
        with transaction.atomic():
            return Build.objects.assign(pairs, now)
    except IntegrityError:
        # One of the builders has got another build, which the others need not suffer from.
        return [each for pair in pairs for each in assign([pair], now)] if len(pairs) > 1 else []


def ring_again(now: datetime) -> int:
    """Repeat rings that nobody answered and that lie there no more; return how many."""
    unheard = Build.objects.unheard_rings(now, RING_AGAIN).select_related("builder")
    untold = {build.builder: build for build in unheard if build.builder}
    told = [(untold[builder], builder) for builder in listening(untold)]
    if not told or not ring(told):
        return 0
    return Build.objects.filter(pk__in=[build.pk for build, _ in told]).note_rings(now)


def sweep(now: datetime) -> int:
    """Ring again where nobody answered, and take back what fell silent; return how often that was.

    Where this process has not swept for a while, the server stood still, or its clock jumped: leases run out
    as nobody could hear builders, so those get as long as for a claim to speak again.
    """
    before = _swept.get("at")
    # Two threads of one process may come to it in another order than they asked for the time.
    if before is None or not before - STOOD_STILL < now < before + STOOD_STILL:
        spared = Build.objects.spare(now)
        if spared:
            logger.info("%s builds are waited for, as nobody has looked for a while.", spared)
    _swept["at"] = now
    return ring_again(now) + close_lost(now)


def close_lost(now: datetime, limit: int = 100) -> int:
    """Close builds whose lease ran out and queue them again, a few times at most; return how many."""
    lost = list(Build.objects.lost(now).select_related("builder", "version__package")[:limit])
    return sum(_lose_alone(build, now) for build in lost)


def _lose_alone(build: Build, now: datetime) -> bool:
    """Close one lost build, whose faults must not keep others from being closed."""
    try:
        return _lose(build, now)
    except DATABASE_AWAY:
        raise
    except Exception:
        logger.exception("Build %s, which is lost, could not be closed; it is tried again.", build.pk)
        return False


def _lose(build: Build, now: datetime) -> bool:
    """Close one lost build and queue its successor."""
    with transaction.atomic():
        build.version.package.hold()
        if not build.lose(now):
            return False
        retry.after_loss(build, now)
    way.say("Lost: its builder fell silent.", build)
    return True


def take_back(builder: Builder, reason: str, now: datetime) -> int:
    """Take away what a builder has and queue it again for the others; return how many builds that were."""
    had = builder.builds.filter(state__in=Build.ASSIGNED).select_related("version__package")
    return sum(_take_back(build, builder, reason, now) for build in had)


def take_back_unheard(builder: Builder, since: datetime, now: datetime) -> None:
    """Queue again what a builder was given since then, if it never said anything of it.

    It asks once more for what it was answered then, so that answer got lost on its way, as of a web server
    that was killed.  Until its lease is over nobody else would get the build, nor the builder another.
    """
    build = builder.current_build()
    if build and build.is_unheard() and build.claimed_at and build.claimed_at >= since:
        _take_back(build, builder, "The answer that gave it to its builder got lost.", now)


def _take_back(build: Build, builder: Builder, reason: str, now: datetime) -> bool:
    """Queue a build again that a builder has; False if it has ended meanwhile."""
    with transaction.atomic():
        build.version.package.hold()
        if not build.abandon(reason, now):
            return False
        retry.elsewhere(build)
        way.say("Taken back from its builder.", build, builder)
    return True


def tidy() -> int:
    """Keep the logs of builds that have ended and forget their uploads; return how many builds that were.

    Also what a crash, a full disk or a cancelled build left: both are found by looking at the folders.
    """
    left = set(incoming.builds()) | set(logs.growing())
    running = Build.objects.open().filter(pk__in=left).values_list("pk", flat=True)
    return sum(_put_away(build) for build in left.difference(running))


def _put_away(build: int) -> bool:
    """Keep a build's log and forget its uploads; False if the storage fails with it."""
    try:
        logs.keep(build)
    except moving.faults() as error:
        logger.error("The log of build %s cannot be stored; it is tried again: %s", build, error)
        return False
    incoming.discard(build)
    return True
