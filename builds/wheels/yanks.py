"""Which wheels installers pass over unless they are told to take them (PEP 592), and why.

Index, API and pages all say it of the same wheels and for the same reason.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from packaging.tags import Tag

from builds.models import Wheel
from builds.wheels.coverage import is_pure
from builds.wheels.upstream import UpstreamWheel, tags_of
from packages.models import UpstreamFile, Version

SUPERSEDED = "PyPI has a wheel of its own of this version, which replaces this one"


@dataclass(frozen=True)
class Yank:
    """Why installers pass over a wheel."""

    word: str  # that it is yanked, and by whom
    reason: str  # "" where nobody gave one

    @property
    def said(self) -> str:
        """Both, as they continue a sentence."""
        return f"{self.word}: {self.reason.rstrip('.')}" if self.reason else self.word


def yank_of(wheel: Wheel, pure: frozenset[Tag] = frozenset()) -> Yank | None:
    """Return why installers pass over a wheel, None if they do not.

    `pure` are the tags of the wheels that upstream has of the same version for any platform.  What an
    operator says goes before what upstream says, and that before which rebuild there is; a reason goes
    before none.
    """
    made_of: tuple[Version | UpstreamFile | None, ...] = (wheel.version, wheel.build.source)
    # Whoever has our index alone has nothing else to take.
    is_replaced = is_superseded(wheel, pure) and wheel.build.target.counts_upstream
    found = [
        *([Yank("yanked here", wheel.yanked_reason)] if wheel.is_yanked_by_hand else []),
        *([Yank("yanked", SUPERSEDED)] if is_replaced else []),
        # A yank is of one file (PEP 592), and a version is yanked when all of its files are.
        *(Yank("yanked upstream", each.yanked_reason) for each in made_of if each and each.yanked),
        *([Yank("replaced", wheel.yanked_reason)] if wheel.yanked and wheel.superseded_by_id else []),
    ]
    return next((yank for yank in found if yank.reason), found[0] if found else None)


def is_superseded(wheel: Wheel, pure: frozenset[Tag]) -> bool:
    """Tell whether upstream has a wheel for the same Pythons by now, where ours is a pure one.

    Ours stays in the list and where it is, for the lock files that have its hash; who chooses anew gets
    upstream's.
    """
    tags = tags_of(wheel.filename) if pure else frozenset()
    # py2.py3 promises what no pip that we serve asks for: upstream's wheel for Python 2 gives it nothing.
    asked = {tag for tag in tags if not tag.interpreter.startswith(("py2", "cp2"))}
    return is_pure(tags) and not asked.isdisjoint(pure)


def yanks(wheels: Iterable[Wheel], upstream: Mapping[int, Sequence[UpstreamWheel]]) -> dict[int, Yank]:
    """Return the yanks among wheels, by the wheels' keys; `upstream` is what upstream has, by version."""
    pure = {version: _pure_tags(theirs) for version, theirs in upstream.items()}
    found = ((wheel.pk, yank_of(wheel, pure.get(wheel.version_id, frozenset()))) for wheel in wheels)
    return {wheel: yank for wheel, yank in found if yank}


def _pure_tags(wheels: Iterable[UpstreamWheel]) -> frozenset[Tag]:
    """Return the tags of those of upstream's wheels that run on any platform."""
    tags = (tags_of(wheel.filename) for wheel in wheels)
    return frozenset[Tag]().union(*(each for each in tags if is_pure(each)))
