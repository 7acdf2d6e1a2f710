"""Notes how much each package is wanted, and has those placed anew in the queue of which that has changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from django.db.models import Count, Exists, OuterRef

from builds.models import Build, Demand, Dependency
from builds.planning import priority
from packages.batches import batches
from packages.models import Package

# A doubling of what counts most; for less, nobody is placed anew.
_MATTERS = 30


@dataclass(frozen=True)
class Wanted:
    """What was counted of a package in the last 30 days."""

    downloads: int = 0
    misses: int = 0


class _Numbers(NamedTuple):
    """What is known of a package, by the names that its row has for it."""

    downloads: int
    misses: int
    dependents: int


_UNWANTED, _NOTHING = Wanted(), _Numbers(0, 0, 0)


def note(span: range, counted: Mapping[int, Wanted], dependents: Mapping[int, int]) -> int:
    """Note what was counted of packages with these keys, and how many depend on each.

    Who is not among them is wanted by nobody any more.  Returns of how many packages something changed.
    """
    rows = Demand.objects.filter(package__gte=span.start, package__lt=span.stop)
    before = {
        package: _Numbers(*numbers)
        for package, *numbers in rows.values_list("package", "downloads", "misses", "dependents").iterator()
    }
    needed = {package for package in dependents if package in span}
    now = (
        (package, before.get(package, _NOTHING), _numbers(package, counted, dependents))
        for package in counted.keys() | needed | before.keys()
    )
    total = 0
    for batch in batches(each for each in now if each[1] != each[2]):
        _write(batch)
        total += len(batch)
    return total


def _numbers(package: int, counted: Mapping[int, Wanted], dependents: Mapping[int, int]) -> _Numbers:
    wanted = counted.get(package, _UNWANTED)
    return _Numbers(wanted.downloads, wanted.misses, dependents.get(package, 0))


def count_dependents() -> dict[int, int]:
    """Return how many packages' wheels need a package, by its key; not what only an extra needs."""
    needs = Dependency.objects.of_pip().filter(wheel__withdrawn_at=None)
    counted = dict(needs.values_list("name").annotate(Count("wheel__package", distinct=True)).iterator())
    found: dict[int, int] = {}
    for names in batches(counted):
        keys = Package.objects.filter(name__in=names).values_list("name", "pk")
        found |= {key: counted[name] for name, key in keys}
    return found


def _write(changed: list[tuple[int, _Numbers, _Numbers]]) -> None:
    """Write new numbers of packages, and ask for a plan where they matter to builds that wait."""
    keys = [package for package, _, _ in changed]
    there = set(Package.objects.filter(pk__in=keys).values_list("pk", flat=True))
    Demand.objects.bulk_create(
        [Demand(package_id=package, **new._asdict()) for package, _, new in changed if package in there],
        update_conflicts=True,
        unique_fields=["package"],
        update_fields=_Numbers._fields,
    )
    moved = [package for package, old, new in changed if abs(_points(new) - _points(old)) >= _MATTERS]
    waiting = Build.objects.filter(version__package=OuterRef("pk"), state=Build.State.QUEUED)
    Package.objects.filter(Exists(waiting), pk__in=moved).update(plan_needed=True)


def _points(numbers: _Numbers) -> int:
    wanted = priority.wanted_points(numbers.downloads + numbers.misses)
    return wanted + priority.dependents_points(numbers.dependents)
