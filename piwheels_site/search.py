"""Finds packages by name: the very name, names that begin so, that have the words in them, that look like it.

Among these, what is wanted most comes first.  Whatever is typed, no more than some thousand rows are looked
at: of a million names a tenth may begin with the same letters.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches

from django.core.cache import cache
from django.db import OperationalError, connection, transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.db.models.functions import Coalesce

from builds.models import Demand
from packages import plain_sql
from packages.batches import batches
from packages.browsing import beginning
from packages.models import Package
from packages.project import canonical
from simple import index

MOST = 25
# So many of the names with a beginning are ranked; if there are more, the most wanted of all are looked
# through for those that begin so.  These are read this often, in seconds.
_RANKED, _POPULAR, _POPULAR_FOR = 300, 3_000, 60
# difflib looks at four times so many names, before the database is asked for what looks alike among all.
_COMPARED, _ALIKE = 400, 0.6
# Who finds this many names that begin so, or have the words in them, does not ask for others.
_ENOUGH = 5
# So many words are looked for within names, if one is as long as a trigram: no index knows shorter ones.
_WORDS, _TRIGRAM = 5, 3

# Whether PostgreSQL can tell: the migration makes this index where it may.  Asked for this often, in seconds.
_INDEX, _ASKED_EVERY = "packages_package_name_trigrams", 300
_HAS_TRIGRAMS = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)"
# Two letters that changed places leave a third of a word's trigrams as they were.  What PostgreSQL takes for
# rare, and is not, would be looked for among a million names.
_LIMITS = "SET LOCAL pg_trgm.similarity_threshold = 0.36; SET LOCAL statement_timeout = 200"
_SIMILAR = """
    SELECT id FROM packages_package WHERE name %% %s ORDER BY similarity(name, %s) DESC, name LIMIT %s
"""
_BEGINS = """
    SELECT id FROM packages_package WHERE name {from_} %s AND name {before} %s ORDER BY name {order} LIMIT %s
"""


@dataclass(frozen=True)
class Found:
    """What a search has found."""

    exact: Package | None
    beginning: list[Package]
    containing: list[Package]
    alike: list[Package]

    @property
    def packages(self) -> list[Package]:
        """All of it, the best first."""
        return [*([self.exact] if self.exact else []), *self.beginning, *self.containing, *self.alike]


def search(typed: str) -> Found:
    """Return the packages that somebody may mean who typed this."""
    wanted = _letters(typed)
    if not wanted:
        return Found(None, [], [], [])
    beginning = _beginning(wanted)
    exact = next((package for package in beginning if package.name == wanted), None)
    beginning = [package for package in beginning if package != exact][:MOST]
    containing = _containing(wanted)[:MOST]
    known = {package.pk for package in [*beginning, *containing, *([exact] if exact else [])]}
    room = MOST - len(beginning)
    if len(beginning) + len(containing) >= _ENOUGH or (exact and beginning):
        return Found(exact, beginning, containing, [])
    alike = [package for package in _alike(wanted) if package.pk not in known]
    return Found(exact, beginning, containing, alike[:room])


def near(name: str, most: int = 5) -> list[str]:
    """Return the names of packages that somebody may have meant."""
    return [package.name for package in search(name).packages][:most]


def _letters(typed: str) -> str:
    """Return what was typed as a canonical name has it, though it may be only the beginning of one."""
    return canonical(typed.strip()) or canonical(typed.strip().strip("-_. ").replace(" ", "-"))


def _shown(packages: QuerySet[Package]) -> QuerySet[Package]:
    """Return packages with what a list says of each, the most wanted first."""
    has_wheels = Exists(index.offered().filter(package=OuterRef("pk")))
    found = packages.annotate(downloads_30=Coalesce("demand__downloads", 0), has_wheels=has_wheels)
    return found.order_by(
        (Coalesce("demand__downloads", 0) + Coalesce("demand__misses", 0)).desc(),
        Coalesce("demand__dependents", 0).desc(),
        "name",
    )


def _beginning(letters: str) -> list[Package]:
    """Return packages whose names begin so, the most wanted first."""
    keys = _begins(letters, _RANKED)
    if len(keys) == _RANKED:
        # What is wanted most need not be among the first of the alphabet.
        keys += [key for name, key in _popular() if name.startswith(letters)][:_RANKED]
    best = list(_ranked(_most_wanted_of(keys)))
    exact = Package.objects.filter(name=letters)
    return [*best, *(_shown(exact) if len(best) > MOST and all(p.name != letters for p in best) else [])]


def _popular() -> list[tuple[str, int]]:
    """Return the names of the packages that are wanted most, with their keys."""

    def read() -> list[tuple[str, int]]:
        return list(Demand.objects.most_wanted().values_list("package__name", "package")[:_POPULAR])

    return cache.get_or_set("search-popular", read, _POPULAR_FOR) or []


def _most_wanted_of(keys: Iterable[int]) -> list[int]:
    """Return the most wanted of these packages; the others are of no interest to anybody."""
    wanted = {key: 0 for key in keys}
    counted = Demand.objects.filter(pk__in=list(wanted)).order_by()
    wanted.update(counted.values_list("pk", F("downloads") + F("misses")))
    return sorted(wanted, key=lambda key: wanted[key], reverse=True)[: MOST + 1]


def _ranked(keys: Iterable[int]) -> QuerySet[Package]:
    """Return these packages, the most wanted first."""
    return _shown(Package.objects.filter(pk__in=list(keys)))


def _begins(letters: str, most: int) -> list[int]:
    """Return the keys of the first packages of the alphabet whose names begin so."""
    return [key for (key,) in plain_sql.rows(plain_sql.bytewise(_BEGINS), [*beginning(letters), most])]


def _containing(letters: str) -> list[Package]:
    """Return packages whose names have these words in them and do not begin so, the most wanted first."""
    words = [word for word in letters.split("-") if word][:_WORDS]
    if max(map(len, words), default=0) < _TRIGRAM:
        return []
    keys = [
        key
        for name, key in _popular()
        if not name.startswith(letters) and all(word in name for word in words)
    ][:_RANKED]
    if connection.vendor == "sqlite":
        keys += _with(words, letters)
    elif has_trigrams():
        keys += _in_time(lambda: _with(words, letters))
    return list(_ranked(_most_wanted_of(keys)))


def _with(words: Iterable[str], letters: str) -> list[int]:
    """Return the keys of packages with these words in their names; of a great many, any."""
    found = Package.objects.exclude(name__startswith=letters).order_by()
    for word in words:
        found = found.filter(name__contains=word)
    return list(found.values_list("pk", flat=True)[:_RANKED])


def _alike(letters: str) -> list[Package]:
    """Return packages whose names look like it, most alike first."""
    keys = _compared(letters)
    if not keys and has_trigrams():
        keys = _similar(letters)
    return sorted(
        _ranked(keys), key=lambda package: SequenceMatcher(None, letters, package.name).ratio(), reverse=True
    )


def _similar(letters: str) -> list[int]:
    """Return the keys of packages whose names look like it to PostgreSQL; none if that takes it too long."""
    return _in_time(lambda: [key for (key,) in plain_sql.rows(_SIMILAR, [letters, letters, MOST * 2])])


def _in_time(ask: Callable[[], list[int]]) -> list[int]:
    """Return the keys that PostgreSQL answers with; none if that takes it too long."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_LIMITS)
            found = ask()
            # What is local to a transaction outlives a savepoint that is released, but not one rolled back:
            # whatever came later in the same transaction would have had to do with 200 ms.
            transaction.set_rollback(True)
        return found
    except OperationalError:
        return []


def _compared(letters: str) -> list[int]:
    """Return the keys of packages whose names look like it, of those that are wanted or begin alike."""
    keys = {key for length in (3, 2, 1) for key in _begins(letters[:length].rstrip("-"), _COMPARED)}
    keys.update(Demand.objects.most_wanted().values_list("package", flat=True)[:_COMPARED])
    names: dict[str, int] = {}
    for some in batches(keys):
        names.update(Package.objects.filter(pk__in=some).values_list("name", "pk"))
    return [names[name] for name in get_close_matches(letters, names, n=MOST, cutoff=_ALIKE)]


def has_trigrams() -> bool:
    """Tell whether the database itself can say what looks alike."""
    if connection.vendor != "postgresql":
        return False

    def asked() -> bool:
        return bool(plain_sql.rows(_HAS_TRIGRAMS, [_INDEX]) == [(True,)])

    return bool(cache.get_or_set("search-has-trigrams", asked, _ASKED_EVERY))
