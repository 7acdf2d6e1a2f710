"""Takes out builders that spoil what their peers build, before they spoil the queue.

A builder is to blame when two things are true at the same time:

* Its last five builds, each of another package, all failed or got lost.  A package counts once, as thirty
  versions of one broken package say no more of the builder than one of them does.  A build that it never
  began counts by itself: not to answer says nothing of the package.  What was before an operator resumed it
  is forgiven.
* Its peers did well.  Either three of the very versions that it failed were built by somebody else, or since
  the first of them at least five builds of the same target ended on others, and four in five of their last
  twenty are successes.

While the packages themselves are bad, or upstream is down, peers fail too and nobody is taken out.  A builder
that has no peers is never taken out: there is nobody to compare it with, or to take its work.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction

from builds.models import Build, Builder
from builds.planning.requeueing import requeue
from packages.models import Package

logger = logging.getLogger(__name__)

# How many bad ends in a row, of as many packages, are no accident: at an honest failure rate of 30 %, one
# builder in 400 has them.
STREAK = 5
# How many of the versions that it failed others must have built ...
MADE_ELSEWHERE = 3
# ... or how many of the last builds of its peers are looked at, how many there must be, and how many good.
PEERS_LAST, PEERS_LEAST, PEERS_GOOD = 20, 5, 0.8
# A streak may be longer than it must be; no more than this is built again.
_LONGEST = 50
# A builder is looked at for this long after a build of it ended badly, as what its peers do takes time too.
LOOK = timedelta(hours=1)


def quarantine_bad(now: datetime) -> int:
    """Take out each builder that is to blame, and queue again what it failed; return how many builders."""
    taken = 0
    for builder in Builder.objects.under_suspicion(now - LOOK).select_related("target"):
        streak = _streak(builder)
        if _is_long(streak) and (evidence := _evidence(builder, streak)):
            taken += _take_out(builder, streak, evidence, now)
    return taken


def _streak(builder: Builder) -> list[Build]:
    """Return the builds since a builder's last success that failed or got lost there, the last one first."""
    ended = builder.builds.ended().select_related("version__package")
    if builder.mode_at:
        ended = ended.filter(finished_at__gt=builder.mode_at)
    streak = []
    for build in ended[:_LONGEST]:
        if build.state == Build.State.SUCCEEDED:
            break
        streak.append(build)
    return streak


def _is_long(streak: Sequence[Build]) -> bool:
    """Tell whether a streak is too long for an accident."""
    subjects = {
        ("package", build.version.package_id) if build.claimed_at else ("build", build.pk) for build in streak
    }
    return len(subjects) >= STREAK


def _evidence(builder: Builder, streak: Sequence[Build]) -> str:
    """Say what peers did better since the streak began; "" when they did not."""
    peers = Build.objects.exclude(builder=builder).filter(builder__isnull=False)
    # What builds for one target may be nothing for another, as with what 64 bits alone can do.
    made = peers.filter(
        target=builder.target,
        state=Build.State.SUCCEEDED,
        version__in={build.version_id for build in streak},
    ).values("version")
    if (versions := made.distinct().count()) >= MADE_ELSEWHERE:
        return f"others built {versions} of these versions"
    since = min(build.queued_at if build.claimed_at is None else build.claimed_at for build in streak)
    last = peers.ended().filter(target=builder.target, finished_at__gte=since)[:PEERS_LAST]
    states = [build.state for build in last]
    good = states.count(Build.State.SUCCEEDED)
    if len(states) >= PEERS_LEAST and good >= PEERS_GOOD * len(states):
        return f"{good} of the last {len(states)} builds of others for {builder.target} succeeded"
    return ""


@transaction.atomic
def _take_out(builder: Builder, streak: Sequence[Build], evidence: str, now: datetime) -> bool:
    """Quarantine a builder and queue its failures again for others; False if somebody turned it meanwhile."""
    # Packages first, as everybody does: who gives out builds has some, and waits for their builders.
    Package.objects.hold(build.version.package_id for build in streak)
    if not builder.hold_at_work():
        return False
    again = sum(_queue_again(build, builder) for build in streak)
    reason = (
        f"Its last {len(streak)} builds failed or got lost, while {evidence}. {again} are queued again. "
        "Look at their logs, put right what is wrong, and resume it."
    )
    builder.quarantine(reason, now)
    logger.error("Builder %s is taken out: %s", builder, reason)
    return True


def _queue_again(build: Build, builder: Builder) -> bool:
    """Queue a failed build again, unless something newer than it has come of that; a lost one already was."""
    why = f"Builder {builder}, which failed it, was taken out."
    return build.state == Build.State.FAILED and requeue(build, why, avoid=builder)
