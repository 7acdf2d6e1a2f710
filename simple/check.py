"""What a Pi gets of all that a requirements or lock file asks for."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import compress
from operator import not_

from packaging.utils import canonicalize_version
from packaging.version import Version

from builds.models import Build, Dependency, Target, Wheel
from builds.wheels.coverage import covers, is_pure
from builds.wheels.upstream import tags_of
from packages.batches import batches
from packages.models import Package
from simple import explain, index, indexes
from simple.choose import Choice, Judged, Machine, choose
from simple.explain import SETUPS, Setup, Told
from simple.index import Holdings
from simple.machines import Model
from simple.requirements import Asked, CannotRead, Wanted, asked_for


class Verdict(StrEnum):
    """What becomes of one package."""

    WHEEL = "wheel", "a wheel of this farm"
    UPSTREAM = "upstream", "upstream's own wheel"
    PURE = "pure", "a wheel that runs anywhere"
    MAY_NOT_RUN = "may-not-run", "a wheel of this farm, built on another system"
    SOURCE = "source", "the source, which the Pi compiles"
    FAILED = "failed", "the source, and it failed to build here"
    HASH = "hash", "a file whose hash is not in the lock file"
    NOTHING = "nothing", "no file that fits"
    UNKNOWN = "unknown", "not followed by this farm"

    said: str

    def __new__(cls, value: str, said: str) -> "Verdict":
        """Make a member of its value and of what pages say."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.said = said
        return member


# What installs without a compiler and with the right bytes.
GOOD = (Verdict.WHEEL, Verdict.UPSTREAM, Verdict.PURE)
# What a build here may mend; not a lock file that has another file's hash.
MISSING = (Verdict.SOURCE, Verdict.FAILED, Verdict.NOTHING, Verdict.UNKNOWN, Verdict.MAY_NOT_RUN)

# Of upstream's files in all; the most wanted packages have a few thousand each.
MOST_FILES = 200_000
# Packages whose files are in memory together.
_AT_A_TIME = 25

# A package by its name, and one of its versions.
_Sought = tuple[str, Version]


@dataclass(frozen=True)
class Line:
    """What becomes of one package that is asked for."""

    wanted: Wanted
    verdict: Verdict
    package: Package | None
    filename: str
    index: str
    size: int | None
    wheel: Wheel | None  # ours
    build: Build | None  # the last attempt for this target at what is not there

    @property
    def is_good(self) -> bool:
        """Whether it installs as it should."""
        return self.verdict in GOOD

    @property
    def can_ask(self) -> bool:
        """Whether a request to build it may help."""
        return self.verdict in MISSING and not (self.package and self.package.why_not_built)


@dataclass(frozen=True)
class Checked:
    """What becomes of a whole file."""

    asked: Asked
    lines: tuple[Line, ...]
    left_out: tuple[Wanted, ...]  # not asked for on this machine, by their markers
    apt: tuple[str, ...]

    @property
    def size(self) -> int:
        """How many bytes are fetched, as far as it is known."""
        return sum(line.size or 0 for line in self.lines)

    @property
    def good(self) -> int:
        """How many packages install as they should."""
        return sum(line.is_good for line in self.lines)

    @property
    def saved_s(self) -> float:
        """How long compiling took here what the Pi need not compile."""
        return sum(line.wheel.build.duration_s or 0 for line in self.lines if line.wheel)

    @property
    def missing(self) -> list[str]:
        """The names of the packages that one can ask to be built, or to be followed."""
        return list(dict.fromkeys(line.wanted.name for line in self.lines if line.can_ask))


@dataclass(frozen=True)
class _Found:
    """What is taken of one package, without all that was not."""

    wanted: Wanted
    package: Package | None = None  # None: not followed
    taken: Judged | None = None
    wheel: Wheel | None = None  # ours
    size: int | None = None
    sought: Version | None = None  # the version that nothing ready is there of, where there is one


def check(asked: Asked, target: Target, model: Model | None, setup: Setup) -> Checked:
    """Return what a Pi gets of a file, with a few statements for each 25 packages of it.

    Raises CannotRun, and CannotRead where that is too much to look at.
    """
    machine = explain.machine_of(target, model)
    applies = asked_for(asked.packages, environments_of(machine))
    wanted = list(compress(asked.packages, applies))
    found = _found(wanted, machine, SETUPS[setup].on(target))
    builds = _builds(target, {(each.wanted.name, each.sought) for each in found if each.sought})
    lines = [_line(each, target, builds) for each in found]
    left_out = tuple(compress(asked.packages, map(not_, applies)))
    # What was built on another release needs packages by that one's names; of a line with one name that it
    # does not know, apt installs nothing.
    running = [line.wheel.pk for line in lines if line.wheel and line.verdict is not Verdict.MAY_NOT_RUN]
    return Checked(asked, tuple(lines), left_out, apt_of(running, target))


def environments_of(machine: Machine) -> list[dict[str, str]]:
    """Return what markers may find on a machine, the likeliest first."""
    return [_environment(machine, said) for said in machine.reported or (machine.processor,)]


def _environment(machine: Machine, processor: str) -> dict[str, str]:
    """Return what markers ask of a machine (PEP 508)."""
    full = machine.python if machine.python.count(".") > 1 else f"{machine.python}.5"
    return {
        "implementation_name": "cpython",
        "implementation_version": full,
        "os_name": "posix",
        "platform_machine": processor,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": full,
        "python_version": machine.minor,
        "sys_platform": "linux",
    }


def _found(wanted: Sequence[Wanted], machine: Machine, told: Told) -> list[_Found]:
    """Return what is taken of each package; raises CannotRead.

    Of a package that is not pinned all files are looked at, thousands for some: so those of a few packages
    are in memory at a time.
    """
    current = indexes.current()
    found, looked_at = [], 0
    for some in batches(wanted, _AT_A_TIME):
        held = _held(some)
        looked_at += sum(len(each.upstream) for each in held.values())
        if looked_at > MOST_FILES:
            raise CannotRead(
                f"Upstream has more than {MOST_FILES:,} files of these packages, which is too much to look "
                "at: name the versions (as demo==1.0), or check fewer packages at a time."
            )
        found += [_find(each, held.get(each.name), machine, told, current) for each in some]
    return found


def _held(wanted: Sequence[Wanted]) -> dict[str, Holdings]:
    """Return what there is of packages, by name; where all are pinned, upstream's files of those versions."""
    packages = list(Package.objects.filter(name__in={each.name for each in wanted}))
    visible = [package.pk for package in packages if not package.is_hidden]
    pinned = [_spellings(each.pinned) for each in wanted]
    versions = frozenset[str]().union(*pinned) if all(pinned) else None
    theirs = index.upstream_files(visible, versions) if visible else {}
    return {
        held.package.name: replace(held, upstream=tuple(theirs.get(held.package.pk, ())))
        for held in index.holdings(packages, with_upstream=False)
    }


def _spellings(pinned: Version | None) -> frozenset[str]:
    """Return how rows may spell the one version that is asked for; none if others would do."""
    if pinned is None:
        return frozenset()
    # 1, 1.0 and 1.0.0 are the same version.
    said = str(pinned)
    short = canonicalize_version(said)
    release = re.match(r"(?:\d+!)?\d+(?:\.\d+)*", short)
    end = release.end() if release else len(short)
    return frozenset({said, *(f"{short[:end]}{zeros}{short[end:]}" for zeros in ("", ".0", ".0.0"))})


def _find(
    wanted: Wanted, held: Holdings | None, machine: Machine, told: Told, current: indexes.Indexes
) -> _Found:
    """Return what is taken of a package."""
    if held is None:
        return _Found(wanted)
    offers = explain.offers(held, told, current)
    choice = choose(offers, machine, told.installer, wanted.wanted, wanted.hashes)
    sought = _sought(choice, wanted)
    if choice.taken is None:
        return _Found(wanted, held.package, sought=sought)
    offer = choice.taken.offer
    wheel = explain.ours(offer, held)
    theirs = next((entry for entry in held.upstream if entry.filename == offer.filename), None)
    size = wheel.size if wheel else theirs.size if theirs else None
    return _Found(wanted, held.package, choice.taken, wheel, size, sought)


def _sought(choice: Choice, wanted: Wanted) -> Version | None:
    """Return the version that a build would have to be of: that of the source, or the newest asked for."""
    if choice.is_source and choice.taken:
        return choice.taken.version
    if choice.taken:
        return None
    newest = (each.version for each in choice.judged if each.version)
    admitted = (version for version in newest if wanted.wanted.contains(version, prereleases=True))
    return wanted.pinned or next(admitted, None)


def _builds(target: Target, sought: Collection[_Sought]) -> Mapping[_Sought, Build]:
    """Return the last attempt for the target at each of these versions."""
    found: dict[_Sought, Build] = {}
    for some in batches(sought, _AT_A_TIME):
        spelt = frozenset[str]().union(*(_spellings(version) for _, version in some))
        tried = Build.objects.filter(
            target=target,
            version__package__name__in={name for name, _ in some},
            version__canonical__in=spelt,
        )
        for build in tried.select_related("version__package").order_by("attempt", "pk"):
            found[build.version.package.name, Version(build.version.canonical)] = build
    return found


def _line(found: _Found, target: Target, builds: Mapping[_Sought, Build]) -> Line:
    """Return what becomes of one package."""
    build = builds.get((found.wanted.name, found.sought)) if found.sought else None
    verdict = _verdict(found, target, build)
    filename, listed = (found.taken.offer.filename, found.taken.offer.index) if found.taken else ("", "")
    return Line(found.wanted, verdict, found.package, filename, listed, found.size, found.wheel, build)


def _verdict(found: _Found, target: Target, build: Build | None) -> Verdict:
    """Return what is to be said of it."""
    if found.taken is None:
        return Verdict.NOTHING if found.package else Verdict.UNKNOWN
    if found.wanted.hashes and found.taken.offer.sha256 not in found.wanted.hashes:
        return Verdict.HASH
    if not found.taken.offer.is_wheel:
        return Verdict.FAILED if build and build.state == Build.State.FAILED else Verdict.SOURCE
    if found.wheel is not None and not covers(found.wheel.offer(), target.need()):
        return Verdict.MAY_NOT_RUN
    if is_pure(tags_of(found.taken.offer.filename)):
        return Verdict.PURE
    return Verdict.WHEEL if found.wheel else Verdict.UPSTREAM


def apt_of(wheels: Iterable[int], target: Target) -> tuple[str, ...]:
    """Return the apt packages that wheels of ours need together, beyond those of the target's image."""
    names: set[str] = set()
    for some in batches(wheels):
        needs = Dependency.objects.filter(wheel__in=some, tool=Dependency.Tool.APT)
        names |= set(needs.values_list("name", flat=True))
    return tuple(target.lacks(names))


def by_verdict(checked: Checked) -> dict[Verdict, list[Line]]:
    """Return the lines by what becomes of them, the worst first."""
    found: dict[Verdict, list[Line]] = defaultdict(list)
    for line in checked.lines:
        found[line.verdict].append(line)
    return {verdict: found[verdict] for verdict in reversed(Verdict) if verdict in found}
