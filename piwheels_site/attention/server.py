"""What operators have to decide of the server: its tasks, disks, storage, index, and who it works with."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db.models import Count, Min
from django.urls import reverse

from builds.builders import readings
from builds.files import incoming, moving
from builds.files.storage import Unreachable, WholeFileStorage
from builds.models import StorageCheck, Wheel
from packages.health import sync_health
from packages.models import SyncCursor
from piwheels_site import couriers, machine
from piwheels_site.attention.matter import Matter, admin_list
from piwheels_site.models import Message
from piwheels_site.status import COUNTED, MANY_EVENTS, NAMED, TASKS, TOO_LATE_S, last_task_at, say_waiting
from piwheels_site.templatetags.said import counted, rough
from simple import shown
from simple.models import Log, Shown

# Somebody has downloaded something of a farm whose first wheel is so old.
NOBODY_COUNTS = timedelta(days=1)
# Backups are made each night.
NOT_BACKED_UP = timedelta(hours=26)
# A message that has not arrived after so long is a matter, as nobody was told.
UNTOLD = timedelta(hours=1)
# One that has not arrived after so long is told no more.
LATELY = timedelta(days=7)
# A disk of the server's is full beyond this part of it.
FULL = readings.FULL


def find_tasks(now: datetime) -> Iterator[Matter]:
    """Find that the server's own tasks do not run: then nothing else happens either."""
    at = last_task_at()
    if at is None:
        said, since = "None of the server's own tasks has run yet: start beat and a worker.", None
    elif now - at > TASKS:
        said, since = "The server's own tasks stand still: look at beat, the worker and Redis.", at
    else:
        return
    yield Matter("tasks", said, since, reverse("status"), "See what stands still", is_urgent=True)


def find_disks(now: datetime) -> Iterator[Matter]:
    """Find full disks of the server's; several folders on one of them are one matter."""
    for disk in machine.disks():
        used = max(disk.used, disk.used_files)
        if used > FULL:
            if disk.used == used:
                said = f"is {used:.0%} full: {disk.free_bytes / (1 << 30):.1f} GiB are left."
            else:
                said = f"has {used:.0%} of the files that it can have, whatever bytes are free (`df -i`)."
            said, deed = f"The server's disk of {disk.place} {said}", "Make room, or move the storage"
            yield Matter(f"disk:{disk.place}", said, None, reverse("status"), deed, used > 0.98)


def find_sync(now: datetime) -> Iterator[Matter]:
    """Find that we do not keep up with upstream, or do not believe it."""
    health, cursor = sync_health(now), SyncCursor.current()
    url = admin_list("packages_synccursor")
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
        yield Matter("sync-waits", said, since, admin_list("packages_dirty"), "See why")


def find_index(now: datetime) -> Iterator[Matter]:
    """Find that the published index is not written, or not all of it."""
    count, since = shown.waiting(COUNTED + 1)
    if since and (now - since).total_seconds() > TOO_LATE_S:
        said = f"{say_waiting(count, 'package')} to be written into the index."
        yield Matter("index-late", said, since, reverse("status"), "Look at the worker", is_urgent=True)
    failing = list(Shown.objects.failing(now).values_list("package__name", flat=True)[: COUNTED + 1])
    if failing:
        names = ", ".join(failing[:NAMED]) + " …" * (len(failing) > NAMED)
        said = f"{say_waiting(len(failing), 'package')} after a fault of the index: {names}."
        yield Matter("index-fault", said, None, admin_list("simple_shown", retry_at__isempty=0), "See which")


def find_storage(now: datetime) -> Iterator[Matter]:
    """Find that a folder is away or not to be written to, and what the nightly checks of the files found."""
    # Of a bucket, the nightly checks tell: asking it takes a while.
    folders = [holder for holder in moving.both() if isinstance(holder, WholeFileStorage)]
    places = {str(settings.PIWHEELS_INCOMING): incoming.require}
    places |= {folder.path(""): folder.require for folder in folders}
    for place, require in places.items():
        try:
            require()
        except Unreachable as error:
            url, deed = reverse("status"), "Mount or mend it"
            yield Matter(f"storage-away:{place}", str(error), None, url, deed, is_urgent=True)
    summary = StorageCheck.objects.summary()
    if faults := summary["faults"]:
        noun = "fault was" if faults == 1 else "faults were"
        said = f"{counted(faults)} {noun} found in the storage."
        url = admin_list("builds_storagecheck")
        yield Matter("storage", said, summary["oldest"], url, "Run check_storage --fix")
    if late := StorageCheck.objects.late_since(now):
        said = "Files in the storage are not compared with the database any more, or were never."
        url = admin_list("builds_storagecheck")
        yield Matter("storage-unchecked", said, late, url, "Read what the worker says")


def find_downloads(now: datetime) -> Iterator[Matter]:
    """Find that nobody counts downloads: the site leaves it to a log, and none was ever followed."""
    if settings.PIWHEELS_COUNT_DOWNLOADS or Log.objects.filter(is_followed=True).exists():
        return
    first = Wheel.objects.order_by("pk").values_list("published_at", flat=True).first()
    if first and first < now - NOBODY_COUNTS:
        said = (
            "No download was ever counted: the log that follow_downloads is to read is not there, or empty."
        )
        yield Matter("uncounted", said, first, admin_list("simple_log"), "Look at follow_downloads")


def find_backup(now: datetime) -> Iterator[Matter]:
    """Find that deploy/backup has ended well once, and not of late; of other backups nobody here knows."""
    try:
        at = datetime.fromtimestamp((settings.VAR / "backed-up").stat().st_mtime, UTC)
    except FileNotFoundError:
        return
    if now - at > NOT_BACKED_UP:
        said = f"The farm was backed up for the last time {rough((now - at).total_seconds())} ago."
        yield Matter("backup-late", said, at, reverse("status"), "Look at piwheels-backup.service")


def find_messages(now: datetime) -> Iterator[Matter]:
    """Find that messages to people do not arrive, of which no message can tell."""
    channels = [channel for channel in Message.Channel if couriers.is_set(channel)]
    late = Message.objects.undelivered(now - UNTOLD, now - LATELY).filter(channel__in=channels)
    by_channel = late.order_by("channel").values_list("channel").annotate(Count("pk"), Min("made_at"))
    for channel, count, oldest in by_channel:
        noun = "message was" if count == 1 else "messages were"
        said = f"{counted(count)} {noun} not delivered by {Message.Channel(channel).label}."
        url = admin_list("piwheels_site_message", channel__exact=channel)
        yield Matter(f"untold:{channel}", said, oldest, url, "See why, and say send_test_message")
