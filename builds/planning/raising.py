"""Moves the builds of a class that an operator has raised, or no longer raises.

A class may have millions of builds, so they are moved some at a time.
"""

from collections.abc import Iterable

from builds.models import Build, Push, Target
from builds.planning import priority
from builds.planning.priority import RAISABLE, Rank


def raised(pushes: Iterable[Push], target: Target) -> set[Rank]:
    """Return the classes that these wishes raise for a target."""
    return {
        Rank(push.rank) for push in pushes if push.rank is not None and push.target_id in (None, target.pk)
    }


def raise_classes(limit: int) -> int:
    """Move so many builds of each class and target to where they belong; return how many that were."""
    pushes = list(Push.objects.exclude(rank=None))
    moved = 0
    for target in Target.objects.active():
        up = raised(pushes, target)
        for rank in RAISABLE:
            leave, enter = ({rank}, set()) if rank not in up else (set(), {rank})
            moved += Build.objects.shift(
                target, priority.span(rank, leave), priority.span(rank, enter), limit
            )
    return moved
