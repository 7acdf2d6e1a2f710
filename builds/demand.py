"""Notes how much each package is wanted, and has those placed anew in the queue of which that has changed."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Count, Exists, OuterRef

from builds import priority
from builds.models import Build, Demand, Dependency
from packages.batches import batches
from packages.models import Package

# A doubling of what counts most; for less, nobody is placed anew.
_MATTERS = 30


@dataclass(frozen=True)
class Wanted:
    """What was counted of a package in the last 30 days."""

    downloads: int = 0
    misses: int = 0


def note(counted: Mapping[int, Wanted]) -> int:
    """Note what was counted, and who depends on whom; return of how many packages something changed.

    Who is not among them is wanted by nobody any more.
    """
    dependents = _dependents()
    before = {row.pk: row for row in Demand.objects.iterator()}
    changed = (
        (before.get(package, Demand(pk=package)), _demand(package, counted, dependents))
        for package in counted.keys() | dependents.keys() | before.keys()
    )
    total = 0
    for batch in batches(pair for pair in changed if _facts(pair[0]) != _facts(pair[1])):
        _write(batch)
        total += len(batch)
    return total


def _demand(package: int, counted: Mapping[int, Wanted], dependents: Mapping[int, int]) -> Demand:
    wanted = counted.get(package, Wanted())
    return Demand(
        package_id=package,
        downloads=wanted.downloads,
        misses=wanted.misses,
        dependents=dependents.get(package, 0),
    )


def _facts(row: Demand) -> tuple[int, int, int]:
    return row.downloads, row.misses, row.dependents


def _dependents() -> dict[int, int]:
    """Return how many packages' wheels need a package, by its key; not what only an extra needs."""
    needs = Dependency.objects.filter(tool=Dependency.Tool.PIP, wheel__withdrawn_at=None)
    needs = needs.exclude(requirement__contains="extra ==").exclude(requirement__contains="extra==")
    counted = dict(needs.values_list("name").annotate(Count("wheel__package", distinct=True)).iterator())
    found: dict[int, int] = {}
    for names in batches(counted):
        keys = Package.objects.filter(name__in=names).values_list("name", "pk")
        found |= {key: counted[name] for name, key in keys}
    return found


def _write(changed: list[tuple[Demand, Demand]]) -> None:
    """Write new numbers of packages, and ask for a plan where they matter to builds that wait."""
    there = set(Package.objects.filter(pk__in=[new.pk for _, new in changed]).values_list("pk", flat=True))
    Demand.objects.bulk_create(
        [new for _, new in changed if new.pk in there],
        update_conflicts=True,
        unique_fields=["package"],
        update_fields=["downloads", "misses", "dependents"],
    )
    moved = [new.pk for old, new in changed if abs(_points(new) - _points(old)) >= _MATTERS]
    waiting = Build.objects.filter(version__package=OuterRef("pk"), state=Build.State.QUEUED)
    Package.objects.filter(Exists(waiting), pk__in=moved).update(plan_needed=True)


def _points(row: Demand) -> int:
    return priority.wanted_points(row.downloads + row.misses) + priority.dependents_points(row.dependents)
