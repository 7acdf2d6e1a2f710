"""How much each package is wanted, from what was downloaded and what was looked for in vain."""

from datetime import datetime, timedelta

from django.db.models import Sum

from builds import demand
from builds.demand import Wanted
from simple.models import Miss, PackageDownload

DAYS = 30
# Older misses are of no use to anybody.
KEPT = timedelta(days=90)


def count(now: datetime) -> int:
    """Count anew how much each package is wanted; return of how many that has changed."""
    Miss.objects.filter(day__lt=(now - KEPT).date()).delete()
    since = (now - timedelta(days=DAYS)).date()
    downloads = PackageDownload.objects.filter(day__gt=since).values_list("package")
    misses = Miss.objects.filter(day__gt=since).values_list("package")
    in_vain = dict(misses.annotate(Sum("count")).iterator())
    found = dict(downloads.annotate(Sum("count")).iterator())
    return demand.note(
        {
            package: Wanted(downloads=found.get(package, 0), misses=in_vain.get(package, 0))
            for package in found.keys() | in_vain.keys()
        }
    )
