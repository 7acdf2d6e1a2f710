"""An order: all that a builder needs to make one attempt, and the ticket that lets it report.

An order is given to whoever claims a build that was assigned to it, or at once to a builder that reports, so
that it does not idle until the next tick.
"""

from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction

from builder.contract import CONTRACT, BuildOrder
from builds import queue, way
from builds.files import incoming, logs
from builds.models import Build, Builder, Terms
from builds.planning import recipes, wishes
from builds.planning.recipes import Ingredients
from builds.wheels import build_tags
from packages.models import UpstreamFile

# How often a build is heard of.  Its builder learns so that it was called off, which must not take longer
# than 5 s from an operator's click to the end of the last process.
HEARTBEAT_S = 2.0

# How many of the first builds a builder looks at, for one that no other is given at the same moment; then how
# many when others have all of these, as two processes of the web server have sixteen threads that may ask.
AHEAD = (6, 24)


class NotGiven(Exception):
    """The build is not this builder's to start; the text says why."""


def claim(build: Build, builder: Builder, now: datetime) -> BuildOrder:
    """Start a build that was assigned to a builder, and return its order; raises NotGiven."""
    source, made_by = _materials(build, now)
    terms = Terms(made_by.time_limit_s, build_tags.next_tag(build))
    ticket = build.claim(builder, source, now, terms)
    if not ticket:
        raise NotGiven(f"This build is {build.state}: it is not this builder's to start. Forget it.")
    logs.begin(build.pk)
    way.say("Claimed.", build, builder)
    return _order(build, ticket, source, made_by, terms)


def next_for(builder: Builder, now: datetime) -> BuildOrder | None:
    """Start the next build on a builder that has none, and return its order; None if it has to wait.

    The dispatcher does the same for all builders once in a while, so whoever gets nothing here loses little.
    """
    # What waits for a target that was switched off goes only as each package is planned again.
    if not builder.target.is_active or not builder.is_at_work(now) or not incoming.has_room():
        return None
    for ahead in AHEAD:
        # As if there were more of this builder: others that report at this moment take from the same ones.
        first = queue.next_for(builder.target, [builder] * ahead, now)
        if not first:
            break
        try:
            taken = _take([build.pk for build, _ in first], builder, now)
        except IntegrityError:
            # The dispatcher has just given it another.
            return None
        if taken:
            build, order = taken
            logs.begin(build.pk)
            way.say("Given to a builder that had just ended another, and claimed.", build, builder)
            return order
    return None


@transaction.atomic
def _take(waiting: list[int], builder: Builder, now: datetime) -> tuple[Build, BuildOrder] | None:
    """Start the first of these builds that still waits and that nobody else is at; None if there is none."""
    build = Build.objects.free(waiting, builder)
    if build is None:
        return None
    try:
        source, made_by = _materials(build, now)
    except NotGiven:
        return None
    terms = Terms(made_by.time_limit_s, build_tags.next_tag(build))
    ticket = build.take(builder, source, now, terms)
    return (build, _order(build, ticket, source, made_by, terms)) if ticket else None


def _materials(build: Build, now: datetime) -> tuple[UpstreamFile, Ingredients]:
    """Return what a build is made of, and how; drop one whose source is gone."""
    source = wishes.source_of(build)
    if source is None:
        build.drop("Upstream has no source for it any more.", now)
        raise NotGiven("Upstream has no source for this version any more.")
    return source, recipes.ingredients(build)


def _order(build: Build, ticket: str, source: UpstreamFile, made_by: Ingredients, terms: Terms) -> BuildOrder:
    """Return the order for a build that has begun."""
    target = build.target
    return BuildOrder(
        contract=CONTRACT,
        build=build.pk,
        attempt=build.attempt,
        ticket=ticket,
        package=build.version.package.name,
        version=build.version.number,
        target=target.key,
        platform=target.platform,
        platforms=tuple(target.platform_tags),
        architecture=target.architecture,
        abi=target.abi,
        filename=source.filename,
        url=source.url,
        sha256=source.sha256,
        uploaded_at=int(source.uploaded_at.timestamp()) if source.uploaded_at else None,
        index=settings.PIWHEELS_PYPI,
        extra_index=settings.PIWHEELS_BUILDERS_INDEX,
        crates=settings.PIWHEELS_CRATES,
        build_tag="" if terms.build_tag is None else str(terms.build_tag),
        time_limit_s=made_by.time_limit_s,
        memory_bytes=made_by.memory_bytes,
        apt=made_by.apt,
        environment=made_by.environment,
        rung=made_by.rung,
        rebuild_under_s=settings.PIWHEELS_REBUILD_UNDER_S,
        heartbeat_s=min(HEARTBEAT_S, settings.PIWHEELS_LEASE_S / 4),
        lease_s=settings.PIWHEELS_LEASE_S,
    )
