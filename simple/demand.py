"""How much each package is wanted: what was downloaded, what was looked for in vain, what was asked for."""

from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db.models import Count, Max, Sum

from builds.planning import demand
from builds.planning.demand import Wanted
from packages.batches import batches
from packages.models import Package
from simple.models import Miss, PackageDownload, Request

DAYS = 30
# Older misses are of no use to anybody.
KEPT = timedelta(days=90)


# Of so many packages at a time the numbers are in memory; of a million they would be most of a Pi's.
SPAN = 50_000


def count(now: datetime) -> int:
    """Count anew how much each package is wanted; return of how many that has changed."""
    Miss.objects.filter(day__lt=(now - KEPT).date()).delete()
    Request.objects.filter(day__lt=(now - KEPT).date()).delete()
    since = (now - timedelta(days=DAYS)).date()
    asked_for, dependents = _asked_for(since), demand.count_dependents()
    last = Package.objects.aggregate(last=Max("pk"))["last"] or 0
    return sum(
        demand.note(span, _wanted(span, since, asked_for), dependents)
        for span in (range(first, first + SPAN) for first in range(0, last + 1, SPAN))
    )


def _wanted(span: range, since: date, asked_for: Mapping[int, int]) -> dict[int, Wanted]:
    """Return how much packages with these keys are wanted; none for what nobody wants."""
    between = {"day__gt": since, "package__gte": span.start, "package__lt": span.stop}
    downloads = PackageDownload.objects.filter(**between).values_list("package")
    misses = Miss.objects.filter(**between).values_list("package")
    in_vain = Counter(dict(misses.annotate(Sum("count")).iterator()))
    in_vain.update({package: count for package, count in asked_for.items() if package in span})
    found = dict(downloads.annotate(Sum("count")).iterator())
    return {
        package: Wanted(downloads=found.get(package, 0), misses=in_vain.get(package, 0))
        for package in found.keys() | in_vain.keys()
    }


def _asked_for(since: date) -> dict[int, int]:
    """Return what people asked for, each request as so many looks in vain, by the package's key."""
    names = dict(Request.objects.filter(day__gt=since).order_by().values_list("name").annotate(Count("pk")))
    found: dict[int, int] = {}
    for some in batches(names):
        for name, package in Package.objects.filter(name__in=some).values_list("name", "pk"):
            found[package] = names[name] * settings.PIWHEELS_REQUEST_WEIGHT
    return found
