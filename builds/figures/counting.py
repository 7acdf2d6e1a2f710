"""Counts what pages say of millions of builds, now and then, so that no page has to.

Each count is as old as it takes: a small farm's are some seconds old, and none takes more than a fiftieth of
the time.  Two at the same time do not happen, and one that was cut short is made again.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import asdict
from datetime import date, datetime, timedelta

from django.db import transaction
from django.db.models import Count, F, Min, Q

from builds.figures import breakages, day_counts
from builds.models import Build, Campaign, Counting, StandingFailure, Target, TargetQueue
from builds.planning import campaigns
from builds.planning.priority import CLASS

# Counts one thing, given since when it is to, and for how many seconds at most where that can be chosen;
# returns what is to be noted of that.
_Count = Callable[[Counting, datetime, datetime, float], dict[str, object]]

# The pace of a target is that of so long ago and since; of one that began later, since then.
PACE = timedelta(days=1)
_HOUR = timedelta(hours=1)
# A day is counted for good when it has been over for so long: its last builds were written by then.
SETTLED = timedelta(minutes=15)
# How long days of the past are counted at a time, in seconds; the next tick goes on.
DAYS_S = 5.0


def count_due(
    now: datetime, for_s: float = DAYS_S, things: Collection[Counting.Thing] = tuple(Counting.Thing)
) -> int:
    """Count what was counted too long ago, of days as many as it takes so long; return how many things."""
    rows = {row.thing: row for row in Counting.objects.all()}
    return sum(
        _count(rows.get(thing) or Counting.objects.get_or_create(pk=thing)[0], now, for_s)
        for thing in COUNTS
        if thing in things
    )


def _count(row: Counting, now: datetime, for_s: float) -> bool:
    """Count one thing if it is time and nobody else does."""
    since = row.at
    if not row.is_due(now) or not row.take(now):
        return False
    began = time.monotonic()
    found = COUNTS[Counting.Thing(row.thing)](row, since, now, for_s)
    row.end(time.monotonic() - began, **found)
    return True


def _queue(row: Counting, since: datetime, now: datetime, for_s: float) -> dict[str, object]:
    """Count what waits for each target, by class, and how many builds it ends an hour."""
    levels: dict[int, dict[int, int]] = defaultdict(dict)
    oldest: dict[int, int] = {}
    # Nothing but what the index of the lanes has; of two such builds the one with the lower key waits longer.
    ready = Build.objects.filter(state=Build.State.QUEUED, not_before=None).annotate(
        level=F("priority") / CLASS
    )
    counted = ready.order_by().values_list("target", "level").annotate(Count("pk"), Min("pk"))
    for target, level, count, first in counted:
        levels[target][level] = count
        oldest[target] = min(first, oldest.get(target, first))
    paused = Build.objects.filter(state=Build.State.QUEUED, not_before__isnull=False).order_by()
    pausing = dict(paused.values_list("target").annotate(Count("pk")))
    paces = _paces(now)
    since_when = dict(Build.objects.filter(pk__in=oldest.values()).values_list("pk", "queued_at"))
    TargetQueue.objects.bulk_create(
        [
            TargetQueue(
                target_id=target,
                levels=levels.get(target, {}),
                ready=sum(levels.get(target, {}).values()),
                pausing=pausing.get(target, 0),
                oldest_at=since_when.get(oldest.get(target, 0)),
                ended=paces.get(target, (0, 0.0))[0],
                per_hour=paces.get(target, (0, 0.0))[1],
            )
            for target in Target.objects.values_list("pk", flat=True)
        ],
        update_conflicts=True,
        unique_fields=["target"],
        update_fields=["levels", "ready", "pausing", "oldest_at", "ended", "per_hour"],
    )
    return {}


def _paces(now: datetime) -> dict[int, tuple[int, float]]:
    """Return how many builds ended of each target in the last day, and how many that is an hour."""
    ended = Build.objects.ended().order_by().filter(finished_at__gte=now - PACE)
    counted = ended.values_list("target").annotate(Count("pk"), Min("finished_at"))
    return {target: (count, count / max((now - first) / _HOUR, 1.0)) for target, count, first in counted}


def _by_day(count_day: Callable[[date], None]) -> _Count:
    """Return what counts days, beginning where it was left; of a day that is not over, anew."""

    def count(row: Counting, since: datetime, now: datetime, for_s: float) -> dict[str, object]:
        settled = (now - SETTLED).date() - timedelta(days=1)
        through, stop_at = row.through, time.monotonic() + for_s
        first = day = _next_day(through)
        while day and day <= now.date() and time.monotonic() < stop_at:
            count_day(day)
            through = min(day, settled)
            day = _next_day(day)
        # A day without a build has nothing to count.
        is_done = (through or first) and not (day and day <= now.date())
        return {"through": settled if is_done else through}

    return count


def _next_day(after: date | None) -> date | None:
    """Return the next day, or the first, on which a build ended."""
    ended = Build.objects.filter(finished_at__isnull=False)
    if after:
        ended = ended.filter(finished_at__gte=day_counts.midnight(after + timedelta(days=1)))
    return ended.order_by("finished_at").values_list("finished_at__date", flat=True).first()


def _failures(row: Counting, since: datetime, now: datetime, for_s: float) -> dict[str, object]:
    """Count how many packages fail in each way, by the last attempt at each version of theirs."""
    failed = Build.objects.last_attempts().filter(state=Build.State.FAILED).order_by()
    needed = "version__package__demand__dependents"
    packages: dict[str, int] = defaultdict(int)
    dependents: dict[str, int] = defaultdict(int)
    for failure, _, count in failed.values_list("failure", "version__package", needed).distinct().iterator():
        packages[failure] += 1
        dependents[failure] += count or 0
    _stand({failure: (packages[failure], dependents[failure]) for failure in packages})
    return {}


@transaction.atomic
def _stand(counted: dict[str, tuple[int, int]]) -> None:
    """Write what fails at the moment in the place of what did."""
    StandingFailure.objects.exclude(failure__in=counted).update(packages=0, dependents=0)
    StandingFailure.objects.bulk_create(
        [StandingFailure(key, packages, dependents) for key, (packages, dependents) in counted.items()],
        update_conflicts=True,
        unique_fields=["failure"],
        update_fields=["packages", "dependents"],
    )


def _campaigns(row: Counting, since: datetime, now: datetime, for_s: float) -> dict[str, object]:
    """Note how far each campaign is that goes on, or has ended since this was last done."""
    to_note = Campaign.objects.filter(Q(state=Campaign.State.RUNNING) | Q(ended_at__gte=since))
    for campaign in to_note.select_related("target").defer(*Campaign.LONG):
        campaign.note(asdict(campaigns.progress(campaign, now)))
    return {}


COUNTS: dict[Counting.Thing, _Count] = {
    Counting.Thing.QUEUE: _queue,
    Counting.Thing.DAYS: _by_day(day_counts.count_by_target),
    Counting.Thing.BUILDERS: _by_day(day_counts.count_by_builder),
    Counting.Thing.WHEELS: _by_day(day_counts.count_wheels),
    Counting.Thing.CAMPAIGNS: _campaigns,
    Counting.Thing.BROKEN: _by_day(breakages.note_day),
    Counting.Thing.FAILURES: _failures,
}
# Of tens of millions of builds these take minutes, for which the others are not to wait.
LONG = (Counting.Thing.BROKEN, Counting.Thing.FAILURES)
SHORT = tuple(thing for thing in COUNTS if thing not in LONG)
