"""To which packages of a lock file a machine is led, by who needs them and where (no Django).

A lock file such as uv's says of a package only what it needs in turn, and under which circumstances: whether
a machine gets the package shows on the ways that lead to it.  All of it is somebody's text.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from packaging.markers import Marker, UndefinedEnvironmentName
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

# A lock file of 1,000 packages has some 5,000 needs and some hundred different markers.
MOST_WAYS = 20_000
MOST_OF_MARKERS = 200_000
# Of one marker; the parser and what it makes go as deep as brackets do.
MOST_OF_A_MARKER = 4000
# As of upstream's versions (`packages.models.Version`).
MOST_OF_A_VERSION = 200
# That one marker of poetry's asks for; it has one or two.
MOST_EXTRAS = 8
_EXTRA = re.compile(r"""\bextra *== *["']([^"']+)["']""")

# An entry of a lock file by its number, and one of its extras; "" is the entry itself.
Place = tuple[int, str]
# What needs what the file does not say who needs: the project that was locked.
PROJECT: Place = (-1, "")


class TooManyWays(Exception):
    """A file says more of who needs what than any tool writes."""


@dataclass(frozen=True)
class Way:
    """A need: where it leads, and the marker under which it is one."""

    to: Place
    marker: str
    extra: str  # with which the marker is read


@dataclass
class Ways:
    """All needs that a file tells of."""

    entries: int
    _onward: dict[Place, list[Way]] = field(default_factory=lambda: defaultdict(list))
    _count: int = 0
    _of_markers: int = 0
    _markers: dict[str, Marker | None] = field(default_factory=dict)
    _gates: dict[int, tuple[str, ...]] = field(default_factory=dict)
    _reached: dict[tuple[tuple[str, str], ...], frozenset[int]] = field(default_factory=dict)

    def add(self, start: Place, to: Place, marker: str = "", extra: str = "") -> None:
        """Note a need; raises TooManyWays."""
        self._take(1)
        self._onward[start].append(Way(to, self._known(marker), extra))

    def shut(self, number: int, markers: Iterable[str]) -> None:
        """Note that an entry is there only where one of these markers holds; raises TooManyWays."""
        different = dict.fromkeys(markers)
        self._take(len(different))
        self._gates[number] = tuple(self._known(marker) for marker in different)

    def _take(self, count: int) -> None:
        """Count so much more of what is looked at for each machine; raises TooManyWays."""
        self._count += count
        if self._count > MOST_WAYS:
            raise TooManyWays

    def lead_to_the_rest(self) -> None:
        """Have the project need all that nobody needs, and then what is needed in a circle alone."""
        self._need_all_but({way.to[0] for ways in self._onward.values() for way in ways})
        self._need_all_but({number for number, _ in self._walk(lambda _: True, lambda _: True)})

    def _need_all_but(self, needed: set[int]) -> None:
        extras = [place for place in self._onward if place[0] not in needed and place != PROJECT]
        for place in [*((number, "") for number in range(self.entries) if number not in needed), *extras]:
            self.add(PROJECT, place)

    def reached(self, environment: Mapping[str, str]) -> frozenset[int]:
        """Return the entries to which a machine of this environment (PEP 508) is led."""
        asked = tuple(sorted(environment.items()))
        if asked not in self._reached:
            self._reached[asked] = self._led_to(environment)
        return self._reached[asked]

    def _led_to(self, environment: Mapping[str, str]) -> frozenset[int]:
        held: dict[tuple[str, str], bool] = {}

        def is_so(marker: str, extra: str = "") -> bool:
            """Tell whether a marker holds here, once for all that ask."""
            if (marker, extra) not in held:
                held[marker, extra] = holds(self._markers.get(marker), environment, extra)
            return held[marker, extra]

        # Once for each entry, however many ways lead to it.
        there = {number: any(map(is_so, markers)) for number, markers in self._gates.items()}
        found = self._walk(lambda way: is_so(way.marker, way.extra), lambda number: there.get(number, True))
        return frozenset(number for number, _ in found) - {PROJECT[0]}

    def _walk(self, leads: Callable[[Way], bool], is_there: Callable[[int], bool]) -> set[Place]:
        """Return all places that are reached from the project, by ways that lead to what is there."""
        seen: set[Place] = set()
        left = [PROJECT]
        while left:
            place = left.pop()
            if place not in seen:
                seen.add(place)
                ways = self._onward.get(place, ())
                left += [way.to for way in ways if is_there(way.to[0]) and leads(way)]
        return seen

    def _known(self, marker: str) -> str:
        """Return a marker that was read; one that cannot be read keeps nobody out, as if it were none."""
        if marker not in self._markers:
            self._of_markers += len(marker)
            if self._of_markers > MOST_OF_MARKERS:
                raise TooManyWays
            self._markers[marker] = _read(marker)
        return marker


@dataclass(frozen=True)
class Entry:
    """An entry of a file, with the ways there are in it."""

    ways: Ways
    number: int

    def is_reached(self, environment: Mapping[str, str]) -> bool:
        """Tell whether a machine of this environment is led here."""
        return self.number in self.ways.reached(environment)


def _read(marker: str) -> Marker | None:
    """Return a marker; None for none, and for one that cannot be read."""
    if not marker or len(marker) > MOST_OF_A_MARKER:
        return None
    try:
        return Marker(marker)
    except (ValueError, RecursionError):
        return None


def holds(marker: Marker | None, environment: Mapping[str, str], extra: str = "") -> bool:
    """Tell whether a marker holds in an environment, with one extra at most and no groups (PEP 751)."""
    if marker is None:
        return True
    nothing = frozenset[str]()
    try:
        return marker.evaluate(
            {**environment, "extra": extra, "extras": nothing, "dependency_groups": nothing}
        )
    # What cannot be compared is none, as for what a wheel needs.
    except (ValueError, UndefinedEnvironmentName):
        return False


def heeded(
    names: Sequence[str],
    environments: Sequence[Mapping[str, str]],
    applies: Callable[[int, Mapping[str, str]], bool],
) -> list[bool]:
    """Tell of each of some needs, given by the names of their packages, whether any environment has it.

    Where one environment has something else of a package than those before it (`demo==1` here and `demo==2`
    there), what the first has counts.
    """
    settled: dict[str, set[int]] = {}
    for environment in environments:
        here: dict[str, set[int]] = defaultdict(set)
        for number, name in enumerate(names):
            if applies(number, environment):
                here[name].add(number)
        settled |= {name: numbers for name, numbers in here.items() if settled.get(name, set()) <= numbers}
    found = {number for numbers in settled.values() for number in numbers}
    return [number in found for number in range(len(names))]


class _Alike:
    """The entries of a lock file by their names; raises TooManyWays."""

    # No tool locks a package as often; each entry is compared with each need of its name.
    MOST = 20
    MOST_COMPARED = 10 * MOST_WAYS
    # Of which versions are needed; more is taken for all of them.
    MOST_SAID = 60

    def __init__(self, entries: Sequence[Mapping[str, Any]]) -> None:
        self.entries = entries
        self.compared = 0
        # Read once, as one that is made for it takes as long to be read as it is.
        self.versions = [_version(entry.get("version")) for entry in entries]
        self.by_name: dict[str, list[int]] = defaultdict(list)
        for number, entry in enumerate(entries):
            name = canonicalize_name(str(entry.get("name", "")))
            if len(self.by_name[name]) == self.MOST:
                raise TooManyWays
            self.by_name[name].append(number)

    def named(self, need: Mapping[str, Any]) -> list[int]:
        """Return the entries that are of the name, the version and the source that a need says."""
        found = self._of(str(need.get("name", "")))
        return [
            number
            for number in found
            if all(key not in need or need[key] == said for key, said in self._told(number))
        ]

    def admitted(self, name: str, wanted: object) -> list[int]:
        """Return the entries of a name, and of several those whose version is one that is wanted."""
        found = self._of(name)
        if len(found) < 2 or not isinstance(wanted, str) or len(wanted) > self.MOST_SAID:
            return found
        try:
            versions = SpecifierSet(wanted)
        # What poetry writes and PEP 440 does not know, as `*`.
        except ValueError:
            return found
        known = [(number, self.versions[number]) for number in found]
        # What no version is of may be any.
        return [number for number, of in known if of is None or versions.contains(of, prereleases=True)]

    def _of(self, name: str) -> list[int]:
        found = self.by_name.get(canonicalize_name(name), [])
        self.compared += len(found)
        if self.compared > self.MOST_COMPARED:
            raise TooManyWays
        return found

    def _told(self, number: int) -> list[tuple[str, object]]:
        return [(key, self.entries[number].get(key)) for key in ("version", "source")]


def _version(said: object) -> Version | None:
    """Return a version; None for none, and for what is longer than any."""
    if not isinstance(said, str) or len(said) > MOST_OF_A_VERSION:
        return None
    try:
        return Version(said)
    except InvalidVersion:
        return None


def is_project(entry: Mapping[str, Any]) -> bool:
    """Tell whether an entry is what was locked itself."""
    return bool({"virtual", "editable"} & table(entry.get("source")).keys())


def of_uv(held: Mapping[str, Any]) -> Ways:
    """Return who needs what, with all extras and groups of the project itself."""
    entries = tables(held.get("package"))
    ways, alike = Ways(len(entries)), _Alike(entries)
    manifest = table(held.get("manifest"))
    # Of a script there is no entry.
    for needs in (manifest.get("requirements"), *table(manifest.get("dependency-groups")).values()):
        _lead(ways, PROJECT, needs, alike)
    for number, entry in enumerate(entries):
        if markers := texts(entry.get("resolution-markers")):
            ways.shut(number, markers)
        brought = table(entry.get("optional-dependencies"))
        for needs in (entry.get("dependencies"), *table(entry.get("dev-dependencies")).values()):
            _lead(ways, (number, ""), needs, alike)
        for extra, needs in brought.items():
            _lead(ways, (number, extra), needs, alike)
        for extra in ("", *brought) if is_project(entry) else ():
            ways.add(PROJECT, (number, extra))
    ways.lead_to_the_rest()
    return ways


def _lead(ways: Ways, start: Place, needs: object, alike: _Alike) -> None:
    """Note needs as uv writes them, which say as much as it takes to know the entry."""
    for need in tables(needs):
        extras = texts(need.get("extra")) or texts(need.get("extras"))
        for number in alike.named(need):
            for extra in ("", *extras):
                ways.add(start, (number, extra), str(need.get("marker", "")))


def of_poetry(held: Mapping[str, Any]) -> Ways:
    """Return who needs what; what the project itself needs is in its pyproject.toml alone."""
    entries = tables(held.get("package"))
    ways, alike = Ways(len(entries)), _Alike(entries)
    for number, entry in enumerate(entries):
        for name, said in table(entry.get("dependencies")).items():
            for need in said if isinstance(said, list) else [said]:
                told = table(need)
                marker = str(told.get("markers", ""))
                # Which extras the project wants it does not say either: an entry is there for one of them.
                extras = _EXTRA.findall(marker[:MOST_OF_A_MARKER])[:MOST_EXTRAS]
                for to in alike.admitted(name, told.get("version", need)):
                    for extra in dict.fromkeys(("", *extras)):
                        ways.add((number, ""), (to, ""), marker, extra)
    ways.lead_to_the_rest()
    return ways


def table(held: object) -> Mapping[str, Any]:
    """Return a table of a lock file; what should be one and is not, is an empty one."""
    return held if isinstance(held, dict) else {}


def tables(held: object) -> list[Mapping[str, Any]]:
    """Return an array of tables, without what is none."""
    return [each for each in held if isinstance(each, dict)] if isinstance(held, list) else []


def texts(held: object) -> list[str]:
    """Return an array of texts, without what is none."""
    return [each for each in held if isinstance(each, str)] if isinstance(held, list) else []
