"""The farm's figures as Prometheus scrapes them: read from roll-ups and small queries, whoever asks.

Nothing here is counted by a process, so each process of the site says the same.  What a database would have
to count by millions is bounded: MANY stands for that and more.  Counters begin anew each midnight (UTC),
which Prometheus takes for a restart; what one part cannot read is left out, and said to be.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from django.core.cache import cache
from django.db.models import Count, Max, QuerySet, Sum
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis import Redis

from builder.contract import queue_for
from builds import dispatch
from builds.builders import farm
from builds.models import Build, BuildDay, Builder, StorageCheck, Target, TargetQueue
from packages.health import sync_health
from packages.models import Dirty
from piwheels_site import brokers, machine
from piwheels_site.celery import app
from piwheels_site.models import Alert, Message
from piwheels_site.status import last_task_at
from simple import shown
from simple.models import DownloadDay, Shown

logger = logging.getLogger(__name__)

# What is more than this is said to be so many.
MANY = 10_000
# Several that scrape, or one that does so without end, cost no more than one.
KEPT_S = 5
# What happened within so many days is likely to happen again.
RECENTLY = timedelta(days=7)
# The queue of the server's own tasks.
TASKS = "server"

_PREFIX = "piwheels_"


def page(now: datetime) -> bytes:
    """Return all figures in Prometheus' text format, some seconds old at the most."""
    found = cache.get_or_set("metrics", lambda: _made(now), KEPT_S)
    return found if isinstance(found, bytes) else _made(now)


def _made(now: datetime) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Farm(now))
    return generate_latest(registry)


class _Farm(Collector):
    """Reads each part when it is asked, and goes on without one that fails."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """Give all figures, and which parts of them could be read."""
        readable = _gauge("part_up", "Whether this part of the figures could be read.", "part")
        for name, part in PARTS.items():
            try:
                found = list(part(self._now))
            except Exception:
                logger.exception("The figures of %s could not be read.", name)
                found = []
                readable.add_metric([name], 0)
            else:
                readable.add_metric([name], 1)
            yield from found
        yield readable


def _gauge(name: str, said: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(_PREFIX + name, said, labels=labels)


def _counter(name: str, said: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(_PREFIX + name, f"{said} Since midnight, UTC.", labels=labels)


def _single(name: str, said: str, value: float) -> Metric:
    return GaugeMetricFamily(_PREFIX + name, said, value=value)


def _bounded(rows: "QuerySet[Builder] | QuerySet[Dirty] | QuerySet[Shown]") -> int:
    """Return how many rows there are, without counting more than MANY."""
    return len(rows.values_list("pk")[:MANY])


def _queue(now: datetime) -> Iterator[Metric]:
    """Give what waits and what is at builders."""
    builds = _gauge("queue_builds", "Builds that have not ended.", "target", "state")
    oldest = _gauge("queue_oldest_seconds", "How long the oldest one waits.", "target")
    for row in TargetQueue.objects.select_related("target"):
        builds.add_metric([row.target.key, "ready"], row.ready)
        builds.add_metric([row.target.key, "pausing"], row.pausing)
        age = (now - row.oldest_at).total_seconds() if row.oldest_at else 0
        oldest.add_metric([row.target.key], max(age, 0))
    assigned = Build.objects.assigned().order_by().values_list("target__key", "state")
    for key, state, count in assigned.annotate(Count("pk")):
        builds.add_metric([key, state], count)
    yield from (builds, oldest)


def _ended(now: datetime) -> Iterator[Metric]:
    """Give how builds ended, as is counted of each day; what ended so lately and not today is 0.

    Prometheus sees no increase in a series that begins with its first event.
    """
    today = now.date()
    rows = BuildDay.objects.filter(day__gt=today - RECENTLY, day__lte=today).order_by("day")
    told = rows.values_list("day", "target__key", "state", "failure", "count")
    counts = {(key, state, why): count if day == today else 0 for day, key, state, why, count in told}
    lost_of = dict.fromkeys(Target.objects.active().values_list("key", flat=True), 0)
    ended = _counter("builds_ended", "Builds that ended.", "target", "outcome", "failure")
    for (key, state, failure), count in counts.items():
        ended.add_metric([key, state, failure], count)
        if state == Build.State.LOST:
            lost_of[key] = lost_of.get(key, 0) + count
    lost = _counter("leases_lost", "Builds whose builder fell silent.", "target")
    for key, count in lost_of.items():
        lost.add_metric([key], count)
    yield from (ended, lost)


def _builders(now: datetime) -> Iterator[Metric]:
    """Give how many builders do what."""
    builders = _gauge("builders", "Builders that are not retired.", "target", "condition")
    for (target, condition), count in sorted(farm.conditions(now).items()):
        builders.add_metric([target, condition], count)
    yield builders


def _upstream(now: datetime) -> Iterator[Metric]:
    """Give how well we keep up with upstream."""
    health = sync_health(now)
    yield _single("sync_lag_events", "Events of upstream's journal that we have not read.", health.lag)
    if health.polled_s is not None:
        yield _single("sync_polled_seconds", "Since the journal was read to its end.", health.polled_s)
    yield _single("sync_warning", "Whether an operator has to look at the sync.", bool(health.warning))
    yield _single("sync_stale_answers", "Answers from an old cache, ever.", health.stale_answers)
    yield _single("sync_corrections", "Changes that the journal had not told of, ever.", health.corrections)
    yield _single("dirty_names", f"Names to look up; {MANY} is that or more.", _bounded(Dirty.objects.all()))
    yield _single("dirty_oldest_seconds", "How long the longest waiting one waits.", health.oldest_s or 0)


def _index(now: datetime) -> Iterator[Metric]:
    """Give how late the published index is."""
    count, since = shown.waiting(MANY)
    late_s = (now - since).total_seconds() if since else 0
    yield _single("publish_waiting", f"Packages to be written; {MANY} is that or more.", count)
    yield _single("publish_lag_seconds", "How long the first of them waits.", max(late_s, 0))
    yield _single(
        "publish_failing", "Packages that could not be written.", _bounded(Shown.objects.failing(now))
    )


def _downloads(now: datetime) -> Iterator[Metric]:
    """Give how much is downloaded."""
    today = DownloadDay.objects.filter(pk=now.date()).first()
    downloads = _counter("downloads", "Downloads of wheels.")
    downloads.add_metric([], today.count if today else 0)
    saved = _counter("saved_seconds", "Time of compiling that they saved.")
    saved.add_metric([], today.saved_s if today else 0)
    yield from (downloads, saved)


def _storage(now: datetime) -> Iterator[Metric]:
    """Give how large the storage is, as the nightly checks have found it, and what the disks have left."""
    found = StorageCheck.objects.aggregate(
        size=Sum("size"), files=Sum("files"), faults=Sum("faults"), at=Max("checked_at")
    )
    yield _single("storage_bytes", "Bytes of all stored files.", found["size"] or 0)
    yield _single("storage_files", "Stored files.", found["files"] or 0)
    yield _single("storage_faults", "What is not as it must be.", found["faults"] or 0)
    size = _gauge("disk_size_bytes", "Size of the disk.", "of")
    free = _gauge("disk_free_bytes", "What is free of it.", "of")
    for disk in machine.disks():
        for name in disk.holds:
            size.add_metric([name], disk.size_bytes)
            free.add_metric([name], disk.free_bytes)
    yield from (size, free)


def _tasks(now: datetime) -> Iterator[Metric]:
    """Give whether the server's own tasks run, and whom they have to tell what."""
    if at := last_task_at():
        yield _single(
            "tasks_last_seconds", "Since the last task that can be seen.", (now - at).total_seconds()
        )
    yield _single("alerts", "Things that need a person.", Alert.objects.going_on().count())
    waiting = Message.objects.filter(sent_at=None, given_up_at=None).count()
    yield _single("messages_waiting", "Messages to people that have not arrived.", waiting)


def _redis(now: datetime) -> Iterator[Metric]:
    """Give how long the queues in Redis are."""
    lengths = _gauge("redis_queue_length", "Messages in a queue of Redis.", "queue")
    with brokers.client(app) as server:
        lengths.add_metric([TASKS], _length(server, TASKS))
    names = Builder.objects.filter(is_enabled=True).values_list("name", flat=True)
    with brokers.client(dispatch.bell()) as orders:
        lengths.add_metric(["builders"], sum(_length(orders, queue_for(name)) for name in names))
    yield lengths


def _length(client: Redis, queue: str) -> int:
    return int(client.llen(queue))


PARTS: dict[str, Callable[[datetime], Iterator[Metric]]] = {
    "queue": _queue,
    "ended": _ended,
    "builders": _builders,
    "upstream": _upstream,
    "index": _index,
    "downloads": _downloads,
    "storage": _storage,
    "tasks": _tasks,
    "redis": _redis,
}
