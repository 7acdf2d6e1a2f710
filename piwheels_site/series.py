"""The series of the statistics: tables of numbers, from what was summed up before, for pages and programs.

No series reads a build or a download; `builds.figures.counting` and `simple.summing` have done so.  As a
year of what they found is still a hundred thousand rows, the series are read now and then for all who ask.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import DateField, QuerySet, Sum
from django.db.models.functions import TruncMonth

from builds import failures
from builds.models import Build, BuildDay, BuilderDay, WheelDay
from piwheels_site.models import SeriesRead
from simple.models import DownloadDay, DownloadShare, TopPackages
from simple.spans import SPANS, Span

UNSAID = "not said"
ENDS = (Build.State.SUCCEEDED, Build.State.FAILED, Build.State.LOST)
# Of the columns that the series names: texts and numbers, as JSON has them.
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Series:
    """What one series is of, and how it is read."""

    title: str
    columns: tuple[str, ...]
    read: Callable[[Span, date], Rows]


@dataclass(frozen=True)
class Table:
    """One series of one span."""

    key: str
    title: str
    columns: tuple[str, ...]
    rows: Rows

    def records(self) -> list[dict[str, str | float]]:
        """Return the rows with the names of the columns."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def tables(span: Span, now: datetime) -> tuple[date, dict[str, Table]]:
    """Return all series of a span, and the day that it ends on: as last read, or as they are now."""
    row = SeriesRead.objects.filter(pk=span.key).first()
    if row is None or row.is_old(now):
        # Nobody reads them for us: the farm has just begun, or its beat stands still.
        return now.date(), _tables(read(span, now.date()))
    return row.today, _tables(row.rows)


def _tables(rows: dict[str, Rows]) -> dict[str, Table]:
    return {
        key: Table(key, series.title, series.columns, [tuple(row) for row in rows.get(key, [])])
        for key, series in SERIES.items()
    }


def read(span: Span, today: date) -> dict[str, Rows]:
    """Return the rows of all series of a span that ends today."""
    return {key: series.read(span, today) for key, series in SERIES.items()}


def read_due(now: datetime) -> int:
    """Read what was read too long ago, for all who ask for it; return how many spans."""
    done = 0
    for span in SPANS.values():
        row, _ = SeriesRead.objects.get_or_create(pk=span.key, defaults={"today": now.date()})
        if row.is_due(now):
            began = time.monotonic()
            row.note(read(span, now.date()), time.monotonic() - began, now)
            done += 1
    return done


def _by_period(rows: QuerySet, span: Span, today: date, *by: str, value: str = "count") -> Counter[tuple]:  # type: ignore[type-arg]
    """Return the sums of a column of the rows of a span, by period and by other columns, with one query."""
    of_span = rows.filter(day__gte=span.first(today), day__lte=today).order_by()
    if span.step == "month":
        # So that no more rows come than there are sums.
        of_span = of_span.annotate(period=TruncMonth("day", output_field=DateField()))
    period = "period" if span.step == "month" else "day"
    found: Counter[tuple] = Counter()  # type: ignore[type-arg]
    for day, *kind, total in of_span.values_list(period, *by).annotate(total=Sum(value)):
        found[span.period_of(day, today), *kind] += total
    return found


def _over_time(value: str, whole: bool) -> Callable[[Span, date], Rows]:
    """Return what reads one column of the days that had downloads."""

    def read(span: Span, today: date) -> Rows:
        found = _by_period(DownloadDay.objects.all(), span, today, value=value)
        kind = int if whole else float
        return [(span.said(period), kind(found[period,])) for period in span.periods(today)]

    return read


def _shares(fact: DownloadShare.Fact) -> Callable[[Span, date], Rows]:
    """Return what reads the downloads by one fact, in each period the most frequent first."""

    def read(span: Span, today: date) -> Rows:
        found = _by_period(DownloadShare.objects.filter(fact=fact), span, today, "name")
        rows = sorted(found.items(), key=lambda item: (item[0][0], -item[1], item[0][1]))
        return [(span.said(period), name or UNSAID, count) for (period, name), count in rows]

    return read


def _builds(span: Span, today: date) -> Rows:
    """Return how builds ended, over time."""
    found = _by_period(BuildDay.objects.all(), span, today, "state")
    return [(span.said(each), *(found[each, state] for state in ENDS)) for each in span.periods(today)]


def _of_span(rows: QuerySet, span: Span, today: date) -> QuerySet:  # type: ignore[type-arg]
    return rows.filter(day__gte=span.first(today), day__lte=today).order_by()


def _by_end(rows: Iterable[tuple[str, str, int]]) -> dict[str, tuple[int, ...]]:
    """Return for each name how its builds ended, in the order of `ENDS`."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for name, state, count in rows:
        found[name][state] = count
    return {name: tuple(states.get(state, 0) for state in ENDS) for name, states in found.items()}


def percent(part: float, whole: float) -> float:
    """Return how many of a hundred that is; of nothing, none."""
    return round(100 * part / whole, 1) if whole else 0.0


def _targets(span: Span, today: date) -> Rows:
    """Return how builds ended for each target; what was lost with a builder says nothing of success."""
    rows = _of_span(BuildDay.objects.all(), span, today)
    ends = _by_end(
        rows.order_by("target__order", "target__key")
        .values_list("target__key", "state")
        .annotate(Sum("count"))
    )
    return [(key, *each, percent(each[0], each[0] + each[1])) for key, each in ends.items()]


def _builders(span: Span, today: date) -> Rows:
    """Return how builds ended on each builder, and how long it was at them."""
    rows = _of_span(BuilderDay.objects.all(), span, today).values_list("builder__name", "state")
    summed = list(rows.annotate(Sum("count"), Sum("seconds")))
    ends = _by_end((name, state, count) for name, state, count, _ in summed)
    seconds: Counter[str] = Counter()
    for name, _, _, took in summed:
        seconds[name] += took
    found: Rows = [(name, *each, round(seconds[name])) for name, each in ends.items()]
    return sorted(found, key=lambda row: (-sum(row[1:4]), row[0]))


def _failures(span: Span, today: date) -> Rows:
    """Return of what builds failed, most often first."""
    rows = _of_span(BuildDay.objects.exclude(failure=""), span, today).values_list("failure")
    known = failures.classes()
    summed = rows.annotate(total=Sum("count")).order_by("-total", "failure")
    return [(key, known[key].title if key in known else key, count) for key, count in summed]


def _wheels(span: Span, today: date) -> Rows:
    """Return which kinds of wheels came out of builds, the most frequent first."""
    rows = _of_span(WheelDay.objects.all(), span, today).values_list("kind")
    return list(rows.annotate(total=Sum("count"), bytes=Sum("size")).order_by("-total", "kind"))


def _packages(span: Span, today: date) -> Rows:
    """Return the packages that were downloaded most."""
    row = TopPackages.objects.filter(pk=span.key).first()
    return [(name, count) for name, count in row.found] if row else []


def _totals(span: Span, today: date) -> Rows:
    """Return what there was in all, whatever the span."""
    downloads = DownloadDay.objects.aggregate(count=Sum("count"), saved_s=Sum("saved_s"))
    builds = BuildDay.objects.aggregate(count=Sum("count"))["count"]
    first = DownloadDay.objects.order_by("day").values_list("day", flat=True).first()
    return [
        ("downloads", downloads["count"] or 0),
        ("seconds saved", downloads["saved_s"] or 0.0),
        ("builds", builds or 0),
        ("days", (today - first + timedelta(days=1)).days if first else 0),
    ]


_Fact = DownloadShare.Fact
_SHARES = ("period", "name", "downloads")
_ENDED = ("succeeded", "failed", "lost")
SERIES = {
    "downloads": Series("Downloads", ("period", "downloads"), _over_time("count", whole=True)),
    "pythons": Series("Pythons", _SHARES, _shares(_Fact.PYTHON)),
    "systems": Series("OS releases", _SHARES, _shares(_Fact.SYSTEM)),
    "architectures": Series("Architectures", _SHARES, _shares(_Fact.ARCHITECTURE)),
    "installers": Series("Installers", _SHARES, _shares(_Fact.INSTALLER)),
    "saved": Series("Time saved", ("period", "seconds"), _over_time("saved_s", whole=False)),
    "packages": Series("Top packages", ("package", "downloads"), _packages),
    "builds": Series("Builds", ("period", *_ENDED), _builds),
    "targets": Series("Targets", ("target", *_ENDED, "percent_succeeded"), _targets),
    "builders": Series("Builders", ("builder", *_ENDED, "seconds"), _builders),
    "failures": Series("Reasons for failure", ("failure", "title", "builds"), _failures),
    "wheels": Series("Kinds of wheels", ("kind", "wheels", "bytes"), _wheels),
    "totals": Series("In all", ("name", "value"), _totals),
}
