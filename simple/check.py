"""What a Pi gets of all that a requirements or lock file asks for."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from packaging.utils import canonicalize_version
from packaging.version import Version

from builds.coverage import covers, is_pure
from builds.models import Build, Dependency, Target, Wheel
from builds.upstream import tags_of
from packages.batches import batches
from packages.models import Package
from simple import explain, index, indexes
from simple.choose import Choice, Machine, choose
from simple.explain import SETUPS, Setup, Told
from simple.index import Holdings
from simple.machines import Model
from simple.requirements import Asked, Wanted


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
        return list(dict.fromkeys(line.wanted.name for line in self.lines if line.verdict in MISSING))


def check(asked: Asked, target: Target, model: Model | None, setup: Setup) -> Checked:
    """Return what a Pi gets of a file; the statements are as many however long it is.  Raises CannotRun."""
    machine = explain.machine_of(target, model)
    environment = environment_of(machine)
    wanted = [each for each in asked.packages if each.applies(environment)]
    held = _held(wanted)
    current = indexes.current()
    chosen = [_choose(each, held.get(each.name), machine, SETUPS[setup], current) for each in wanted]
    builds = _builds(target, [each for each, choice in zip(wanted, chosen, strict=True) if _is_open(choice)])
    lines = [
        _line(each, held.get(each.name), choice, target, builds)
        for each, choice in zip(wanted, chosen, strict=True)
    ]
    left_out = tuple(each for each in asked.packages if each not in wanted)
    return Checked(
        asked, tuple(lines), left_out, apt_of([line.wheel.pk for line in lines if line.wheel], target)
    )


def environment_of(machine: Machine) -> dict[str, str]:
    """Return what markers ask of a machine (PEP 508)."""
    full = machine.python if machine.python.count(".") > 1 else f"{machine.python}.5"
    return {
        "implementation_name": "cpython",
        "implementation_version": full,
        "os_name": "posix",
        "platform_machine": machine.processor,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": full,
        "python_version": machine.minor,
        "sys_platform": "linux",
    }


def _held(wanted: Sequence[Wanted]) -> dict[str, Holdings]:
    """Return what there is of packages, by name; where all are pinned, upstream's files of those versions."""
    packages: list[Package] = []
    for names in batches({each.name for each in wanted}):
        packages += Package.objects.filter(name__in=names)
    visible = [package.pk for package in packages if not package.is_hidden]
    pinned = [_spellings(each.pinned) for each in wanted]
    versions = frozenset[str]().union(*pinned) if all(pinned) else None
    theirs: dict[int, list[index.UpstreamEntry]] = {}
    for keys in batches(visible):
        theirs |= index.upstream_files(keys, versions)
    return {
        held.package.name: replace(held, upstream=tuple(theirs.get(held.package.pk, ())))
        for some in batches(packages)
        for held in index.holdings(some, with_upstream=False)
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


def _choose(
    wanted: Wanted, held: Holdings | None, machine: Machine, told: Told, current: indexes.Indexes
) -> Choice | None:
    """Return what is taken of a package; None for one that is not followed."""
    if held is None:
        return None
    return choose(explain.offers(held, told, current), machine, told.installer, wanted.wanted, wanted.hashes)


def _is_open(choice: Choice | None) -> bool:
    """Tell whether nothing ready is taken."""
    return choice is not None and (choice.taken is None or choice.is_source)


def _builds(target: Target, wanted: Sequence[Wanted]) -> Mapping[str, Build]:
    """Return the last attempt at the newest version that was tried of each package, for the target."""
    found: dict[str, Build] = {}
    for names in batches({each.name for each in wanted}):
        tried = Build.objects.filter(target=target, version__package__name__in=names)
        for build in tried.select_related("version__package").order_by("pk"):
            found[build.version.package.name] = build
    return found


def _line(
    wanted: Wanted, held: Holdings | None, choice: Choice | None, target: Target, builds: Mapping[str, Build]
) -> Line:
    """Return what becomes of one package."""
    if held is None or choice is None:
        return Line(wanted, Verdict.UNKNOWN, None, "", "", None, None, None)
    build = builds.get(wanted.name)
    if choice.taken is None:
        return Line(wanted, Verdict.NOTHING, held.package, "", "", None, None, build)
    taken = choice.taken.offer
    entries = {entry.filename: entry for entry in held.upstream}
    wheel = explain.ours(taken, held)
    size = wheel.size if wheel else entries[taken.filename].size if taken.filename in entries else None
    verdict = _verdict(wanted, choice, wheel, target, build)
    return Line(wanted, verdict, held.package, taken.filename, taken.index, size, wheel, build)


def _verdict(
    wanted: Wanted, choice: Choice, wheel: Wheel | None, target: Target, build: Build | None
) -> Verdict:
    """Return what a file that is taken means."""
    taken = choice.taken
    if taken and wanted.hashes and taken.offer.sha256 not in wanted.hashes:
        return Verdict.HASH
    if choice.is_source:
        return Verdict.FAILED if build and build.state == Build.State.FAILED else Verdict.SOURCE
    if wheel is not None:
        if not covers(wheel.offer(), target.need()):
            return Verdict.MAY_NOT_RUN
        return Verdict.PURE if is_pure(wheel.tags()) else Verdict.WHEEL
    return Verdict.PURE if taken and is_pure(tags_of(taken.offer.filename)) else Verdict.UPSTREAM


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
