"""What a farm did on a day and in a month, in a sentence for everybody; from counts that are there."""

from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta

from django.db.models import Sum

from builds.models import Build, BuildDay, Counting, WheelDay
from piwheels_site import couriers
from piwheels_site.models import Message
from piwheels_site.templatetags.said import ages, counted
from simple.models import DownloadDay

DAILY, MONTHLY = "daily", "monthly"
# Logs of downloads come late; of a day that is over for so long nearly all have.
SETTLED = timedelta(hours=3)
# So many days are told when they are due, or later: what is older is nobody's news.
LATE_DAYS = 2


@dataclass(frozen=True)
class Figures:
    """What was done in some days."""

    builds: int
    succeeded: int
    wheels: int
    downloads: int
    saved_s: float

    def __str__(self) -> str:
        return (
            f"{counted(self.builds)} builds ended, {counted(self.succeeded)} of them well, and brought"
            f" {counted(self.wheels)} wheels. {counted(self.downloads)} wheels were downloaded, which saved"
            f" {ages(self.saved_s)} of compiling."
        )


def of(first: date, last: date) -> Figures:
    """Return what was done from one day to another, both included."""
    days = {"day__gte": first, "day__lte": last}
    builds = dict(BuildDay.objects.filter(**days).values_list("state").annotate(Sum("count")))
    wheels = WheelDay.objects.filter(**days).aggregate(count=Sum("count"))
    downloads = DownloadDay.objects.filter(**days).aggregate(count=Sum("count"), saved_s=Sum("saved_s"))
    return Figures(
        builds=sum(builds.values()),
        succeeded=builds.get(Build.State.SUCCEEDED, 0),
        wheels=wheels["count"] or 0,
        downloads=downloads["count"] or 0,
        saved_s=downloads["saved_s"] or 0.0,
    )


def write_due(now: datetime) -> int:
    """Write what is to be published of days and months that are over, once; return how many that are.

    Also of those before the last, as the server may have been away, or behind with counting.
    """
    today = (now - SETTLED).date()
    days = [today - timedelta(days=ago) for ago in range(1, LATE_DAYS + 1)]
    written = sum(_write(DAILY, day, day, f"{day:%A, %-d %B %Y}", now) for day in days if _is_counted(day))
    end = today.replace(day=1) - timedelta(days=1)
    if end in days and _is_counted(end):
        written += _write(MONTHLY, end.replace(day=1), end, f"{end:%B %Y}", now)
    return written


def _is_counted(day: date) -> bool:
    """Tell whether all that is counted of builds by day is counted for good."""
    counts = (Counting.Thing.DAYS, Counting.Thing.WHEELS)
    return Counting.objects.filter(thing__in=counts, through__gte=day).count() == len(counts)


def _write(what: str, first: date, last: date, when: str, now: datetime) -> int:
    """Write one message, unless it was written before or nobody wants it."""
    if not couriers.posts(what):
        return 0
    figures = of(first, last)
    _, is_new = Message.objects.get_or_create(
        key=f"figures:{what}:{first}",
        defaults={
            "channel": Message.Channel.MASTODON,
            "subject": f"Figures of {when}",
            "text": f"{when}: {figures}",
            "facts": {"event": what, **asdict(figures)},
            "made_at": now,
            "not_before": now,
        },
    )
    return int(is_new)
