"""What is to be built of a package: made for one package at a time, when something about it has changed.

What the plan wants becomes a queued build, what it no longer wants is dropped.  The farm is never looked at
as a whole, so a plan costs the same however much there is.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from builds.models import Build, Campaign, Skip, Target, Wheel
from builds.planning import recipes, wishes
from builds.planning.places import places_of
from builds.planning.wishes import Candidate
from builds.wheels.coverage import Need, Offer, covers
from builds.wheels.upstream import UpstreamWheel
from packages.database import DATABASE_AWAY
from packages.models import Package, UpstreamFile

logger = logging.getLogger(__name__)

# A version and a target, by their keys.
Pair = tuple[int, int]

# How long a pass goes on at the most, and a tenth of it with what changed targets ask of all packages.
PASS_S = 20.0

# What of earlier builds decides about the next; a package may have thousands of them.
_DECIDING = (
    *("version", "target", "campaign", "attempt", "state", "losses", "size", "priority", "is_long"),
    *("may_return", "queued_at", "released_at", "duration_s", "expected_s", "rebuild_reason", "source"),
)


@dataclass(frozen=True)
class Outlook:
    """What there is of a package, and what may be wanted of it."""

    package: Package
    candidates: dict[str, list[Candidate]]  # by Python
    needs: dict[Target, Need]
    offers: dict[int, list[Offer]]  # what our index has, by version
    upstream: dict[int, list[UpstreamWheel]]  # what upstream has, by version
    skipped: set[int]  # targets
    attempts: list[Build]  # the last one last
    latest: dict[Pair, Build]
    in_campaigns: set[Pair]
    to_rebuild: set[Pair]

    def wanted(self) -> Iterator[tuple[Candidate, Target]]:
        """Give what is worth a wheel and has none, or has one that an operator wants anew."""
        for target in self.needs:
            for candidate in self.candidates[target.python]:
                pair = candidate.version.pk, target.pk
                is_wanted = candidate.is_chosen or pair in self.in_campaigns
                is_again = pair in self.to_rebuild and target.pk not in self.skipped
                if is_again or (is_wanted and self.lacks(candidate, target)):
                    yield candidate, target

    def lacks(self, candidate: Candidate, target: Target) -> bool:
        """Tell whether a target could have a wheel of a version, and nothing serves it yet."""
        version = candidate.version.pk
        return (
            target in self.needs
            and target.pk not in self.skipped
            and not any(covers(offer, self.needs[target]) for offer in self.offers.get(version, []))
            and not target.served_upstream(self.upstream.get(version, []))
        )


def plan_changed(now: datetime, limit: int, for_s: float = PASS_S) -> int:
    """Make a plan for packages of which something changed; return how many builds that touched."""
    began, touched = time.monotonic(), 0
    for target in Target.objects.changed():
        while time.monotonic() < began + for_s / 10 and target.ask_some():
            pass
    for package in Package.objects.to_plan(now)[:limit]:
        if time.monotonic() >= began + for_s:
            break
        touched += _plan_or_log(package, now)
    return touched


def _plan_or_log(package: Package, now: datetime) -> int:
    """Make a plan for one package, which must not keep those behind it from theirs."""
    try:
        return plan(package, now)
    except DATABASE_AWAY:
        # It was the database and not the package, which still needs its plan and gets it with the next pass.
        raise
    except Exception:
        logger.exception("No plan could be made for %s; it is tried again in an hour.", package)
        package.put_plan_off(now)
        return 0


@transaction.atomic
def plan(package: Package, now: datetime) -> int:
    """Queue the builds that a package lacks, drop those that it no longer needs, and count both."""
    if not package.begin_plan():
        return 0
    package.refresh_from_db()
    outlook = look(package)
    wanted = {
        (candidate.version.pk, target.pk): (candidate, target) for candidate, target in outlook.wanted()
    }
    reason = "It is no longer needed: skipped, withdrawn upstream, or served by another wheel."
    dropped = [
        build.drop(reason, now)
        for pair, build in outlook.latest.items()
        if build.is_open and pair not in wanted
    ]
    return sum(dropped) + _queue(outlook, wanted, now)


def look(package: Package) -> Outlook:
    """Read what there is of a package; the caller holds its row."""
    targets = list(Target.objects.active())
    attempts = list(Build.objects.filter(version__package=package).only(*_DECIDING).order_by("attempt"))
    # An import may bring an ended attempt behind one that is still open, which is the one that counts.
    by_age = sorted(attempts, key=lambda build: (build.is_open, build.attempt))
    latest = {(build.version_id, build.target_id): build for build in by_age}
    return Outlook(
        package=package,
        candidates=wishes.candidates(package, {target.python for target in targets}),
        needs={target: target.need() for target in targets},
        offers=_offers(package),
        upstream=_upstream(package, targets),
        skipped=set(Skip.objects.filter(package=package).values_list("target", flat=True)),
        attempts=attempts,
        latest=latest,
        in_campaigns=_in_campaigns(latest),
        to_rebuild={pair for pair, build in latest.items() if build.is_open and build.rebuild_reason},
    )


def _offers(package: Package) -> dict[int, list[Offer]]:
    """Return what our index has of a package, or will have once a person has looked at it, by version.

    What a rebuild superseded is yanked, so no target has it that the rebuild does not serve.
    """
    wheels = Wheel.objects.standing().sourced().filter(package=package, superseded_by=None)
    offers: dict[int, list[Offer]] = {}
    for wheel in wheels.select_related("build__target"):
        offers.setdefault(wheel.version_id, []).append(wheel.offer())
    return offers


def _upstream(package: Package, targets: list[Target]) -> dict[int, list[UpstreamWheel]]:
    """Return what upstream has, if that counts for any of the targets."""
    if not any(target.counts_upstream for target in targets):
        return {}
    return wishes.upstream_wheels(UpstreamFile.objects.filter(version__package=package))


def _in_campaigns(latest: Mapping[Pair, Build]) -> set[Pair]:
    """Return what campaigns want; what waits for one that was stopped is wanted no more."""
    mine = {pair: build for pair, build in latest.items() if build.campaign_id and build.is_open}
    if not mine:
        return set()
    stopped = set(Campaign.objects.filter(state=Campaign.State.STOPPED).values_list("pk", flat=True))
    return {
        pair
        for pair, build in mine.items()
        if build.state != Build.State.QUEUED or build.campaign_id not in stopped
    }


def _queue(outlook: Outlook, wanted: Mapping[Pair, tuple[Candidate, Target]], now: datetime) -> int:
    """Queue what is wanted and was not tried, or only dropped; return how many builds that are."""
    replaced = _replaced(outlook, wanted)
    waiting = {
        pair: each
        for pair, each in wanted.items()
        if pair in replaced or _may_be_placed(outlook.latest.get(pair), outlook.package)
    }
    if not waiting:
        return 0
    places = places_of(outlook.package, outlook.attempts, now)
    size = recipes.size_for(outlook.package) if waiting.keys() - outlook.latest.keys() else ""
    new, moved, returned = [], {}, 0
    for pair, (candidate, target) in waiting.items():
        before = outlook.latest.get(pair)
        place = places.of(candidate, target, before, in_campaign=pair in outlook.in_campaigns)
        if before is None:
            new.append(new_build(candidate, target, size=size, **vars(place)))
        elif not before.is_open:
            moved[before.again(losses=before.losses, priority=place.priority, why=place.why)] = place
            returned += 1
        elif (before.priority, before.is_long) != (place.priority, place.is_long):
            moved[before] = place
    Build.objects.add(new)
    Build.objects.move_to(moved)
    return len(new) + returned


def _may_be_placed(before: Build | None, package: Package) -> bool:
    """Tell whether a last attempt leaves something to queue or to move: not if it has ended, or began."""
    if before is None or before.state == Build.State.QUEUED or is_dropped(before):
        return True
    # What came of another's version, before somebody else got the package's name, says nothing of this one.
    anew = package.registered_anew_at
    return not before.is_open and anew is not None and before.queued_at < anew


def _replaced(outlook: Outlook, wanted: Mapping[Pair, tuple[Candidate, Target]]) -> set[Pair]:
    """Return what was tried with a source that upstream has removed since, and has another of.

    What came of the first says nothing of the other; what an operator cancelled stays so.
    """
    tried = {
        pair: build.source_id
        for pair, (candidate, _) in wanted.items()
        if (build := outlook.latest.get(pair)) is not None
        and build.state in (Build.State.SUCCEEDED, Build.State.FAILED, Build.State.LOST)
        and build.source_id not in (None, candidate.source.pk)
    }
    if not tried:
        return set()
    gone = UpstreamFile.objects.filter(version__package=outlook.package, gone_at__isnull=False).sources()
    keys = set(gone.values_list("pk", flat=True))
    return {pair for pair, source in tried.items() if source in keys}


def is_dropped(build: Build) -> bool:
    """Tell whether a build was cancelled by a plan, not by an operator, so that a plan may want it again."""
    return build.state == Build.State.CANCELLED and build.may_return


def new_build(candidate: Candidate, target: Target, **fields: object) -> Build:
    """Return the first attempt at a version for a target, not saved."""
    released_at = candidate.version.released_at
    known = {"released_at": released_at} if released_at else {}
    return Build(version_id=candidate.version.pk, target_id=target.pk, **known, **fields)
