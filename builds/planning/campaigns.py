"""Campaigns: a great many builds that an operator wants, queued a few hundred at a time.

A campaign waits behind new releases and newest versions, before history.  It goes once through what it has
to, in an order that was settled when it began, so that it may be interrupted anywhere.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, QuerySet
from packaging.utils import canonicalize_name

from builder.elf import version_key
from builds import failures
from builds.models import Build, Campaign, Demand, Target
from builds.planning import recipes
from builds.planning.places import places_of
from builds.planning.plan import Outlook, is_dropped, look, new_build
from builds.planning.wishes import Candidate
from packages.batches import batches
from packages.database import DATABASE_AWAY
from packages.models import Package

logger = logging.getLogger(__name__)

# How many builds of a campaign wait at a time, and how much of what it goes through a tick looks at: to find
# that there is nothing to do for a package costs as much as to queue it.
WAITING = 300
LOOKED_AT = 200
# No tick takes longer, in seconds, however long looking at a package takes: others wait for its thread.
RUN_S = 2.0

# The most packages that a campaign goes through; their keys are kept in its row.
MOST = 100_000

# The cursor of a campaign that has looked at all failed builds: no build has such a key.
_THROUGH = 2**63 - 1

_HOUR = timedelta(hours=1)


class CannotBegin(Exception):
    """A campaign cannot be what it is said to be; the text says why."""


@dataclass(frozen=True)
class Progress:
    """How far a campaign is."""

    waiting: int
    running: int
    succeeded: int
    failed: int
    left: int  # of what it goes through, still to be looked at
    per_hour: float
    left_s: float | None  # None: nobody can tell
    regressions: int

    def __str__(self) -> str:
        pace = f", {self.per_hour:.0f} an hour" if self.per_hour else ""
        rest = f", about {self.left_s / 3600:.1f} h left" if self.left_s else ""
        return (
            f"{self.succeeded} built, {self.failed} failed ({self.regressions} of them built on the release "
            f"before), {self.running} running, {self.waiting} waiting, {self.left} to look at{pace}{rest}"
        )


def begin(campaign: Campaign, now: datetime) -> None:
    """Check and start a campaign; raises CannotBegin."""
    prepare(campaign, now)
    campaign.save()


def prepare(campaign: Campaign, now: datetime) -> None:
    """Settle what a campaign goes through, without saving it; raises CannotBegin."""
    campaign.started_at = now
    if not campaign.target.is_active:
        raise CannotBegin(f"Nothing is built for {campaign.target}: activate it first.")
    if campaign.kind == Campaign.Kind.FAILED:
        if campaign.failure not in failures.classes():
            raise CannotBegin(
                f"There is no class {campaign.failure!r}; there are {', '.join(failures.classes())}."
            )
        todo, total = [], _failed(campaign).count()
    else:
        todo = (
            _most_wanted(campaign.count or 0)
            if campaign.kind == Campaign.Kind.MOST_WANTED
            else _named(campaign)
        )
        total = len(todo)
    if not total:
        raise CannotBegin("There is nothing that it would go through.")
    campaign.todo, campaign.total = todo, total


def _most_wanted(count: int) -> list[int]:
    """Return the packages that are wanted most."""
    wanted = Demand.objects.most_wanted()
    return list(wanted.values_list("package", flat=True)[: min(count, MOST)])


def _named(campaign: Campaign) -> list[int]:
    """Return the packages of that name, in the order in which they were named."""
    names = list(dict.fromkeys(canonicalize_name(name) for name in campaign.packages.split()))
    if len(names) > MOST:
        raise CannotBegin(f"It names {len(names)} packages; {MOST} are the most.")
    found: dict[str, int] = {}
    for some in batches(names):
        found |= dict(Package.objects.filter(name__in=some).values_list("name", "pk"))
    missing = [name for name in names if name not in found]
    if missing:
        raise CannotBegin(f"The farm does not follow {', '.join(missing[:10])}: add_package does so.")
    return [found[name] for name in names]


def _failed(campaign: Campaign) -> QuerySet[Build]:
    """Return the failed builds that a campaign tries again and has not looked at: last attempts alone."""
    failed = Build.objects.filter(
        target=campaign.target_id, state=Build.State.FAILED, failure=campaign.failure, pk__gt=campaign.cursor
    )
    if campaign.since:
        failed = failed.filter(finished_at__gte=campaign.since)
    # What failed after the start has had its chance, and a campaign must come to an end.
    return failed.last_attempts().filter(finished_at__lt=campaign.started_at).order_by("pk")


def advance(now: datetime, *, run_s: float = RUN_S) -> int:
    """Queue the next builds of all campaigns, and end those that are through; return how many were queued."""
    for campaign in Campaign.objects.left_waiting():
        with _apart(f"What waits for the campaign {campaign}, which was stopped, cannot be dropped."):
            _drop_waiting(campaign, f"Its campaign {campaign} was stopped.", now)
    running = list(Campaign.objects.running().select_related("target"))
    queued = 0
    for campaign in running:
        with _apart(f"The campaign {campaign} cannot go on; it is tried again."):
            queued += _advance(campaign, now, run_s / len(running))
    return queued


@contextmanager
def _apart(said: str) -> Iterator[None]:
    """Log what fails with one campaign or package, which must not keep those behind it."""
    try:
        yield
    except DATABASE_AWAY:
        # It was the database, and the next tick begins where this one began.
        raise
    except Exception:
        logger.exception("%s", said)


def _advance(campaign: Campaign, now: datetime, run_s: float) -> int:
    """Queue the next builds of one campaign, if few enough of it wait."""
    room = min(WAITING - campaign.builds.filter(state=Build.State.QUEUED).count(), LOOKED_AT)
    queued = looked_at = 0
    last, until = campaign.cursor, time.monotonic() + run_s
    coming = _next(campaign, room)
    for package, version, key in coming:
        if package is not None:
            with _apart(f"The campaign {campaign} passes over {package}, which cannot be looked at."):
                queued += _want(campaign, package, version, now)
        looked_at, last = looked_at + 1, key
        if time.monotonic() >= until:
            break
    if looked_at == len(coming) < room and campaign.kind == Campaign.Kind.FAILED:
        # All that failed before it began was looked at; what fails since then need not be passed again.
        last = _THROUGH
    if (looked_at, last) != (0, campaign.cursor):
        campaign.advance(looked_at, last)
    elif room > 0 and not campaign.builds.filter(state__in=Build.OPEN).exists():
        campaign.finish(now)
    return queued


def _next(campaign: Campaign, count: int) -> list[tuple[Package | None, int | None, int]]:
    """Return the next packages, each with the version if it is a certain one, and where that leaves us.

    None stands for a package that was deleted meanwhile.
    """
    if count <= 0:
        return []
    if campaign.kind == Campaign.Kind.FAILED:
        builds = _failed(campaign).select_related("version__package")[:count]
        return [(build.version.package, build.version_id, build.pk) for build in builds]
    keys = campaign.todo[campaign.looked_at : campaign.looked_at + count]
    packages = Package.objects.in_bulk(keys)
    return [(packages.get(key), None, 0) for key in keys]


@transaction.atomic
def _want(campaign: Campaign, package: Package, version: int | None, now: datetime) -> bool:
    """Queue one version for a campaign, or take in the build that waits; False if there is nothing to do."""
    package.hold()
    # Somebody may have stopped it since this tick began, or skipped the package.
    if not campaign.hold():
        return False
    package.refresh_from_db()
    outlook = look(package)
    target = next((target for target in outlook.needs if target.pk == campaign.target_id), None)
    if target is None:
        return False
    candidate = next(
        (
            each
            for each in outlook.candidates[target.python]
            if (each.is_newest if version is None else each.version.pk == version)
        ),
        None,
    )
    if candidate is None or not outlook.lacks(candidate, target):
        return False
    return _queue(campaign, outlook, candidate, target, now)


def _queue(campaign: Campaign, outlook: Outlook, candidate: Candidate, target: Target, now: datetime) -> bool:
    """Queue a version that its target lacks, unless it failed and the campaign is not about that."""
    before = outlook.latest.get((candidate.version.pk, target.pk))
    place = places_of(outlook.package, outlook.attempts, now).of(candidate, target, before, in_campaign=True)
    if before is None:
        size = recipes.size_for(outlook.package)
        build = new_build(candidate, target, size=size, campaign_id=campaign.pk, **vars(place))
        build.save()
        return True
    if before.state == Build.State.QUEUED:
        # What waits for another campaign is that one's.
        if before.campaign_id not in (None, campaign.pk):
            return False
        before.join(campaign)
    elif is_dropped(before) or (before.state == Build.State.FAILED and campaign.kind == Campaign.Kind.FAILED):
        before = before.again(losses=0, priority=place.priority, why=place.why, campaign=campaign.pk)
    else:
        return False
    Build.objects.move_to({before: place})
    return True


def stop(campaign: Campaign, by: str, now: datetime) -> int:
    """End a campaign and drop what waits for it; return how many builds that were.

    What the farm would build anyway is queued again by its package's plan, where it belongs.  What a crash
    leaves waiting goes when it is said once more, or with the next tick.
    """
    if not campaign.stop(now) and campaign.state != Campaign.State.STOPPED:
        return 0
    return _drop_waiting(campaign, f"Its campaign {campaign} was stopped by {by}.", now)


def _drop_waiting(campaign: Campaign, reason: str, now: datetime) -> int:
    """Drop what waits for a campaign and for nobody else."""
    waiting = campaign.builds.filter(state=Build.State.QUEUED, rebuild_reason="")
    dropped = 0
    while some := list(waiting.select_related("version__package")[:WAITING]):
        for build in some:
            with transaction.atomic():
                build.version.package.hold()
                # Since it was listed it may have been given out, or wanted by an operator.
                if waiting.filter(pk=build.pk).select_for_update().first():
                    dropped += build.drop(reason, now)
                    build.join(None)
                    build.version.package.request_plan()
    return dropped


def progress(campaign: Campaign, now: datetime) -> Progress:
    """Return how far a campaign is."""
    counted = dict(campaign.builds.values_list("state").annotate(Count("pk")))
    running = sum(counted.get(state, 0) for state in Build.ASSIGNED)
    waiting = counted.get(Build.State.QUEUED, 0)
    since = max(now - 24 * _HOUR, campaign.started_at)
    ended = campaign.builds.filter(state__in=Build.ENDED, finished_at__gte=since).count()
    per_hour = ended / max((now - since) / _HOUR, 1 / 60)
    left = max(0, campaign.total - campaign.looked_at) if campaign.state == Campaign.State.RUNNING else 0
    rest = left + waiting + running
    return Progress(
        waiting=waiting,
        running=running,
        succeeded=counted.get(Build.State.SUCCEEDED, 0),
        failed=counted.get(Build.State.FAILED, 0) + counted.get(Build.State.LOST, 0),
        left=left,
        per_hour=per_hour,
        left_s=rest / per_hour * 3600 if per_hour else None,
        regressions=regressions(campaign).count(),
    )


def regressions(campaign: Campaign) -> QuerySet[Build]:
    """Return the campaign's failed builds whose version was built on the release before the target's."""
    before = release_before(campaign.target)
    if before is None:
        return Build.objects.none()
    built = Build.objects.filter(version=OuterRef("version"), target=before, state=Build.State.SUCCEEDED)
    failed = Build.objects.filter(Exists(built), campaign=campaign, state=Build.State.FAILED)
    return failed.last_attempts()


def release_before(target: Target) -> Target | None:
    """Return the target of the same architecture with the next older C library; None if there is none."""
    others = Target.objects.filter(architecture=target.architecture).exclude(glibc="").exclude(pk=target.pk)
    older = [other for other in others if version_key(other.glibc) < version_key(target.glibc)]
    return max(older, key=lambda other: version_key(other.glibc), default=None)
