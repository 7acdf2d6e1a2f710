"""Builds that an operator wants although there are wheels already.

What comes of one gets a build tag and takes the place of the wheel before it; `build_tags` and `publish` see
to that.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from builds.models import Build, Target, Wheel
from builds.planning import recipes
from builds.planning.places import places_of
from builds.planning.plan import Outlook, Pair, look, new_build
from builds.planning.wishes import Candidate
from packages.models import Package, Version


@dataclass(frozen=True)
class Answer:
    """What became of a wish to build again: how many builds wait for it, and why others do not."""

    queued: int
    refused: tuple[str, ...]  # each in a sentence

    def __str__(self) -> str:
        noun = "build is" if self.queued == 1 else "builds are"
        return " ".join([f"{self.queued} {noun} queued.", *self.refused])


def of_package(package: Package, version: Version | None = None, target: Target | None = None) -> set[Pair]:
    """Return what was built of a package, for the wheels that there are; or of one version, or for a target.

    A version for a target is taken even if nothing was built for it yet.
    """
    if version and target:
        return {(version.pk, target.pk)}
    # Of a version that is named also what was withdrawn, as that may be why it is wanted.
    wheels = Wheel.objects.filter(version=version) if version else Wheel.objects.standing().sourced()
    wheels = wheels.filter(package=package, **({"build__target": target} if target else {}))
    return set(wheels.values_list("version", "build__target"))


@transaction.atomic
def rebuild(package: Package, pairs: Collection[Pair], reason: str, now: datetime) -> Answer:
    """Queue versions for targets before all that nobody asked for, whatever wheels there are."""
    package.hold()
    # Since somebody asked for it, it may have been skipped or have vanished.
    package.refresh_from_db()
    outlook = look(package)
    places = places_of(package, outlook.attempts, now)
    usable, moved, refused = _usable(outlook), {}, []
    for pair in sorted(pairs):
        if pair not in usable:
            refused.append(_say_unusable(pair))
            continue
        build = _anew(outlook, *usable[pair], reason)
        if build is None:
            refused.append(f"{outlook.latest[pair]} is being made at this moment.")
        else:
            moved[build] = places.of(*usable[pair], build, in_campaign=False)
    Build.objects.move_to(moved)
    package.mark_changed()
    return Answer(len(moved), tuple(refused))


def _usable(outlook: Outlook) -> dict[Pair, tuple[Candidate, Target]]:
    """Return what can be built at all."""
    return {
        (candidate.version.pk, target.pk): (candidate, target)
        for target in outlook.needs
        if target.pk not in outlook.skipped
        for candidate in outlook.candidates[target.python]
    }


def _say_unusable(pair: Pair) -> str:
    """Say that something cannot be built."""
    version, target = (
        Version.objects.select_related("package").get(pk=pair[0]),
        Target.objects.get(pk=pair[1]),
    )
    return (
        f"{version} cannot be built for {target}: it is skipped, yanked or gone, has no source, or the "
        "target is not active or has another Python than it wants."
    )


def _anew(outlook: Outlook, candidate: Candidate, target: Target, reason: str) -> Build | None:
    """Return the waiting build that is to be made whatever there is; None while one is being made."""
    before = outlook.latest.get((candidate.version.pk, target.pk))
    reason = reason[: Build._meta.get_field("rebuild_reason").max_length]
    if before is None:
        size = recipes.size_for(outlook.package)
        build = new_build(candidate, target, size=size, rebuild_reason=reason)
        build.save()
        return build
    if before.state == Build.State.QUEUED:
        before.want_anew(reason)
        return before
    if before.is_open:
        return None
    return before.again(losses=0, priority=before.priority, why=reason, rebuild_reason=reason)
