"""Which wheels some packages are on a machine, with all that they need (no Django).

resolvelib looks for it, as in pip; what there is comes from a shelf, and which of a package's files is the
best from `simple.choose`.  The order in which packages are looked at is pip's, so that the outcome is.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import compress
from operator import and_
from typing import Protocol

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
from resolvelib import AbstractProvider, BaseReporter, ResolutionImpossible, ResolutionTooDeep, Resolver
from resolvelib.structs import RequirementInformation

from simple.bundle.metadata import Metadata, Unusable
from simple.choose import Judged, Offer
from simple.requirements import Wanted, asked_for

# A step settles one package, or takes one back; what 300 packages take is some 500.
MOST_STEPS = 20_000

# A package, and what of its extras is wanted; these are looked for apart, and need the package itself.
Key = tuple[str, frozenset[str]]


class CannotResolve(Exception):
    """There are no wheels that fit together; the text says for whom."""


class Shelf(Protocol):
    """What there is to choose from."""

    def ranked(self, name: str, wanted: SpecifierSet, hashes: frozenset[str]) -> Sequence[Judged]:
        """Return the wheels of a package that can be taken, the best first."""

    def metadata(self, name: str, offer: Offer) -> Metadata:
        """Return what a wheel needs; raises Unusable."""

    def why_none(self, name: str, wanted: SpecifierSet) -> str:
        """Say why no wheel of a package can be taken."""


@dataclass(frozen=True)
class Need:
    """A requirement on its way."""

    name: str
    wanted: SpecifierSet
    extras: frozenset[str] = frozenset()
    hashes: frozenset[str] = frozenset()

    def __str__(self) -> str:
        extras = f"[{','.join(sorted(self.extras))}]" if self.extras else ""
        return f"{self.name}{extras}{self.wanted}"

    @property
    def key(self) -> Key:
        """What it is a requirement of."""
        return self.name, self.extras


@dataclass(frozen=True)
class Pick:
    """One version of a package."""

    name: str
    version: Version
    offer: Offer | None  # None: it is on the machine already
    extras: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class Resolved:
    """What goes into a bundle, by name, and what of it is there already."""

    wheels: tuple[Pick, ...]
    present: tuple[Pick, ...]
    wanted_by: Mapping[str, tuple[str, ...]]  # the names of packages; none: asked for


@dataclass
class _Provider(AbstractProvider[Need, Pick, Key]):
    """Answers resolvelib's questions."""

    shelf: Shelf
    environments: Sequence[Mapping[str, str]]
    installed: Mapping[str, Version]
    order: Mapping[str, int]
    pulse: Callable[[], None]
    refused: dict[str, str] = field(default_factory=dict)  # why wheels cannot be used

    def identify(self, requirement_or_candidate: Need | Pick) -> Key:
        """Return what it is of."""
        return requirement_or_candidate.name, requirement_or_candidate.extras

    def narrow_requirement_selection(
        self,
        identifiers: Iterable[Key],
        resolutions: Mapping[Key, Pick],
        candidates: Mapping[Key, Iterator[Pick]],
        information: Mapping[Key, Iterator[RequirementInformation[Need, Pick]]],
        backtrack_causes: Sequence[RequirementInformation[Need, Pick]],
    ) -> Iterable[Key]:
        """Look first at those that were just at odds."""
        every = list(identifiers)
        names = {cause.requirement.name for cause in backtrack_causes}
        names |= {cause.parent.name for cause in backtrack_causes if cause.parent}
        return [key for key in every if key[0] in names] or every

    def get_preference(
        self,
        identifier: Key,
        resolutions: Mapping[Key, Pick],
        candidates: Mapping[Key, Iterator[Pick]],
        information: Mapping[Key, Iterator[RequirementInformation[Need, Pick]]],
        backtrack_causes: Sequence[RequirementInformation[Need, Pick]],
    ) -> tuple[bool, bool, float, bool, str, list[str]]:
        """Settle first what leaves the least choice."""
        said = [each for info in information[identifier] for each in info.requirement.wanted]
        is_pinned = any(each.operator.startswith("==") and "*" not in each.version for each in said)
        is_bounded = any(
            each.operator in ("<", "<=", "~=") or (each.operator == "==" and "*" in each.version)
            for each in said
        )
        place = self.order.get(identifier[0], float("inf"))
        return not is_pinned, not is_bounded, place, not said, identifier[0], sorted(identifier[1])

    def find_matches(
        self,
        identifier: Key,
        requirements: Mapping[Key, Iterator[Need]],
        incompatibilities: Mapping[Key, Iterator[Pick]],
    ) -> Callable[[], Iterator[Pick]]:
        """Return the versions that all requirements admit, the best first; found only as far as needed."""
        name, extras = identifier
        needs = list(requirements[identifier])
        if extras and (name, frozenset()) in requirements:
            needs += requirements[name, frozenset()]
        out = {pick.version for pick in incompatibilities[identifier]}
        return lambda: self._matches(name, extras, needs, out)

    def _matches(
        self, name: str, extras: frozenset[str], needs: Sequence[Need], out: set[Version]
    ) -> Iterator[Pick]:
        wanted, seen = _together(needs), set(out)
        here = self.installed.get(name)
        if here is not None and here not in out and wanted.contains(here, prereleases=True):
            seen.add(here)
            yield Pick(name, here, None, extras)
        hashes = _shared_hashes(needs)
        for judged in self.shelf.ranked(name, wanted, hashes or frozenset()):
            version, offer = judged.version, judged.offer
            if version is None or version in seen or (hashes is not None and offer.sha256 not in hashes):
                continue
            if self._metadata(name, offer) is not None:
                seen.add(version)
                yield Pick(name, version, offer, extras)

    def _metadata(self, name: str, offer: Offer) -> Metadata | None:
        """Return what a wheel needs; None for one that cannot be used."""
        self.pulse()
        if offer.filename in self.refused:
            return None
        try:
            return self.shelf.metadata(name, offer)
        except Unusable as error:
            self.refused[offer.filename] = str(error)
            return None

    def is_satisfied_by(self, requirement: Need, candidate: Pick) -> bool:
        """Tell whether a version is one that is wanted."""
        is_hashed = not requirement.hashes or candidate.offer is None
        return requirement.wanted.contains(candidate.version, prereleases=True) and (
            is_hashed or (candidate.offer is not None and candidate.offer.sha256 in requirement.hashes)
        )

    def get_dependencies(self, candidate: Pick) -> Iterator[Need]:
        """Return what a version needs, and with extras the version itself."""
        if candidate.extras:
            yield Need(candidate.name, SpecifierSet(f"=={candidate.version}"))
        metadata = self._metadata_of(candidate)
        for each in metadata.needed(self.environments, candidate.extras) if metadata else ():
            extras = frozenset(canonicalize_name(extra) for extra in each.extras)
            yield Need(canonicalize_name(each.name), each.specifier, extras)

    def _metadata_of(self, pick: Pick) -> Metadata | None:
        """Return what a version needs; None where it is there already, and no file of it is known."""
        if pick.offer:
            return self._metadata(pick.name, pick.offer)
        same = self.shelf.ranked(pick.name, SpecifierSet(f"=={pick.version}"), frozenset())
        return self._metadata(pick.name, same[0].offer) if same else None


def _together(needs: Sequence[Need]) -> SpecifierSet:
    return reduce(and_, (need.wanted for need in needs), SpecifierSet())


def _shared_hashes(needs: Sequence[Need]) -> frozenset[str] | None:
    """Return the hashes that all admit who name any; None where nobody does."""
    named = [need.hashes for need in needs if need.hashes]
    return reduce(and_, named) if named else None


def resolve(
    asked: Sequence[Wanted],
    shelf: Shelf,
    environments: Sequence[Mapping[str, str]],
    installed: Mapping[str, Version] | None = None,
    pulse: Callable[[], None] = lambda: None,
) -> Resolved:
    """Return the wheels that these packages are on a machine; raises CannotResolve.

    Where its system may be one of several environments, they are what each of them needs.  What is installed
    there and will do is left as it is.  `pulse` is called again and again meanwhile, and
    may end it by raising what it likes.
    """
    roots = [
        Need(each.name, each.wanted, extras, each.hashes)
        for each in compress(asked, asked_for(asked, environments))
        for extras in dict.fromkeys((each.extras, frozenset[str]()))
    ]
    _refuse_what_nothing_is(roots, shelf, installed or {})
    order = {need.name: place for place, need in reversed(list(enumerate(roots)))}
    provider = _Provider(shelf, environments, installed or {}, order, pulse)
    try:
        result = Resolver(provider, BaseReporter[Need, Pick, Key]()).resolve(roots, max_rounds=MOST_STEPS)
    except ResolutionImpossible as error:
        raise CannotResolve(_said(error.causes, provider)) from error
    except ResolutionTooDeep as error:
        raise CannotResolve(
            "No versions were found that fit together in reasonable time: name versions, or fewer packages."
        ) from error
    picks = sorted((p for p in result.mapping.values() if not p.extras), key=lambda pick: pick.name)
    by: dict[str, set[str]] = {}
    for (name, _), criterion in result.criteria.items():
        by.setdefault(name, set()).update(
            info.parent.name for info in criterion.information if info.parent and info.parent.name != name
        )
    return Resolved(
        wheels=tuple(pick for pick in picks if pick.offer),
        present=tuple(pick for pick in picks if not pick.offer),
        wanted_by={name: tuple(sorted(parents)) for name, parents in by.items()},
    )


def _refuse_what_nothing_is(roots: Sequence[Need], shelf: Shelf, installed: Mapping[str, Version]) -> None:
    """Raise CannotResolve for all that is asked for and cannot be had at all, not just for the first."""
    lines = []
    for need in roots:
        here = installed.get(need.name)
        is_here = here is not None and need.wanted.contains(here, prereleases=True)
        if need.extras or is_here or shelf.ranked(need.name, need.wanted, need.hashes):
            continue
        lines.append(_line([f"you ask for {need}"], shelf.why_none(need.name, need.wanted)))
    if lines:
        raise CannotResolve("\n".join(lines))


def _said(causes: Iterable[RequirementInformation[Need, Pick]], provider: _Provider) -> str:
    """Say who wants what that cannot be had."""
    by_name: dict[str, list[RequirementInformation[Need, Pick]]] = {}
    for cause in causes:
        by_name.setdefault(cause.requirement.name, []).append(cause)
    lines = []
    for name, informations in sorted(by_name.items()):
        needs = [info.requirement for info in informations]
        said = sorted({f"{_who(info)} {info.requirement}" for info in informations})
        lines.append(_line(said, _why(name, needs, provider)))
    return "\n".join(lines)


def _line(said: Sequence[str], why: str) -> str:
    """Return a sentence of who wants what, and why it cannot be; names of packages stay as they are."""
    return f"{'; '.join(said)}: {why}.".replace("you", "You", 1 if said[0].startswith("you ") else 0)


def _who(info: RequirementInformation[Need, Pick]) -> str:
    return f"{info.parent} needs" if info.parent else "you ask for"


def _why(name: str, needs: Sequence[Need], provider: _Provider) -> str:
    """Return why no version of a package is one that all of them want."""
    wanted, hashes = _together(needs), _shared_hashes(needs)
    found = provider.shelf.ranked(name, wanted, hashes or frozenset())
    if not found:
        single = [need for need in needs if not provider.shelf.ranked(name, need.wanted, frozenset())]
        if single or len(needs) == 1:
            return provider.shelf.why_none(name, (single or list(needs))[0].wanted)
        return "no version is all of this"
    if hashes is not None and not any(each.offer.sha256 in hashes for each in found):
        return "no wheel for this machine has one of the hashes that are asked for; leave the hashes out"
    bad = [each.offer.filename for each in found if each.offer.filename in provider.refused]
    if bad:
        return f"{bad[0]} cannot be used: {provider.refused[bad[0]]}"
    return "what it needs in turn does not fit"
