"""How much the wheels of a package are used, and what time that has spared."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median

from builds.models import Build
from packages.models import Package
from piwheels_site.charts import Bars, bars
from simple.models import PackageDownload

DAYS, RECENT = 90, 30


@dataclass(frozen=True)
class Use:
    """How often the wheels of a package were downloaded."""

    recent: int  # in the last 30 days
    total: int
    chart: Bars
    build_s: float | None  # what a build takes in the middle; None: nothing was built yet

    @property
    def saved_s(self) -> float:
        """The time that nobody had to wait: that of a build for each download."""
        return self.total * (self.build_s or 0.0)


def counts(package: Package, now: datetime) -> tuple[int, int]:
    """Return how often a package's wheels were downloaded in the last 30 days, and ever."""
    counted = PackageDownload.objects.filter(package=package).values_list("day", "count")
    return _counts(dict(counted), now)


def _counts(counted: Mapping[date, int], now: datetime) -> tuple[int, int]:
    since = now.date() - timedelta(days=RECENT)
    return sum(count for day, count in counted.items() if day > since), sum(counted.values())


def of(package: Package, builds: Iterable[Build], now: datetime) -> Use:
    """Return the use of a package's wheels; these builds tell how long one takes."""
    today = now.date()
    counted = dict(PackageDownload.objects.filter(package=package).values_list("day", "count"))
    days = [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    series = [(f"{day:%d %B}", counted.get(day, 0)) for day in days]
    took = [
        build.duration_s
        for build in builds
        if build.duration_s is not None and build.state == Build.State.SUCCEEDED
    ]
    recent, total = _counts(counted, now)
    return Use(
        recent=recent,
        total=total,
        chart=bars(f"Downloads a day, the last {DAYS} days", series if counted else []),
        build_s=median(took) if took else None,
    )
