"""How much each package is wanted: what was downloaded, what was looked for in vain, what was asked for."""

from collections import Counter
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db.models import Count, Sum

from builds.planning import demand
from builds.planning.demand import Wanted
from packages.batches import batches
from packages.models import Package
from simple.models import Miss, PackageDownload, Request

DAYS = 30
# Older misses are of no use to anybody.
KEPT = timedelta(days=90)


def count(now: datetime) -> int:
    """Count anew how much each package is wanted; return of how many that has changed."""
    Miss.objects.filter(day__lt=(now - KEPT).date()).delete()
    Request.objects.filter(day__lt=(now - KEPT).date()).delete()
    since = (now - timedelta(days=DAYS)).date()
    downloads = PackageDownload.objects.filter(day__gt=since).values_list("package")
    misses = Miss.objects.filter(day__gt=since).values_list("package")
    in_vain = Counter(dict(misses.annotate(Sum("count")).iterator()))
    in_vain.update(_asked_for(since))
    found = dict(downloads.annotate(Sum("count")).iterator())
    return demand.note(
        {
            package: Wanted(downloads=found.get(package, 0), misses=in_vain.get(package, 0))
            for package in found.keys() | in_vain.keys()
        }
    )


def _asked_for(since: date) -> dict[int, int]:
    """Return what people asked for, each request as so many looks in vain, by the package's key."""
    names = dict(Request.objects.filter(day__gt=since).order_by().values_list("name").annotate(Count("pk")))
    found: dict[int, int] = {}
    for some in batches(names):
        for name, package in Package.objects.filter(name__in=some).values_list("name", "pk"):
            found[package] = names[name] * settings.PIWHEELS_REQUEST_WEIGHT
    return found
