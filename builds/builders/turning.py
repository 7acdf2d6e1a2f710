"""What operators want of builders, in the words of the original's monitor.

A builder is turned to another mode, its present build is ended, or both.  The build that is ended is
cancelled as any other, so its builder learns of it within seconds, and goes back into the queue.
"""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

from django.db import transaction

from builds.models import Build, Builder
from builds.planning.requeueing import requeue


class Turn(StrEnum):
    """What may be wanted of a builder."""

    SKIP = "skip"  # end its present build
    PAUSE = "pause"  # let it finish that, and give it nothing more
    HALT = "halt"  # both
    RESUME = "resume"  # give it builds again
    STOP = "stop"  # have its program end when it is idle
    KILL = "kill"  # the same, and end its present build

    @property
    def done(self) -> str:
        """The same, of what was done."""
        return _DONE[self]

    @property
    def is_skip(self) -> bool:
        """Whether it ends the present build."""
        return self in (Turn.SKIP, Turn.HALT, Turn.KILL)


_DONE = {
    Turn.SKIP: "skipped",
    Turn.PAUSE: "paused",
    Turn.HALT: "halted",
    Turn.RESUME: "resumed",
    Turn.STOP: "stopped",
    Turn.KILL: "killed",
}
_MODES: dict[Turn, Callable[[Builder, str, datetime], None]] = {
    Turn.PAUSE: Builder.pause,
    Turn.HALT: Builder.pause,
    Turn.RESUME: Builder.resume,
    Turn.STOP: Builder.stop,
    Turn.KILL: Builder.stop,
}


def turn(builder: Builder, wanted: Turn, said: str, now: datetime) -> Build | None:
    """Do what is wanted of a builder, for the reason that is said; return the build that it was to end.

    Its mode comes first, so that it is given nothing between the two.
    """
    if become := _MODES.get(wanted):
        become(builder, said, now)
    return _skip(builder, said, now) if wanted.is_skip else None


def _skip(builder: Builder, said: str, now: datetime) -> Build | None:
    """End what a builder builds, and queue it again for another one; None if it builds nothing."""
    build = builder.builds.filter(state__in=Build.RUNNING).select_related("version__package").first()
    if build is None:
        return None
    with transaction.atomic():
        # As whoever plans it does, before its builds.
        build.version.package.hold()
        if not build.cancel(said, now):
            return None
        requeue(build, said, avoid=builder)
    return build
