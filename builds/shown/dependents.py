"""Who needs a package: those whose wheels say so."""

from dataclasses import dataclass

from django.db.models.functions import Coalesce

from builds.models import Demand, Dependency
from packages.models import Package

# Of a package that everybody needs, so many rows are looked at; there may be half a million, and of one that
# others need for their tests alone nearly all are for an extra.
LOOKED_AT = 5000


@dataclass(frozen=True)
class Dependents:
    """How many packages need one, and those of them that are wanted most."""

    count: int
    names: list[str]

    @property
    def is_all(self) -> bool:
        """Whether these are all."""
        return self.count <= len(self.names)


def of(package: Package, most: int = 12) -> Dependents:
    """Return who needs a package; not who wants it only for an extra."""
    named = Dependency.objects.filter(tool=Dependency.Tool.PIP, name=package.name)
    looked_at = named.order_by().values("pk")[:LOOKED_AT]
    some = Dependency.objects.of_pip().filter(pk__in=looked_at).values("wheel")
    found = Package.objects.filter(wheels__in=some, wheels__withdrawn_at=None).distinct()
    ranked = found.annotate(wanted=Coalesce("demand__downloads", 0)).order_by("-wanted", "name")
    names = list(ranked.values_list("name", flat=True)[: most + 1])
    counted = Demand.objects.filter(pk=package.pk).values_list("dependents", flat=True).first() or 0
    return Dependents(max(counted, len(names)), names[:most])
