"""What follows by itself when an attempt ended for no fault of the package.

Each function queues the next attempt or leaves it; the caller holds the package, in the transaction that
ended the attempt.
"""

from datetime import datetime, timedelta

from django.conf import settings

from builds import failures
from builds.models import Build, Builder, Size

# Files appear some time after their announcement, and at some of upstream's servers later than at others.
YOUNG = timedelta(days=1)
# What so many builders in a row were told of and none has begun would be tried for ever, before all that
# waits behind it: perhaps our own answer to who asks for it is an error.
UNBEGUN = 20

# What a larger builder may do better, with more memory and mostly a newer processor; and why it is asked.
_TRIED_LARGER = {
    "out-of-memory": "It ran out of memory on a {size} builder.",
    "timeout": "It took longer than it may on a {size} builder.",
}


def after_loss(build: Build, now: datetime) -> None:
    """Follow a build whose builder fell silent."""
    # A builder that never began says nothing of the build, so that does not count against it; but many do.
    if build.claimed_at or _was_begun_by_none(build):
        _later(build, now)
    else:
        elsewhere(build)


def _was_begun_by_none(build: Build) -> bool:
    """Tell whether so many attempts in a row were begun by no builder that it must be the build's fault."""
    row = Build.objects.filter(version=build.version_id, target=build.target_id, attempt__lte=build.attempt)
    last = row.order_by("-attempt").values_list("state", "claimed_at")[:UNBEGUN]
    return len(last) == UNBEGUN and all(of == (Build.State.LOST, None) for of in last)


def elsewhere(build: Build) -> None:
    """Queue an attempt at once for another builder, as this one ended for no reason of its own."""
    _queue(build, losses=build.losses, not_before=None)


def after_race(build: Build) -> None:
    """Queue an attempt that gets another name, as another build has published one of this name meanwhile.

    If that one serves the target too, the plan drops the attempt.
    """
    build.again(
        losses=build.losses,
        priority=build.priority,
        why="Another build had published a wheel of the same name before.",
    )
    _tell(build)


def after_failure(build: Build, now: datetime) -> None:
    """Follow a build that failed: later if it was not the package's fault, or on a larger builder."""
    if failures.is_infrastructure(build.failure) or (build.failure == "no-source" and _is_young(build, now)):
        _later(build, now)
    elif (why := _TRIED_LARGER.get(build.failure)) and (size := _larger(build)):
        why = why.format(size=_ran_on(build))
        build.again(losses=build.losses, priority=build.priority, why=why, size=size)
        _tell(build)


def _is_young(build: Build, now: datetime) -> bool:
    """Tell whether upstream has only just got the source."""
    uploaded_at = build.source.uploaded_at if build.source else None
    return uploaded_at is not None and now - uploaded_at < YOUNG


def _larger(build: Build) -> str:
    """Return the next size that a builder of the target has; "" if there is none."""
    there = set(
        Builder.objects.filter(target=build.target_id, is_enabled=True).values_list("size", flat=True)
    )
    larger = Size.values[Size.values.index(_ran_on(build)) + 1 :]
    return next((size for size in larger if size in there), "")


def _ran_on(build: Build) -> str:
    """Return the size of the builder that had it, which may be larger than it must be."""
    sizes = [build.size, *([build.builder.size] if build.builder else [])]
    return max(sizes, key=Size.values.index)


def _later(build: Build, now: datetime) -> None:
    """Queue an attempt after a pause longer than the last, up to an hour; in the end a person must look."""
    losses = build.losses + 1
    if losses <= Build.MAX_LOSSES or (losses <= Build.MAX_WAITS and _own_losses(build) <= Build.MAX_LOSSES):
        pause = Build.PAUSES[min(losses, len(Build.PAUSES)) - 1]
        not_before = now + pause * timedelta(seconds=settings.PIWHEELS_RETRY_S)
        _queue(build, losses=losses, not_before=not_before)
    else:
        build.give_up()
        _tell(build)


def _own_losses(build: Build) -> int:
    """Count the attempts in a row, up to this one, that were lost here and not for want of upstream."""
    begun = Build.objects.filter(
        version=build.version_id,
        target=build.target_id,
        attempt__lte=build.attempt,
        claimed_at__isnull=False,
    )
    count = 0
    for losses, failure in begun.order_by("-attempt").values_list("losses", "failure"):
        count += failures.is_infrastructure(failure) and not failures.is_upstream(failure)
        if losses == 0:
            break
    return count


def _queue(build: Build, *, losses: int, not_before: datetime | None) -> None:
    """Queue an attempt that goes to another builder if there is one."""
    build.again(
        losses=losses,
        priority=build.priority,
        why=build.why,
        not_before=not_before,
        avoid=build.builder_id,
    )
    _tell(build)


def _tell(build: Build) -> None:
    """Have the package's pages and its plan see what was done."""
    build.version.package.mark_changed()
    # The plan may have dropped the ended build at the same moment, and must see its successor.
    build.version.package.request_plan()
