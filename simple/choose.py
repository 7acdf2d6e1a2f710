"""Which of these files an installer takes on a machine, and why not the others (no Django).

The rules are those of pip's finder (26.x: `PackageFinder`, `CandidateEvaluator`) and of uv (0.13: its
`first-index` strategy and prioritized distributions); `tests/clients` compares them with the real ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import BuildTag, InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from builds.wheels.upstream import manylinux
from packages.project import SOURCE_SUFFIXES

# Of what was once a source, uv (0.13) takes what PEP 625 names and .zip; pip takes all that it unpacks.
_SUFFIXES_OF_UV = (".tar.gz", ".zip")


class Installer(StrEnum):
    """Who chooses."""

    PIP = "pip"
    UV = "uv"


@dataclass(frozen=True)
class Offer:
    """A file that an index offers."""

    filename: str
    index: str  # the name of the index that offers it
    project: str  # whose page it is on, by its canonical name
    requires_python: str = ""
    yanked: bool = False
    yanked_reason: str = ""
    sha256: str = ""  # "" where nobody asks for it

    @property
    def is_wheel(self) -> bool:
        """Whether it installs without being built."""
        return self.filename.endswith(".whl")


@dataclass(frozen=True)
class Machine:
    """Where the file is to run: a Python, a processor as the kernel calls it, and a C library."""

    python: str  # two numbers, or three where the third is known
    abi: str
    processor: str  # as armv6l
    glibc: str  # as 2.36; "" where nobody knows, and then no manylinux wheel counts
    reported: tuple[str, ...] = ()  # what its Python may say of the processor, if not that alone

    def platforms(self, installer: Installer) -> tuple[str, ...]:
        """Return the platform tags that are taken here, the best first.

        The pip of 2026 (packaging 26) likes what is for this very system better than manylinux; uv does not.
        """
        own = f"linux_{self.processor}"
        portable = manylinux(own, self.glibc)
        return (own, *portable) if installer is Installer.PIP else (*portable, own)

    @property
    def minor(self) -> str:
        """The Python's first two numbers."""
        return ".".join(self.python.split(".")[:2])

    def ranks(self, installer: Installer) -> dict[Tag, int]:
        """Return the tags that are taken here, each with its place; the best has the lowest."""
        return _ranks(self.minor, self.abi, self.platforms(installer))


@cache
def _ranks(python: str, abi: str, platforms: tuple[str, ...]) -> dict[Tag, int]:
    major, minor = (int(part) for part in python.split("."))
    tags = [
        *cpython_tags((major, minor), [abi], platforms),
        *compatible_tags((major, minor), f"cp{major}{minor}", platforms),
    ]
    ranks: dict[Tag, int] = {}
    for place, tag in enumerate(tags):
        ranks.setdefault(tag, place)
    return ranks


@dataclass(frozen=True)
class Judged:
    """An offer, and the first reason against it; "" for the one that is taken."""

    offer: Offer
    version: Version | None
    against: str


@dataclass(frozen=True)
class Choice:
    """What is taken, and what was thought of all that there is, the newest first."""

    taken: Judged | None
    judged: tuple[Judged, ...]

    @property
    def is_source(self) -> bool:
        """Whether the machine has to build what it takes."""
        return self.taken is not None and not self.taken.offer.is_wheel


@dataclass
class _Candidate:
    """An offer on its way: what its name says, and what is against it so far."""

    offer: Offer
    place: int  # in the order of the indexes
    version: Version | None = None
    tags: frozenset[Tag] = frozenset()
    build: BuildTag = ()
    rank: int = 0
    against: str = field(default="")

    @property
    def key(self) -> tuple[Version, bool, int, BuildTag, int]:
        """What it is sorted by; of equals, pip takes the one of the index that it was told of last."""
        version = self.version or Version("0")
        return version, self.offer.is_wheel, -self.rank, self.build, self.place


def choose(
    offers: Sequence[Offer],
    machine: Machine,
    installer: Installer,
    wanted: SpecifierSet | None = None,
    hashes: frozenset[str] = frozenset(),
) -> Choice:
    """Return which of these files is taken, and the first reason against each of the others.

    Offers come in the order in which the installer is told of their indexes: for pip the `--index-url` and
    then the extra ones, for uv each `--index` and then the default.  `hashes` are those of a lock file; where
    no file that could be used has one of them, all are kept, and what is taken fails when it is fetched.
    """
    candidates = _looked_at(offers, machine, installer, wanted, hashes)
    left = _usable(candidates)
    best = max(left, key=lambda candidate: candidate.key, default=None)
    for candidate in left:
        if candidate is not best and best is not None:
            candidate.against = _why_less(candidate, best)
    judged = {id(c): Judged(c.offer, c.version, c.against) for c in candidates}
    ordered = sorted(candidates, key=_shown_order, reverse=True)
    return Choice(judged[id(best)] if best else None, tuple(judged[id(each)] for each in ordered))


def ranked(
    offers: Sequence[Offer],
    machine: Machine,
    installer: Installer,
    wanted: SpecifierSet | None = None,
    hashes: frozenset[str] = frozenset(),
) -> list[Judged]:
    """Return the file that is taken, and behind it what would be, were each before it not there."""
    left = _usable(_looked_at(offers, machine, installer, wanted, hashes))
    ordered = sorted(left, key=lambda candidate: candidate.key, reverse=True)
    return [Judged(each.offer, each.version, "") for each in ordered]


def _looked_at(
    offers: Sequence[Offer],
    machine: Machine,
    installer: Installer,
    wanted: SpecifierSet | None,
    hashes: frozenset[str],
) -> list[_Candidate]:
    """Return the files with what is against them; nothing is against those that could be taken."""
    candidates = [_Candidate(offer, place) for place, offer in enumerate(offers)]
    if installer is Installer.UV:
        _keep_to_first_index(candidates)
    for candidate in candidates:
        candidate.against = (
            candidate.against or _read(candidate, installer) or _unfit(candidate, machine, installer)
        )
    _rule_out(candidates, SpecifierSet() if wanted is None else wanted, hashes, installer)
    return candidates


def _keep_to_first_index(candidates: Sequence[_Candidate]) -> None:
    """Rule out what is in any index but the first that has the project at all."""
    for candidate in candidates:
        if candidate.offer.index != candidates[0].offer.index:
            candidate.against = (
                f"uv looks no further than {candidates[0].offer.index}, the first index that has the project"
            )


def _read(candidate: _Candidate, installer: Installer) -> str:
    """Read the file's name; return what is wrong with it."""
    offer = candidate.offer
    try:
        if offer.is_wheel:
            _, candidate.version, candidate.build, candidate.tags = parse_wheel_filename(offer.filename)
        else:
            candidate.version = _version_of_source(offer.filename, offer.project, installer)
    except (InvalidWheelFilename, InvalidVersion):
        return "its name is none that an installer reads"
    if not offer.is_wheel and installer is Installer.UV and not offer.filename.endswith(_SUFFIXES_OF_UV):
        return f"uv takes no source but {' and '.join(_SUFFIXES_OF_UV)}"
    return ""


def _version_of_source(filename: str, project: str, installer: Installer) -> Version:
    """Return the version in a source's name; raises InvalidVersion.

    What comes before it is the project's name, however that is spelt: older names have hyphens in it, and in
    versions too (`demo-0.5-1` is 0.5.post1, and `demo-1.0-beta1` is 1.0b1).
    """
    suffix = next((each for each in SOURCE_SUFFIXES if filename.endswith(each)), None)
    if suffix is None:
        raise InvalidVersion(filename)
    stem = filename.removesuffix(suffix)
    # uv counts as many characters as the canonical name has.
    ends = [len(project)] if installer is Installer.UV else range(len(stem))
    for end in ends:
        if stem[end : end + 1] == "-" and canonicalize_name(stem[:end]) == project:
            return Version(stem[end + 1 :])
    raise InvalidVersion(filename)


def _unfit(candidate: _Candidate, machine: Machine, installer: Installer) -> str:
    """Return why the file cannot be used on the machine."""
    if candidate.offer.is_wheel:
        ranks = machine.ranks(installer)
        usable = [ranks[tag] for tag in candidate.tags if tag in ranks]
        if not usable:
            return _why_no_tag(candidate.tags, machine)
        candidate.rank = min(usable)
    if installer is Installer.UV and not _is_readable(candidate.offer.requires_python):
        return f"uv cannot read which Pythons it is for: {candidate.offer.requires_python}"
    if not _admits(candidate.offer.requires_python, machine.python, installer):
        return f"it is for Python {candidate.offer.requires_python}, and here is {machine.python}"
    return ""


def _why_no_tag(tags: frozenset[Tag], machine: Machine) -> str:
    """Return why no tag of a wheel is taken: for its Python, or else for its platform."""
    pythons = {(tag.interpreter, tag.abi) for tag in machine.ranks(Installer.PIP)}
    fitting = {tag.platform for tag in tags if (tag.interpreter, tag.abi) in pythons}
    if not fitting:
        said = ", ".join(sorted({f"{tag.interpreter}-{tag.abi}" for tag in tags}))
        return f"it is for {said}, and here is Python {machine.minor} ({machine.abi})"
    here = [name for name in sorted(fitting) if name.endswith(f"_{machine.processor}")]
    if here and here[0].startswith("manylinux"):
        library = f"its C library is {machine.glibc}" if machine.glibc else "its C library is not known"
        return f"it is for {', '.join(here)}: this machine's processor is right, but {library}"
    return f"it is for {', '.join(sorted(fitting))}, and here is {machine.processor}"


def _is_readable(requires_python: str) -> bool:
    """Tell whether a Requires-Python is one (PEP 440)."""
    try:
        SpecifierSet(requires_python)
    except InvalidSpecifier:
        return False
    return True


def _admits(requires_python: str, python: str, installer: Installer) -> bool:
    """Tell whether a Requires-Python admits a Python; what cannot be read admits all, as in pip."""
    if not _is_readable(requires_python):
        return True
    wanted = SpecifierSet(requires_python)
    if installer is Installer.UV:
        wanted = _from_below(wanted)
    known = [python] if python.count(".") > 1 else [f"{python}.{micro}" for micro in (0, 5, 99)]
    return any(wanted.contains(version, prereleases=True) for version in known)


def _from_below(wanted: SpecifierSet) -> SpecifierSet:
    """Return only what bounds a Requires-Python from below: uv heeds no other bounds of a package's."""
    kept = [each for each in wanted if each.operator not in ("<", "<=", "!=")]
    return SpecifierSet(
        ",".join(
            str(each) if each.operator in (">", ">=") else f">={each.version.removesuffix('.*')}"
            for each in kept
        )
    )


def _rule_out(
    candidates: Sequence[_Candidate], wanted: SpecifierSet, hashes: frozenset[str], installer: Installer
) -> None:
    """Say what is against those that could be used: the version asked for, hashes, yanks, pre-releases."""
    for candidate in _usable(candidates):
        if candidate.version and not wanted.contains(candidate.version, prereleases=True):
            candidate.against = f"{wanted} was asked for"
    if any(candidate.offer.sha256 in hashes for candidate in _usable(candidates)):
        for candidate in _usable(candidates):
            if candidate.offer.sha256 not in hashes:
                candidate.against = "the lock file does not have its hash"
    # For pip, a final version that is yanked keeps a pre-release out; for uv it does not.
    if installer is Installer.PIP:
        _rule_out_pre_releases(_usable(candidates), wanted)
        _rule_out_yanked(_usable(candidates), wanted)
    else:
        _rule_out_yanked(_usable(candidates), wanted)
        _rule_out_pre_releases(_usable(candidates), wanted)


def _usable(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """Return those with nothing against them yet."""
    return [candidate for candidate in candidates if not candidate.against]


def _rule_out_pre_releases(usable: Sequence[_Candidate], wanted: SpecifierSet) -> None:
    """Keep pre-releases for whoever asks for one, or has nothing else."""
    final = [candidate for candidate in usable if candidate.version and not candidate.version.is_prerelease]
    if final and not wanted.prereleases:
        for candidate in usable:
            if candidate not in final:
                candidate.against = "it is a pre-release, and there is a final one"


def _rule_out_yanked(usable: Sequence[_Candidate], wanted: SpecifierSet) -> None:
    """Keep yanked files for whoever asks for that very version, where all files are yanked (PEP 592)."""
    if _is_pinned(wanted) and all(candidate.offer.yanked for candidate in usable):
        return
    for candidate in usable:
        if candidate.offer.yanked:
            reason = candidate.offer.yanked_reason
            candidate.against = f"it is yanked: {reason}" if reason else "it is yanked"


def _is_pinned(wanted: SpecifierSet) -> bool:
    """Tell whether one version and no other is asked for."""
    return any(
        each.operator == "===" or (each.operator == "==" and not each.version.endswith(".*"))
        for each in wanted
    )


def _why_less(candidate: _Candidate, best: _Candidate) -> str:
    """Return why another file that could be used is better."""
    if candidate.version != best.version:
        return f"{best.version} is newer"
    if candidate.offer.is_wheel != best.offer.is_wheel:
        return "there is a wheel of this version, which needs no building"
    if candidate.rank != best.rank:
        return f"the tags of {best.offer.filename} are nearer to this machine"
    if candidate.build != best.build:
        return f"{best.offer.filename} is a later build of the same"
    return f"{best.offer.index} has a file that is as good, and comes after {candidate.offer.index}"


def _shown_order(candidate: _Candidate) -> tuple[bool, Version, bool, int, BuildTag, str]:
    version = candidate.version
    return (
        version is not None,
        version or Version("0"),
        candidate.offer.is_wheel,
        -candidate.rank,
        candidate.build,
        candidate.offer.filename,
    )
