"""Which packages the published tree does not show as they are."""

from datetime import datetime

from django.db.models import Exists, OuterRef

from builds.models import Wheel, WheelQuerySet
from packages.models import Package, PackageQuerySet
from simple.models import Shown


def to_show(now: datetime, limit: int) -> list[int]:
    """Return packages whose folders in the tree are to be looked at, and that may have something there."""
    failing = Shown.objects.failing(now).filter(pk=OuterRef("pk"))
    something = Exists(_wheels()) | Exists(Shown.objects.filter(pk=OuterRef("pk")))
    old = Package.objects.to_show().filter(something, ~Exists(failing)).values_list("pk", flat=True)[:limit]
    swept = Shown.objects.to_sweep(now).exclude(retry_at__gt=now).values_list("pk", flat=True)[:limit]
    return sorted({*old, *swept})


def waiting(limit: int) -> tuple[int, datetime | None]:
    """Return how many packages wait to be shown, at most so many, and since when the first of them does.

    Nobody waits for what is only written anew, so it has no such time.  Where very many wait, the first is
    among those whose turn is last.
    """
    count = len(Package.objects.to_show().values_list("pk")[:limit])
    changed = Package.objects.to_show().filter(shown_revision__gte=0).reverse()
    return count, min(changed.values_list("changed_at", flat=True)[:limit], default=None)


def pass_over(limit: int) -> int:
    """Note that the tree shows nothing of changed packages of which there is nothing; return how many.

    Of a bootstrap's 700,000 each is as cheap as that.
    """
    return _pass_over(Package.objects.to_show().filter(shown_revision__gte=0), limit)


def pass_over_anew(limit: int) -> int:
    """Do so with packages that are to be written anew, once nothing else is left to show.

    They are few, and before that each look for them would go through all that is still to be written.
    """
    return _pass_over(Package.objects.to_show().filter(shown_revision__lt=0), limit)


def _pass_over(packages: PackageQuerySet, limit: int) -> int:
    """Do so with some of these packages.

    The revision noted is the one that was read together with the wheels, so what comes meanwhile is not
    passed over.
    """
    nothing = ~Exists(_wheels()) & ~Exists(Shown.objects.filter(pk=OuterRef("pk")))
    found = packages.filter(nothing).values_list("pk", "revision", "shown_revision")[:limit]
    seen = {package: (revision, before) for package, revision, before in found}
    if seen:
        Package.objects.note_shown(seen)
    return len(seen)


def _wheels() -> WheelQuerySet:
    """Return the wheels of the package that a query is about."""
    return Wheel.objects.listed().filter(package=OuterRef("pk"))
