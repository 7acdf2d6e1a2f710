"""Which packages the published tree does not show as they are."""

from datetime import datetime
from typing import NamedTuple

from django.db.models import Exists, OuterRef

from builds.models import Wheel
from packages.batches import BATCH
from packages.models import Package
from simple.models import Shown

# How many packages that changed a look takes: as many as one statement can.
LOOKED_AT = BATCH


class Look(NamedTuple):
    """What came of a look at packages whose folders in the tree may be old."""

    to_write: list[int]  # packages that have something there, or are to have it
    passed_over: int  # how many others were noted as shown, of which there is nothing


def look(now: datetime, limit: int) -> Look:
    """Look at the first packages that changed, and at those with files to remove; return so many at most.

    That there is nothing of a package is noted at once: so it is with most of a bootstrap's 700,000.  Its
    revision is read before its wheels, so what comes meanwhile is seen here or is still to be shown.

    These are small statements, as PostgreSQL takes nearly all packages to have changed: a single one for all
    of it read all wheels, and another all packages, to find a few (31 ms and 12 ms with 88,000 wheels of
    13,400 packages).
    """
    failing = Shown.objects.failing(now).filter(pk=OuterRef("pk"))
    waiting = Package.objects.to_show().filter(~Exists(failing))
    first = {
        package: (revision, before)
        for package, revision, before in waiting.values_list("pk", "revision", "shown_revision")[:LOOKED_AT]
    }
    wheels = Wheel.objects.listed().filter(package__in=first)
    there = {
        *wheels.values_list("package", flat=True).distinct(),
        *Shown.objects.filter(pk__in=first).values_list("pk", flat=True),
    }
    nothing = {package: noted for package, noted in first.items() if package not in there}
    Package.objects.note_shown(nothing)
    old = [package for package in first if package in there][:limit]
    to_sweep = Shown.objects.to_sweep(now).exclude(pk__in=Shown.objects.failing(now))
    swept = to_sweep.values_list("pk", flat=True)[:limit]
    return Look(sorted({*old, *swept}), len(nothing))


def waiting(limit: int) -> tuple[int, datetime | None]:
    """Return how many packages wait to be shown, at most so many, and since when the first of them does.

    Nobody waits for what is only written anew, so it has no such time.  Where very many wait, the first is
    among those whose turn is last.
    """
    count = len(Package.objects.to_show().values_list("pk")[:limit])
    changed = Package.objects.to_show().filter(shown_revision__gte=0).reverse()
    return count, min(changed.values_list("changed_at", flat=True)[:limit], default=None)
