"""Finds packages by name: the very name, then names that begin so, then names that look like it.

Among these, what is wanted most comes first.  Whatever is typed, no more than some thousand rows are looked
at: of a million names a tenth may begin with the same letters.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches

from django.core.cache import cache
from django.db import connection
from django.db.models import Exists, F, OuterRef, QuerySet
from django.db.models.functions import Coalesce

from builds.models import Demand, Wheel
from packages import plain_sql
from packages.models import Package
from piwheels_site.naming import canonical

MOST = 25
# So many of the names with a beginning are ranked, as many as SQLite takes in a statement; if there are more,
# the most wanted of all are looked through for those that begin so.
_RANKED, _POPULAR = 900, 20_000
# difflib looks at so many names, where the database cannot tell what looks alike.
_COMPARED = 1500
_ALIKE, _ALIKE_TRIGRAMS = 0.6, 0.3

# Whether PostgreSQL can tell: the migration makes this index where it may.  Asked for this often, in seconds.
_INDEX, _ASKED_EVERY = "packages_package_name_trigrams", 300
_HAS_TRIGRAMS = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)"
_SIMILAR = """
    SELECT id FROM packages_package
    WHERE name %% %s AND similarity(name, %s) > %s ORDER BY similarity(name, %s) DESC, name LIMIT %s
"""


@dataclass(frozen=True)
class Found:
    """What a search has found."""

    exact: Package | None
    beginning: list[Package]
    alike: list[Package]

    @property
    def packages(self) -> list[Package]:
        """All of it, the best first."""
        return [*([self.exact] if self.exact else []), *self.beginning, *self.alike]


def search(typed: str) -> Found:
    """Return the packages that somebody may mean who typed this."""
    wanted = _letters(typed)
    if not wanted:
        return Found(None, [], [])
    beginning = _beginning(wanted)
    exact = next((package for package in beginning if package.name == wanted), None)
    beginning = [package for package in beginning if package != exact][:MOST]
    known = {package.pk for package in beginning} | ({exact.pk} if exact else set())
    room = MOST - len(beginning)
    alike = [package for package in _alike(wanted) if package.pk not in known] if room > 0 else []
    return Found(exact, beginning, alike[:room])


def near(name: str, most: int = 5) -> list[str]:
    """Return the names of packages that somebody may have meant."""
    return [package.name for package in search(name).packages][:most]


def _letters(typed: str) -> str:
    """Return what was typed as a canonical name has it, though it may be only the beginning of one."""
    return canonical(typed.strip()) or canonical(typed.strip().strip("-_. ").replace(" ", "-"))


def _shown(packages: QuerySet[Package]) -> QuerySet[Package]:
    """Return packages with what a list says of each, the most wanted first."""
    has_wheels = Exists(Wheel.objects.listed().filter(package=OuterRef("pk")))
    found = packages.annotate(downloads_30=Coalesce("demand__downloads", 0), has_wheels=has_wheels)
    return found.order_by(
        (Coalesce("demand__downloads", 0) + Coalesce("demand__misses", 0)).desc(),
        Coalesce("demand__dependents", 0).desc(),
        "name",
    )


def _beginning(letters: str) -> list[Package]:
    """Return packages whose names begin so, the most wanted first."""
    keys = set(_begins(letters).order_by("name").values_list("pk", flat=True)[:_RANKED])
    if len(keys) == _RANKED:
        # What is wanted most need not be among the first of the alphabet.
        popular = most_wanted().values("pk")[:_POPULAR]
        keys = set(_begins(letters).filter(pk__in=popular)[: _RANKED // 2].values_list("pk", flat=True))
        keys |= set(_begins(letters).order_by("name").values_list("pk", flat=True)[: _RANKED // 3])
    best = list(_ranked(keys)[: MOST + 1])
    exact = Package.objects.filter(name=letters)
    return [*best, *(_shown(exact) if len(best) > MOST and all(p.name != letters for p in best) else [])]


def _ranked(keys: Iterable[int]) -> QuerySet[Package]:
    """Return these packages, the most wanted first."""
    return _shown(Package.objects.filter(pk__in=list(keys)))


def most_wanted() -> QuerySet[Demand]:
    """Return what is wanted, most first, in the order of an index."""
    return Demand.objects.order_by((F("downloads") + F("misses")).desc(), F("dependents").desc(), "package")


def _begins(letters: str) -> QuerySet[Package]:
    """Return packages whose names begin so; each database has an index that leads to them."""
    if connection.vendor == "sqlite":
        # Its LIKE ignores case, and so its index; after all letters comes this brace.
        return Package.objects.filter(name__gte=letters, name__lt=letters + "{")
    return Package.objects.filter(name__startswith=letters)


def _alike(letters: str) -> list[Package]:
    """Return packages whose names look like it, most alike first."""
    if has_trigrams():
        values = [letters, letters, _ALIKE_TRIGRAMS, letters, MOST * 2]
        keys = [key for (key,) in plain_sql.rows(_SIMILAR, values)]
    else:
        keys = _compared(letters)
    found = {package.pk: package for package in _ranked(keys)}
    return sorted(
        found.values(), key=lambda package: SequenceMatcher(None, letters, package.name).ratio(), reverse=True
    )


def _compared(letters: str) -> list[int]:
    """Return the keys of packages whose names look like it, of those that are wanted or begin alike."""
    names = dict(most_wanted().values_list("package__name", "package")[: _COMPARED // 3])
    for length in (3, 2, 1):
        begins = _begins(letters[:length].rstrip("-")).order_by("name").values_list("name", "pk")
        names.update(begins[: _COMPARED // 3])
    return [names[name] for name in get_close_matches(letters, names, n=MOST, cutoff=_ALIKE)]


def has_trigrams() -> bool:
    """Tell whether the database itself can say what looks alike."""
    if connection.vendor != "postgresql":
        return False

    def asked() -> bool:
        return bool(plain_sql.rows(_HAS_TRIGRAMS, [_INDEX]) == [(True,)])

    return bool(cache.get_or_set("search-has-trigrams", asked, _ASKED_EVERY))
