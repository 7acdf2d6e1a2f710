"""How many builds ended on each day, by the counts that are kept of them."""

from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import Q, Sum

from builds.models import Build, BuildDay


@dataclass(frozen=True)
class Day:
    """How builds ended on one day (UTC)."""

    day: date
    succeeded: int
    failed: int
    lost: int


def last(days: int, today: date) -> list[Day]:
    """Return the last days, of which today is one, the newest first and without gaps: one query."""
    ends = {
        state.value: Sum("count", filter=Q(state=state), default=0)
        for state in (Build.State.SUCCEEDED, Build.State.FAILED, Build.State.LOST)
    }
    rows = BuildDay.objects.filter(day__gt=today - timedelta(days=days)).order_by().values("day")
    counted = {day: ended for day, *ended in rows.annotate(**ends).values_list("day", *ends)}
    wanted = [today - timedelta(days=back) for back in range(days)]
    return [Day(day, *counted.get(day, (0, 0, 0))) for day in wanted]
