"""What needs a decision by a person, and nothing else; the operators' first screen shows it.

A matter goes away by itself when it is settled, so nobody has to tick it off.  `status` says to everybody how
things stand; here is what an operator does about it.  All of it costs a fixed number of queries, none of them
of many rows.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Count, Exists, Min, OuterRef, Q, Sum
from django.urls import reverse

from builds import dispatch, failures, farm, moving, readings
from builds.log_text import clean
from builds.models import (
    Build,
    BuildDay,
    Builder,
    Campaign,
    Refusal,
    StorageCheck,
    TargetQueue,
    Wheel,
)
from builds.storage import Unreachable, WholeFileStorage
from packages.health import sync_health
from packages.models import Package, SyncCursor
from piwheels_site import couriers, machine
from piwheels_site.models import Message
from piwheels_site.status import COUNTED, MANY_EVENTS, NAMED, TASKS, TOO_LATE_S, last_task_at, say_waiting
from piwheels_site.templatetags.said import counted, rough
from simple.models import Log, Shown

# A builder that spoilt so many of its last builds is worth a look, although its peers may not do better.
SPOILT, OF_LAST = 5, farm.LAST
# A builder with a ring that it has left for so long takes none.
DEAF = timedelta(minutes=10)
# Upstream is away if the builds that ended so lately, the last one too, were mostly kept from it, and so many
# at least: one that waits for it alone is tried each hour.
AWAY, AWAY_LEAST = timedelta(hours=4), 3
# A class of failure is new for so many days; single builds of one say nothing.
NEW_DAYS, NEW_LEAST = 3, 3
# One grows that has so many times its daily mean of the days before, and so many in all.
GROWN, GROWN_LEAST, BEFORE_DAYS = 3.0, 20, 14
# Waiting builds that no builder takes are a matter after so long, and so are leases that are over.
STUCK = timedelta(minutes=30)
UNSWEPT = timedelta(minutes=10)
# The bytes of what was taken down are gone within minutes.
UNREMOVED = timedelta(minutes=10)
# A campaign with so many ends is judged; one is told of for so long after its end.
JUDGED, BAD_SHARE, LATELY = 20, 0.5, timedelta(days=7)
# What was refused is told of for so long, if it is among so many of the last.
REFUSED, LAST_REFUSED = timedelta(days=1), 200
# Somebody has downloaded something of a farm whose first wheel is so old.
NOBODY_COUNTS = timedelta(days=1)
# Backups are made each night.
NOT_BACKED_UP = timedelta(hours=26)
# A message that has not arrived after so long is a matter, as nobody was told.
UNTOLD = timedelta(hours=1)
# A disk of the server's is full beyond this part of it.
FULL = readings.FULL


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Matter:
    """One thing that a person has to decide."""

    key: str  # the same as long as it is the same matter, as "builder-silent:pi-07"
    said: str
    since: datetime | None  # None: nobody can tell
    url: str  # where it is decided
    deed: str  # what can be done there, in a word or two
    is_urgent: bool = False  # the farm, or a part of it, stands still


# Gives what needs a decision, as it is now.
Look = Callable[[datetime], Iterable[Matter]]


def found(now: datetime) -> list[Matter]:
    """Return all that needs a decision, what is urgent first and then what has been there longest."""
    matters, _ = look(now)
    return sorted(matters.values(), key=lambda each: (not each.is_urgent, each.since or now))


def look(now: datetime, looks: "Mapping[str, Look] | None" = None) -> tuple[dict[str, Matter], set[str]]:
    """Return all of it by key, for whoever tells people, and which looks failed.

    A key begins with the name of its look.  One that fails says nothing of whether its matters are settled,
    keeps no other from looking, and is a matter itself.
    """
    found: dict[str, Matter] = {}
    failed = set()
    for name, find in (LOOKS if looks is None else looks).items():
        try:
            found |= {f"{name}:{matter.key}": matter for matter in find(now)}
        except Exception as error:
            logger.exception("The look at %s failed; what it found before is left as it is.", name)
            said = f"The look at {name} failed ({type(error).__name__}), so what is wrong there is not shown."
            url = reverse("status")
            found[f"{name}:look-failed"] = Matter("look-failed", said, None, url, "Read the log")
            failed.add(name)
    return found, failed


def _admin(page: str, **query: object) -> str:
    """Return the address of a list of the operators', with what it is to show."""
    name = reverse(f"admin:{page}_changelist")
    return f"{name}?{urlencode(query)}" if query else name


def _tasks(now: datetime) -> Iterator[Matter]:
    """Find that the server's own tasks do not run: then nothing else happens either."""
    at = last_task_at()
    if at is None:
        said, since = "None of the server's own tasks has run yet: start beat and a worker.", None
    elif now - at > TASKS:
        said, since = "The server's own tasks stand still: look at beat, the worker and Redis.", at
    else:
        return
    yield Matter("tasks", said, since, reverse("status"), "See what stands still", is_urgent=True)


def _builders(now: datetime) -> Iterator[Matter]:
    """Find builders that do not build and should, or are done and can go."""
    rows = list(Builder.objects.filter(is_enabled=True).select_related("target").order_by("name"))
    busy = set(Build.objects.assigned().values_list("builder", flat=True))
    for row in rows:
        yield from _condition(row, row.pk in busy, now)
        yield from _disk(row)
    names = {row.pk: row for row in rows if row.mode == Builder.Mode.ACTIVE}
    last_of_each = farm.last_of_each()
    yield from _deaf([row for row in rows if row.pk not in busy and row.is_at_work(now)], last_of_each, now)
    for pk, last in last_of_each.items():
        spoilt = [build for build in last if _is_spoilt(build)]
        if pk in names and len(spoilt) >= SPOILT:
            yield Matter(
                f"builder-faults:{names[pk]}",
                f"{len(spoilt)} of the last {len(last)} builds of {names[pk]} were lost or failed by no fault"
                " of their packages.",
                spoilt[-1].finished_at,
                _admin("builds_build", builder__id__exact=pk),
                "Read their logs",
            )


def _condition(row: Builder, is_busy: bool, now: datetime) -> Iterator[Matter]:
    """Find what a builder waits for a person to do."""
    url = _admin("builds_builder", q=row.name)
    mode = Builder.Mode
    if row.mode == mode.QUARANTINED:
        said = f"{row} was taken out: {row.mode_reason}"
        yield Matter(f"builder-quarantined:{row}", said, row.mode_at, url, "Look and resume, or retire")
    elif row.mode == mode.DRAINING and not is_busy:
        said = f"{row} is drained: its plug can be pulled."
        yield Matter(f"builder-drained:{row}", said, row.mode_at, url, "Retire or resume")
    elif row.mode == mode.ACTIVE and row.heard_at is None:
        said = f"{row} was enrolled and never heard of."
        yield Matter(f"builder-new:{row}", said, row.created_at, url, "Set it up, or retire it")
    elif row.mode == mode.ACTIVE and row.heard_at and row.heard_at < now - Builder.SILENCE:
        said = f"{row} is silent."
        yield Matter(f"builder-silent:{row}", said, row.heard_at, url, "Look at it, or retire it")
    elif row.mode == mode.ACTIVE and row.problem:
        said = f"{row} is not fit to build: {clean(row.problem)[:300]}"
        yield Matter(f"builder-unfit:{row}", said, None, url, "Look at it")


def _deaf(
    free: Iterable[Builder], last_of_each: Mapping[int, list[Build]], now: datetime
) -> Iterator[Matter]:
    """Find builders that say hello and have long left a ring untaken, so that they get no more."""
    since = {row: last_of_each[row.pk][0].finished_at if row.pk in last_of_each else None for row in free}
    idle = {row: at or row.created_at for row, at in since.items()}
    for row in dispatch.deaf([row for row, at in idle.items() if at < now - DEAF]):
        said = f"{row} says hello and takes no orders, so it gets no builds."
        url = _admin("builds_builder", q=row.name)
        yield Matter(f"builder-deaf:{row}", said, idle[row], url, "Read its journal, and start it anew")


def _disk(row: Builder) -> Iterator[Matter]:
    """Find a builder whose disk is full."""
    facts = row.facts if isinstance(row.facts, dict) else {}
    disk = next((each for each in readings.machine(facts).readings if each.name == "Disk"), None)
    if disk and disk.alarm:
        said = f"The disk of {row} is {disk.said} full."
        yield Matter(f"builder-disk:{row}", said, None, _admin("builds_builder", q=row.name), "Drain it")


def _is_spoilt(build: Build) -> bool:
    """Tell whether a build ended badly by no fault of its package."""
    return build.state == Build.State.LOST or failures.is_infrastructure(build.failure)


def _disks(now: datetime) -> Iterator[Matter]:
    """Find full disks of the server's; several folders on one of them are one matter."""
    for disk in machine.disks():
        if disk.used > FULL:
            said = f"The server's disk of {disk.place} is {disk.used:.0%} full: "
            said += f"{disk.free_bytes / (1 << 30):.1f} GiB are left."
            deed = "Make room, or move the storage"
            yield Matter(f"disk:{disk.place}", said, None, reverse("status"), deed, disk.used > 0.98)


def _failures(now: datetime) -> Iterator[Matter]:
    """Find classes of failure that are new, or that happen much more often than they did."""
    today = now.date()
    recent = today - timedelta(days=NEW_DAYS - 1)
    days = BuildDay.objects.filter(day__gt=today - timedelta(days=BEFORE_DAYS + 2)).exclude(failure="")
    counts: dict[str, dict[int, int]] = defaultdict(dict)
    first: dict[str, datetime] = {}
    for failure, day, count in days.order_by("day").values_list("failure", "day").annotate(Sum("count")):
        counts[failure][(today - day).days] = count
        first.setdefault(failure, now - timedelta(days=(today - day).days))
    before = BuildDay.objects.filter(failure=OuterRef("failure"), day__lt=recent)
    fresh = days.filter(day__gte=recent).filter(~Exists(before)).order_by().values_list("failure", flat=True)
    new = set(fresh.distinct())
    # On a farm that has only just begun every class is new, and none of them news.
    is_young = not BuildDay.objects.filter(day__lt=recent).exists()
    for failure, by_age in counts.items():
        if failure not in failures.classes():
            continue
        matter = None
        if failure in new:
            if not is_young and sum(by_age.values()) >= NEW_LEAST:
                matter = f"a new class of failure: {sum(by_age.values())} builds"
        else:
            matter = _growth(by_age)
        if matter:
            url = _admin("builds_build", stage=Build.State.FAILED, failure=failure)
            said = f"{failures.classes()[failure].title}: {matter}."
            since = first[failure] if failure in new else now - timedelta(days=1)
            yield Matter(f"failure:{failure}", said, since, url, "Write a recipe, or start a campaign")


def _growth(by_age: dict[int, int]) -> str:
    """Say how much more often a class happened today and yesterday than on the days before; "" if not so."""
    lately = by_age.get(0, 0) + by_age.get(1, 0)
    mean = sum(count for age, count in by_age.items() if age > 1) / BEFORE_DAYS
    if lately < GROWN_LEAST or lately <= GROWN * 2 * mean:
        return ""
    return f"{counted(lately)} builds since yesterday, {mean:.1f} a day before"


def _stuck(now: datetime) -> Iterator[Matter]:
    """Find what should move and does not."""
    unswept = Build.objects.lost(now - UNSWEPT).order_by("lease_until").values_list("lease_until", flat=True)
    if leases := list(unswept[: COUNTED + 1]):
        said = f"{say_waiting(len(leases), 'build')} to be taken back from builders that fell silent."
        yield Matter(
            "unswept", said, leases[0], _admin("builds_build", stage="running"), "Look at the worker"
        )
    given_up = list(Build.objects.given_up().values_list("finished_at", flat=True)[: COUNTED + 1])
    if given_up:
        said = f"{say_waiting(len(given_up), 'build')} for a person: each ended four times or more by no"
        said += " fault of its package."
        url = _admin("builds_build", stage="given-up")
        yield Matter("given-up", said, min(filter(None, given_up)), url, "Requeue, or skip")
    at_work = set(Builder.objects.at_work(now).values_list("target", flat=True))
    queues = TargetQueue.objects.filter(target__is_active=True, ready__gt=0, oldest_at__lt=now - STUCK)
    for queue in queues.exclude(target__in=at_work).select_related("target"):
        said = f"{counted(queue.ready)} builds wait for {queue.target}, and no builder is at work for it."
        url = _admin("builds_builder", target__id__exact=queue.target_id)
        yield Matter(
            f"no-builder:{queue.target}", said, queue.oldest_at, url, "Resume or enrol one", is_urgent=True
        )


def _sync(now: datetime) -> Iterator[Matter]:
    """Find that we do not keep up with upstream, or do not believe it."""
    health, cursor = sync_health(now), SyncCursor.current()
    url = _admin("packages_synccursor")
    if health.warning:
        since = cursor.doubted_at or cursor.moved_at or cursor.polled_at
        deed = "Believe it, or wait" if cursor.doubted_at else "See how it stands"
        yield Matter("sync", health.warning, since, url, deed, is_urgent=bool(cursor.doubted_at))
    if health.lag > MANY_EVENTS:
        said = f"{counted(health.lag)} events of upstream's are still to be read."
        yield Matter("sync-lag", said, None, url, "See how it stands")
    if (health.oldest_s or 0) > TOO_LATE_S and not health.paused and cursor.listed_at:
        said = f"A package waits for {rough(health.oldest_s or 0)} to be looked up."
        since = now - timedelta(seconds=health.oldest_s or 0)
        yield Matter("sync-waits", said, since, _admin("packages_dirty"), "See why")


def _upstream(now: datetime) -> Iterator[Matter]:
    """Find that builders cannot get what builds are made of, as the last builds say, whoever had them."""
    ended = Build.objects.ended().filter(finished_at__gte=now - AWAY)
    last = list(ended.values_list("failure", "finished_at")[:OF_LAST])
    away = [at for failure, at in last if failures.is_upstream(failure)]
    if len(away) >= AWAY_LEAST and 2 * len(away) > len(last) and failures.is_upstream(last[0][0]):
        said = f"Builders cannot reach upstream: {len(away)} of the last {len(last)} builds ended of that."
        url = _admin("builds_build", stage=Build.State.FAILED)
        yield Matter("upstream-away", said, away[-1], url, "Read their reasons", is_urgent=True)


def _refused(now: datetime) -> Iterator[Matter]:
    """Find files that were not taken, and wheels that wait for somebody to look at them."""
    last = Refusal.objects.order_by("-pk").values_list("at", "filename", "reason")[:LAST_REFUSED]
    recent = [row for row in last if row[0] > now - REFUSED]
    if recent:
        count = f"More than {LAST_REFUSED}" if len(recent) == LAST_REFUSED else str(len(recent))
        noun = "file was" if len(recent) == 1 else "files were"
        said = f"{count} {noun} refused since yesterday, the last one {clean(recent[0][1])[:100]}: "
        said += clean(recent[0][2])[:200]
        yield Matter("refused", said, recent[-1][0], _admin("builds_refusal"), "See why")
    held = list(Wheel.objects.held().values_list("published_at", flat=True)[: COUNTED + 1])
    if held:
        said = f"{say_waiting(len(held), 'wheel')} to be looked at before the index shows what is held."
        yield Matter(
            "held", said, min(held), _admin("builds_wheel", standing="held"), "Release, or take down"
        )


def _taken_down(now: datetime) -> Iterator[Matter]:
    """Find wheels that were taken down and whose bytes are still there."""
    late = Wheel.objects.to_remove().filter(taken_down_at__lt=now - UNREMOVED).order_by("taken_down_at")
    if since := list(late.values_list("taken_down_at", flat=True)[: COUNTED + 1]):
        said = f"{say_waiting(len(since), 'wheel')} to be removed, as a storage fails or no worker does it."
        url = _admin("builds_wheel", standing="to be removed")
        yield Matter("unremoved", said, since[0], url, "Read what the worker says", is_urgent=True)


def _campaigns(now: datetime) -> Iterator[Matter]:
    """Find campaigns of which most fails, while they go on and for some days after their end."""
    for campaign in Campaign.objects.exclude(state=Campaign.State.STOPPED).filter(
        Q(ended_at=None) | Q(ended_at__gt=now - LATELY)
    ):
        figures = campaign.counted or {}
        built, failed = int(figures.get("succeeded", 0)), int(figures.get("failed", 0))
        if built + failed >= JUDGED and failed >= BAD_SHARE * (built + failed):
            goes_on = campaign.state == Campaign.State.RUNNING
            said = (
                f"Of the campaign {campaign}, {counted(failed)} of {counted(built + failed)} builds failed."
            )
            url = reverse("admin:builds_campaign_change", args=[campaign.pk])
            deed = "Stop it, or read why" if goes_on else "Read why"
            yield Matter(f"campaign:{campaign.pk}", said, campaign.ended_at or campaign.started_at, url, deed)


def _index(now: datetime) -> Iterator[Matter]:
    """Find that the published index is not written, or not all of it."""
    waiting = sorted(Package.objects.to_show().values_list("changed_at", flat=True)[: COUNTED + 1])
    if waiting and (now - waiting[0]).total_seconds() > TOO_LATE_S:
        said = f"{say_waiting(len(waiting), 'package')} to be written into the index."
        yield Matter("index-late", said, waiting[0], reverse("status"), "Look at the worker", is_urgent=True)
    failing = list(Shown.objects.failing(now).values_list("package__name", flat=True)[: COUNTED + 1])
    if failing:
        names = ", ".join(failing[:NAMED]) + " …" * (len(failing) > NAMED)
        said = f"{say_waiting(len(failing), 'package')} after a fault of the index: {names}."
        yield Matter("index-fault", said, None, _admin("simple_shown", retry_at__isempty=0), "See which")


def _storage(now: datetime) -> Iterator[Matter]:
    """Find that a folder of wheels is not mounted, and what the nightly checks of the files found."""
    for holder in filter(None, moving.both()):
        try:
            # Of a bucket, the nightly checks tell: asking it takes a while.
            if isinstance(holder, WholeFileStorage):
                holder.require()
        except Unreachable as error:
            yield Matter(
                "storage-away", str(error), None, reverse("status"), "Mount or mend it", is_urgent=True
            )
    summary = StorageCheck.objects.summary()
    if faults := summary["faults"]:
        noun = "fault was" if faults == 1 else "faults were"
        said = f"{counted(faults)} {noun} found in the storage."
        url = _admin("builds_storagecheck")
        yield Matter("storage", said, summary["oldest"], url, "Run check_storage --fix")
    if late := StorageCheck.objects.late_since(now):
        said = "Files in the storage are not compared with the database any more, or were never."
        url = _admin("builds_storagecheck")
        yield Matter("storage-unchecked", said, late, url, "Read what the worker says")


def _downloads(now: datetime) -> Iterator[Matter]:
    """Find that nobody counts downloads: the site leaves it to a log, and none was ever followed."""
    if settings.PIWHEELS_COUNT_DOWNLOADS or Log.objects.filter(is_followed=True).exists():
        return
    first = Wheel.objects.order_by("pk").values_list("published_at", flat=True).first()
    if first and first < now - NOBODY_COUNTS:
        said = (
            "No download was ever counted: the log that follow_downloads is to read is not there, or empty."
        )
        yield Matter("uncounted", said, first, _admin("simple_log"), "Look at follow_downloads")


def _backup(now: datetime) -> Iterator[Matter]:
    """Find that deploy/backup has ended well once, and not of late; of other backups nobody here knows."""
    try:
        at = datetime.fromtimestamp((settings.VAR / "backed-up").stat().st_mtime, UTC)
    except FileNotFoundError:
        return
    if now - at > NOT_BACKED_UP:
        said = f"The farm was backed up for the last time {rough((now - at).total_seconds())} ago."
        yield Matter("backup-late", said, at, reverse("status"), "Look at piwheels-backup.service")


def _messages(now: datetime) -> Iterator[Matter]:
    """Find that messages to people do not arrive, of which no message can tell."""
    channels = [channel for channel in Message.Channel if couriers.is_set(channel)]
    late = Message.objects.undelivered(now - UNTOLD, now - LATELY).filter(channel__in=channels)
    by_channel = late.order_by("channel").values_list("channel").annotate(Count("pk"), Min("made_at"))
    for channel, count, oldest in by_channel:
        noun = "message was" if count == 1 else "messages were"
        said = f"{counted(count)} {noun} not delivered by {Message.Channel(channel).label}."
        url = _admin("piwheels_site_message", channel__exact=channel)
        yield Matter(f"untold:{channel}", said, oldest, url, "See why, and say send_test_message")


LOOKS: dict[str, Look] = {
    "tasks": _tasks,
    "builders": _builders,
    "disks": _disks,
    "failures": _failures,
    "stuck": _stuck,
    "sync": _sync,
    "upstream": _upstream,
    "refused": _refused,
    "taken down": _taken_down,
    "campaigns": _campaigns,
    "index": _index,
    "storage": _storage,
    "downloads": _downloads,
    "backup": _backup,
    "messages": _messages,
}
