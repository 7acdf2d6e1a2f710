"""The answer to what people come for: does this package install on my Pi, and if not, why and what now.

One answer for each target, in a sentence; of the newest version that may speak for the package.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice

from builds import failures
from builds.models import Build, Dependency, Target, Wheel
from builds.shown import position
from builds.shown.remarks import NOT_FOR_ALL, leaves_out_first_pis
from builds.wheels.coverage import admits
from packages.models import Placed, Version
from piwheels_site.matrix import Cell, Kind, Matrix, needed
from piwheels_site.templatetags.said import rough
from simple.indexes import ALL

# Among so many of the newest versions one is looked for that has a wheel, where the very newest has none; and
# among so many of the newest that a Python may have, if those are older.
LOOKED_AT, LOOKED_AT_FOR_A_PYTHON = 25, 5

BITS = {"armhf": "32-bit", "arm64": "64-bit"}


# What a request may change, of what there is not.
_MAY_HELP = (Kind.UNCHOSEN, Kind.ENDED)


@dataclass(frozen=True)
class Answer:
    """What one target gets."""

    target: Target
    mood: str  # good, busy, bad or none: the class of its colour
    sign: str
    word: str
    said: str
    url: str = ""
    more: list[str] = field(default_factory=list)
    apt_to_build: str = ""  # that a build of one's own needs
    wheel: Wheel | None = None  # of ours, that pip takes
    index: str = ALL  # that has what pip is to take
    pin: str = ""  # the version that pip has to be told, as it would compile a newer one
    is_upstreams: bool = False  # whether the address is upstream's
    can_ask: bool = False  # whether to ask for a build says anything new

    @property
    def apt(self) -> list[str]:
        """The apt packages that what pip takes needs beyond what this target's image has."""
        return self.target.lacks(needed(self.wheel, Dependency.Tool.APT)) if self.wheel else []

    @property
    def name(self) -> str:
        """The target as the answer names it."""
        return named(self.target)


def named(target: Target) -> str:
    """Return a target as whoever has such a Pi knows it."""
    release = target.os_release.title()
    os = target.os_name if release in target.os_name else f"{target.os_name} ({release})"
    return f"{os}, {BITS.get(target.architecture, target.architecture)}, Python {target.python}"


def spokesmen(versions: Sequence[Placed]) -> list[Placed]:
    """Return the versions that may speak for their package, the newest first.

    Neither a pre-release nor a yanked version may, unless there is nothing else.
    """
    offered = [version for version in versions if version.is_offered]
    known = offered or [version for version in versions if version.canonical and version.gone_at is None]
    return [version for version in known if not version.is_prerelease] or known


def heard(
    speaking: Sequence[Placed], wanted: Mapping[int, Collection[str]], pythons: Collection[str]
) -> list[Placed]:
    """Return those of the versions that may speak that are looked at: the newest, and a Python's newest.

    What a version wants of Python is given by its key.  A package that has dropped a Python, and released
    often since, is installed there nevertheless: pip takes the last version that admits it.
    """
    found = {version.pk for version in speaking[:LOOKED_AT]}
    for python in pythons:
        fitting = (
            version.pk
            for version in speaking
            if any(admits(one, python) for one in wanted.get(version.pk, ()))
        )
        found |= set(islice(fitting, LOOKED_AT_FOR_A_PYTHON))
    return [version for version in speaking if version.pk in found]


def answers(matrix: Matrix, newest: Version | None, others: Sequence[Placed], now: datetime) -> list[Answer]:
    """Return what each active target gets; `others` are the spokesmen, the newest first."""
    found = []
    for target in matrix.targets:
        if not target.is_active:
            continue
        if newest is None:
            said = "no version of it can be built: upstream has none with a source that pip could read."
            found.append(Answer(target, "none", "–", "no", said))
            continue
        speaking = matrix.stand_ins.get(newest.pk, newest)
        answer = _answer(matrix.cell(speaking, target), speaking.number, target, now)
        answer = answer if answer.mood == "good" else _with_older(answer, matrix, others)
        found.append(_with_index(answer, matrix))
    return found


def _with_index(answer: Answer, matrix: Matrix) -> Answer:
    """Add to an answer which index has the wheel, if not all of them have."""
    name = matrix.only_in.get(answer.wheel.pk) if answer.wheel else None
    if not name:
        return answer
    return replace(answer, index=name, said=f"{answer.said} It is in the index of this release alone.")


def _with_older(answer: Answer, matrix: Matrix, versions: Sequence[Placed]) -> Answer:
    """Add to an answer which version has a wheel nevertheless, of ours or of upstream's, if any of these has.

    pip looks for the newest version before it looks for a wheel: where it can compile a newer one it does so,
    unless it is told which version to take.
    """
    compiled = ""
    for version in versions:
        if wheel := matrix.taken(version.pk, answer.target):
            has = f"{version.number} has a wheel"
            said = f"{has}, {_how(compiled) or 'which pip takes'}.{_not_for_all(wheel)} {answer.said}"
            pin = version.canonical if compiled else ""
            return replace(answer, word="an older one", said=said, pin=pin, wheel=wheel)
        if matrix.takes_upstreams(version.pk, answer.target):
            return _with_upstreams(answer, matrix, version.number, compiled, is_newest=version is versions[0])
        # To pip it is the same version as the one that is built in its place.
        if version.pk in matrix.stand_ins:
            continue
        if not compiled and matrix.compiles(version.pk, answer.target):
            compiled = version.number
    return answer


def _with_upstreams(answer: Answer, matrix: Matrix, number: str, compiled: str, *, is_newest: bool) -> Answer:
    """Add to an answer that upstream's own wheel of a version fits, which pip takes if it compiles none."""
    fits = f"PyPI's own wheel of {number} fits"
    answer = replace(answer, said=f"{fits}, {_how(compiled) or 'and pip takes it'}. {answer.said}")
    if compiled:
        # What is of use then is the build that failed, which the address of the answer leads to.
        return replace(answer, word="an older one")
    answer = replace(answer, url=matrix.upstream_page, is_upstreams=True)
    if is_newest:
        # What would help to compile it is of no use to anybody then.
        return replace(answer, mood="good", sign="✔", word="yes", more=[], apt_to_build="", can_ask=False)
    return replace(answer, word="an older one")


def _how(compiled: str) -> str:
    """Say how to get an older version than the one that pip compiles, if it compiles any."""
    return f"but pip compiles {compiled} instead unless you name the version" if compiled else ""


def _answer(cell: Cell, number: str, target: Target, now: datetime) -> Answer:
    """Return what a target gets of one version."""
    if cell.kind in (Kind.WHEEL, Kind.FITS):
        whose = "a wheel" if cell.kind is Kind.WHEEL else "a wheel that fits"
        said = f"{number} has {whose}.{_not_for_all(cell.wheel)}"
        return Answer(target, "good", "✔", "yes", said, cell.url, wheel=cell.wheel)
    if cell.kind is Kind.UPSTREAM:
        said = f"PyPI's own wheel of {number} fits, so none is needed from here."
        return Answer(target, "good", "✔", "yes", said, cell.url, is_upstreams=True)
    if cell.kind is Kind.HELD:
        said = f"{number} is built; an operator has to look at it before anybody gets it."
        return Answer(target, "busy", "…", "soon", said, cell.url)
    if cell.kind is Kind.OPEN and cell.build:
        return _waiting(cell.build, number, target, now)
    if cell.kind is Kind.FAILED and cell.build:
        return _failed(cell.build, number, target)
    return Answer(target, "none", "–", "no", _none(cell, number), cell.url, can_ask=cell.kind in _MAY_HELP)


def _not_for_all(wheel: Wheel | None) -> str:
    """Say that a wheel is not for all machines of its target, where it is not."""
    return f" {NOT_FOR_ALL}" if wheel and leaves_out_first_pis(wheel) else ""


def _none(cell: Cell, number: str) -> str:
    """Say why there is nothing of a version."""
    word = cell.word.rstrip(".")
    if cell.kind is Kind.YANKED and cell.yank:
        return f"{number} has a wheel, but it is {cell.yank.said}. pip passes over it."
    if cell.kind is Kind.AWAY:
        return f"{number} was {word}."
    if cell.kind is Kind.SOURCELESS:
        return f"{number} is there upstream without a source that can be built."
    return f"{number} is {word}."


def _waiting(build: Build, number: str, target: Target, now: datetime) -> Answer:
    """Return the answer of a build that has not ended."""
    url = build.get_absolute_url()
    if build.state != Build.State.QUEUED:
        said = f"{number} is being built now."
        return Answer(target, "busy", "⚙", "soon", said, url)
    stands = position.of(build, now)
    when = f": about {rough(stands.starts_in_s)}" if stands.ahead and stands.starts_in_s else ""
    ahead = f"{stands.ahead:,}" if stands.is_all else f"more than {stands.ahead:,}"
    queue = f"behind {ahead} other{'' if stands.ahead == 1 else 's'}" if stands.ahead else "as the next one"
    more = [] if stands.builders else ["No builder that could have it is at work."]
    said = f"{number} waits for a builder, {queue}{when}."
    return Answer(target, "busy", "…", "not yet", said, url, more=more, can_ask=True)


def _failed(build: Build, number: str, target: Target) -> Answer:
    """Return the answer of a build that failed: of what, and what may help."""
    url, found = build.get_absolute_url(), failures.of(build.failure, build.failure_about)
    if not found or build.failure == "unknown":
        said = f"{number} failed to build; its log says more."
        return Answer(target, "bad", "✘", "no", said, url, can_ask=True)
    suggestion = found.suggestion(target.os_release)
    return Answer(
        target,
        "bad",
        "✘",
        "no",
        f"{number} failed to build. {found.sentence}",
        url,
        more=[suggestion] if suggestion else [],
        apt_to_build=found.apt(target.os_release),
        can_ask=True,
    )
