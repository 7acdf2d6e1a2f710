"""How everything stands, for everybody: what is behind, and what needs a look, each in a sentence."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Max, Q, QuerySet

from builds.models import Builder, Counting, StorageCheck
from packages.health import SyncHealth, sync_health
from packages.models import NEVER, SyncCursor
from piwheels_site.models import Notice
from piwheels_site.templatetags.said import counted, rough
from simple import shown
from simple.models import DownloadDay, Log, Shown

GOOD, BEHIND, BAD = "good", "busy", "bad"
_SIGNS = {GOOD: ("✔", "well"), BEHIND: ("…", "behind"), BAD: ("✘", "needs a look")}

# What is later than this is behind, and what is later than that needs a look.
LATE_S, TOO_LATE_S = 600.0, 3600.0
MANY_EVENTS = 10_000
# Beyond this it is only "more than".
COUNTED = 1000
# The names of so many silent builders are said.
NAMED = 5
# Counts are made at least this often on a server whose tasks run, unless one takes minutes.
TASKS = timedelta(minutes=15)
# An index that nobody downloads from for so long is a strange one.
QUIET = timedelta(days=2)
# What is over is told for so long.
PAST = timedelta(days=90)


@dataclass(frozen=True)
class Line:
    """How one thing stands."""

    name: str
    tone: str
    said: str
    url: str = ""  # where more of it is

    @property
    def sign(self) -> str:
        """A sign for the eye."""
        return _SIGNS[self.tone][0]

    @property
    def word(self) -> str:
        """The same in words."""
        return _SIGNS[self.tone][1]


def lines(now: datetime) -> list[Line]:
    """Return how each thing stands; a fixed number of queries, and none of many rows."""
    return [line for each in _LINES for line in each(now)]


def notices(now: datetime) -> tuple[list[Notice], list[Notice]]:
    """Return incidents and news: those that go on, and those that are over."""
    told = Notice.objects.exclude(kind=Notice.Kind.SAMPLE).filter(begins_at__lte=now)
    found = list(told.filter(Q(ends_at=None) | Q(ends_at__gt=now - PAST)))
    going_on = [notice for notice in found if notice.ends_at is None or notice.ends_at > now]
    return going_on, [notice for notice in found if notice not in going_on]


def say_waiting(count: int, what: str) -> str:
    """Say that so many things wait; of more than was counted, that there are more."""
    if count > COUNTED:
        return f"More than {counted(COUNTED)} {what}s wait"
    return f"{counted(count)} {what}{' waits' if count == 1 else 's wait'}"


def last_task_at() -> datetime | None:
    """Return when one of the server's own tasks last ran, as far as it can be seen; None if none ever did."""
    at: datetime | None = Counting.objects.aggregate(last=Max("at"))["last"]
    return at if at and at > NEVER else None


def _upstream(now: datetime) -> Iterator[Line]:
    """Say how well we keep up with upstream, from what, and when all of it was last compared."""
    health = sync_health(now)
    yield Line("Following upstream", _tone_of(health), _say_upstream(health))
    cursor = SyncCursor.current()
    said = [
        f"All names were last compared with upstream's list {_ago(cursor.listed_at, now)}."
        if cursor.listed_at
        else "All names have not been compared with upstream's list yet.",
        f"The slow look at every package last took some {_ago(cursor.scanned_at, now)}."
        if cursor.scanned_at > NEVER
        else "The slow look at every package has not begun.",
    ]
    if health.corrections:
        said.append(f"They have found {counted(health.corrections)} changes that nothing else told of.")
    yield Line(
        "Looking again", GOOD if cursor.listed_at or cursor.scanned_at > NEVER else BEHIND, " ".join(said)
    )


def _tone_of(health: SyncHealth) -> str:
    """Return how bad it is."""
    if health.warning:
        return BAD
    is_unasked = health.polled_s is None and health.listing == SyncCursor.Listing.UNKNOWN.label
    is_behind = health.lag > MANY_EVENTS or (health.oldest_s or 0) > TOO_LATE_S
    return BEHIND if is_behind or health.paused or is_unasked else GOOD


def _say_upstream(health: SyncHealth) -> str:
    """Say from where we read, and how far behind we are."""
    said = [health.warning] if health.warning else []
    if health.polled_s is not None:
        said.append(f"Its journal was read to the end {_seconds_ago(health.polled_s)}.")
    else:
        said.append(f"Its journal of changes: {health.journal}.")
    said.append(f"Its list of projects: {health.listing}.")
    if health.lag:
        said.append(f"{counted(health.lag)} events are still to be read.")
    if health.oldest_s is None:
        said.append("No package waits to be looked up.")
    else:
        said.append(f"The longest waiting package waits for {rough(health.oldest_s)} to be looked up.")
    if health.paused:
        said.append("Upstream wants to be left alone for a while.")
    return " ".join(said)


def _builders(now: datetime) -> Iterator[Line]:
    """Say how many builders are at work, and which ones fell silent."""
    wanted = Builder.objects.filter(is_enabled=True, mode=Builder.Mode.ACTIVE)
    silent = wanted.filter(Q(heard_at=None) | Q(heard_at__lt=now - Builder.SILENCE))
    names = list(silent.order_by("name").values_list("name", flat=True))
    at_work = Builder.objects.at_work(now).count()
    said = f"{counted(at_work)} {_are(at_work, 'builder')} at work." if at_work else "No builder is at work."
    if names:
        more = f" and {counted(len(names) - NAMED)} more" if len(names) > NAMED else ""
        said += f" Nothing is heard of {', '.join(names[:NAMED])}{more}."
    tone = BAD if not at_work else BEHIND if names else GOOD
    yield Line("Builders", tone, said, "/farm/")


def _tasks(now: datetime) -> Iterator[Line]:
    """Say whether the server's own tasks run."""
    at = last_task_at()
    if at is None:
        yield Line("Tasks of the server", BAD, "None has run yet: beat and a worker are to be started.")
        return
    tone = GOOD if now - at < TASKS else BAD
    yield Line("Tasks of the server", tone, f"The last one that can be seen here ran {_ago(at, now)}.")


def _publishing(now: datetime) -> Iterator[Line]:
    """Say how many packages wait to be written into the index, and how long."""
    count, since = shown.waiting(COUNTED + 1)
    failing = _bounded(Shown.objects.failing(now))
    if not count:
        said, tone = "The index shows all that there is.", GOOD
    elif since is None:
        said, tone = f"{say_waiting(count, 'package')} to be written anew. Nobody waits for that.", GOOD
    else:
        late_s = (now - since).total_seconds()
        said = f"{say_waiting(count, 'package')} to be written into it, the first for {rough(late_s)}."
        tone = BAD if late_s > TOO_LATE_S else BEHIND if late_s > LATE_S else GOOD
    if failing:
        said, tone = f"{said} {say_waiting(failing, 'package')} after a fault.", BAD
    yield Line("The index", tone, said, "/simple/")


def _downloads(now: datetime) -> Iterator[Line]:
    """Say how late downloads are counted."""
    today = DownloadDay.objects.filter(pk=now.date()).values_list("count", flat=True).first() or 0
    read_at = Log.objects.filter(is_followed=True).aggregate(last=Max("read_at"))["last"]
    if settings.PIWHEELS_COUNT_DOWNLOADS:
        said, tone = "Downloads are counted as they happen, a few seconds late.", GOOD
    elif read_at is None:
        said, tone = "Downloads are not counted yet: no log of the web server has been read.", BEHIND
    else:
        said = f"The web server's log is read, and a line of it was last counted {_ago(read_at, now)}."
        tone = GOOD if now - read_at < QUIET else BAD
    yield Line("Download counts", tone, f"{said} Today there were {counted(today)}.", "/stats.html")


def _storage(now: datetime) -> Iterator[Line]:
    """Say what the nightly checks of the files have found, and whether there are any."""
    found, late = StorageCheck.objects.summary(), StorageCheck.objects.late_since(now)
    if found["last"] is None or found["last"] == NEVER:
        so_far = "it was never done" if late else "the first one is to come"
        yield Line(
            "Files", BAD if late else GOOD, f"They are compared with the database each night; {so_far}."
        )
        return
    faults = found["faults"] or 0
    bad = [f"{counted(faults)} {'fault was' if faults == 1 else 'faults were'} found."] if faults else []
    bad += ["Some have been left out for days."] if late else []
    said = f"Each night they are compared with the database, the last time {_ago(found['last'], now)}."
    yield Line("Files", BAD if bad else GOOD, " ".join([said, *(bad or ["All is well."])]))


_LINES: list[Callable[[datetime], Iterator[Line]]] = [
    _upstream,
    _builders,
    _tasks,
    _publishing,
    _downloads,
    _storage,
]


def _bounded(rows: "QuerySet[Shown]") -> int:
    """Return how many there are, without counting more than anybody wants to know."""
    return len(rows[: COUNTED + 1].values_list("pk"))


def _are(count: int, what: str) -> str:
    return f"{what} is" if count == 1 else f"{what}s are"


def _ago(moment: datetime, now: datetime) -> str:
    return _seconds_ago((now - moment).total_seconds())


def _seconds_ago(seconds: float) -> str:
    return "just now" if seconds < 1 else f"{rough(seconds)} ago"
