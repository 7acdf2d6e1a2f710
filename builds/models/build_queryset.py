"""Questions about builds, asked of all of them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self, cast

from django.conf import settings
from django.db import models, transaction
from django.db.models import Exists, F, OuterRef, Q

from builds import failures, statements
from builds.models import state
from builds.models.partial import moment, partial_row, partial_source, partial_target
from builds.models.size import Size
from builds.models.state import State
from builds.models.target import Target
from builds.models.wanted import Skip
from builds.planning.priority import Place
from packages.models import Package, Version
from packages.plain_sql import fill

# A build asks these questions; so they have its class for types only.
if TYPE_CHECKING:
    from builds.models.build import Build
    from builds.models.builder import Builder


class BuildQuerySet(models.QuerySet["Build"]):
    """Questions about builds."""

    def open(self) -> Self:
        """Builds that have not ended."""
        return self.filter(state__in=state.OPEN)

    def ended(self) -> Self:
        """Builds that a builder brought to an end, or lost, the last one first."""
        # All of them have the time, but only when it is named does the index of those that have lead to them.
        ended = self.filter(state__in=state.ENDED, finished_at__isnull=False)
        return ended.order_by("-finished_at", "-pk")

    def assigned(self) -> Self:
        """Builds that a builder has, or has been told of."""
        return self.filter(state__in=state.ASSIGNED)

    def waiting(self) -> Self:
        """Builds that no builder has, the next one first."""
        return self.filter(state=State.QUEUED).order_by("-priority", "-released_at", "pk")

    def ready(self) -> Self:
        """Waiting builds that need not wait for a time."""
        return self.waiting().filter(not_before=None)

    def first_in_lanes(
        self, target: "Target", counts: Mapping[str, int], avoid: int | None = None
    ) -> list[statements.Waiting]:
        """Return so many of the first builds of the two lanes of each of these sizes, in the queue's order.

        Of each there is what a dispatcher has to know; those that are to avoid a builder are left out.
        """
        return statements.lanes(target.pk, counts, avoid)

    def awaited_elsewhere(self, versions: Sequence[int], target: "Target") -> list[tuple[int, str]]:
        """Return which of these versions targets of the same architecture wait for, and their C libraries."""
        return statements.wait_elsewhere(versions, target.pk, target.architecture)

    def chosen(self, waiting: statements.Waiting) -> "Build":
        """Return the build that a dispatcher has chosen."""
        return partial_row(self.model, statements.Waiting._fields, iter(waiting))

    def count_before(self, build: "Build", most: int) -> int:
        """Return how many builds that are ready go before one of their target; so many at the most."""
        return self.counts_before([build], most)[0]

    def counts_before(self, builds: "Sequence[Build]", most: int) -> list[int]:
        """Return the same of several builds, each of its own target, by one query."""
        places = [(build.target_id, build.priority, build.released_at, build.pk) for build in builds]
        return statements.counts_before(places, Size.values, most)

    def assign(
        self, pairs: "Sequence[tuple[Build, Builder]]", now: datetime
    ) -> "list[tuple[Build, Builder]]":
        """Give builds to builders, who must claim them in time; return which were still waiting.

        Raises IntegrityError when one of the builders has another build.
        """
        lease = now + timedelta(seconds=settings.PIWHEELS_CLAIM_S)
        given = statements.assign([(build.pk, builder.pk) for build, builder in pairs], lease, now)
        return [(build, builder) for build, builder in pairs if build.pk in given]

    def unassign(self) -> int:
        """Put back into the queue what builders were told of and have not begun; return how many."""
        told = self.filter(state=State.DISPATCHED)
        return told.update(state=State.QUEUED, builder=None, lease_until=None, rang_at=None)

    def note_rings(self, now: datetime) -> int:
        """Note that builders were told again of what they have not begun; return how many builds."""
        return self.filter(state=State.DISPATCHED).update(rang_at=now)

    def wake(self, now: datetime, limit: int) -> int:
        """Make builds ready whose time has come; return how many.

        Those that wait for a time are in no lane, so that however many there are, nobody has to pass them.
        """
        waiting = self.filter(state=State.QUEUED).order_by("not_before").values_list("pk", flat=True)
        longest = max(self.model.PAUSES) * timedelta(seconds=settings.PIWHEELS_RETRY_S)
        # None waits for longer than that: the database's clock was put back since.
        found = list(waiting.filter(not_before__lte=now)[:limit]) or list(
            waiting.filter(not_before__gt=now + 2 * longest)[:limit]
        )
        if not found:
            return 0
        with transaction.atomic():
            return self._of_nobody(found).update(not_before=None)

    def shift(self, target: "Target", leave: range, enter: range, limit: int) -> int:
        """Move some builds that are ready from one class to another; return how many.

        Inside their class they keep their order.
        """
        there = Q(priority__range=(leave[0], leave[-1]))
        # Named one by one, so that the index of the lanes leads to them.
        some = self.ready().filter(there, target=target, size__in=Size.values, is_long__in=[False, True])
        found = list(some.order_by().values_list("pk", flat=True)[:limit])
        if not found:
            return 0
        with transaction.atomic():
            # A plan may have placed some of them anew since, in the other class.
            still = self._of_nobody(found).filter(there)
            return still.update(priority=F("priority") + enter.start - leave.start)

    def _of_nobody(self, keys: Sequence[int]) -> Self:
        """Return those of some builds that wait and that no other transaction is at, and lock them.

        Who waited for those that a plan is at would wait for all of it, and perhaps in a circle.  What is
        left out is found the next time.
        """
        waiting = self.filter(pk__in=keys, state=State.QUEUED)
        free = waiting.select_for_update(skip_locked=True, no_key=True).values_list("pk", flat=True)
        return self.filter(pk__in=list(free))

    def add(self, builds: "Iterable[Build]") -> None:
        """Insert new builds, of which a package may have thousands; they do not learn their keys."""
        groups: dict[bool, list[Build]] = defaultdict(list)
        for build in builds:
            groups[isinstance(build.released_at, datetime)].append(build)
        for is_dated, some in groups.items():
            # What upstream gives no time has that of the database.
            by_database = {"id", "queued_at"} if is_dated else {"id", "queued_at", "released_at"}
            names = [field.attname for field in self.model._meta.concrete_fields]
            names = [name for name in names if name not in by_database]
            fill(self.model, names, ([getattr(build, name) for name in names] for build in some))

    def move_to(self, places: "Mapping[Build, Place]") -> None:
        """Give builds other places in the queue; what left it meanwhile loses nothing by it."""
        for build, place in places.items():
            for field, value in vars(place).items():
                setattr(build, field, value)
        statements.place([(build.pk, *astuple(place)) for build, place in places.items()])

    def of_request(self, pk: int) -> "Build | None":
        """Return a build with its version, package and target, for a request that has its ticket."""
        return self._with_relations(statements.build(pk))

    def given(self, pk: int, attempt: int, builder: "Builder") -> "Build | None":
        """Return the same if this attempt was given to that builder."""
        return self._with_relations(statements.given(pk, attempt, builder.pk))

    def free(self, waiting: Sequence[int], builder: "Builder") -> "Build | None":
        """Return the first of these builds that still waits and that no other transaction is at, and lock it.

        None if the builder is at work no more; nobody turns it before the transaction has ended.
        With its version, package and target, for the rest of the transaction.
        """
        found = statements.free(waiting, builder.pk) if waiting else None
        return self.of_request(found) if found else None

    def lost(self, now: datetime) -> Self:
        """Assigned builds whose lease ran out, or is of a time from which the database's clock was put back.

        They are found among those that builders have, one each.  An index of leases would have each heartbeat
        write an entry into all indexes of the table, as PostgreSQL updates in place only what is in none.
        """
        longest = timedelta(seconds=max(settings.PIWHEELS_LEASE_S, settings.PIWHEELS_CLAIM_S))
        return self.assigned().filter(Q(lease_until__lt=now) | Q(lease_until__gt=now + 2 * longest))

    def spare(self, now: datetime) -> int:
        """Let builds be their builders' for as long as a claim may take; return how many are spared."""
        least = now + timedelta(seconds=settings.PIWHEELS_CLAIM_S)
        # To each of them its lease is one of a time that the clock was put back from, or ends before that.
        return self.lost(least).update(lease_until=least)

    def last_attempts(self) -> Self:
        """Builds that no later attempt at the same version for the same target has followed."""
        later = self.model.objects.filter(
            version=OuterRef("version"), target=OuterRef("target"), attempt__gt=OuterRef("attempt")
        )
        return self.filter(~Exists(later))

    def mendable(self) -> Self:
        """Builds of what is to be built: a target in use, a version that nobody skips or has taken back."""
        skips = Skip.objects.filter(package=OuterRef("version__package"), target=OuterRef("target"))
        return self.filter(
            ~Exists(skips),
            target__is_active=True,
            version__skip_reason="",
            version__package__skip_reason="",
            version__yanked=False,
            version__gone_at=None,
        )

    def given_up(self) -> Self:
        """Last attempts of what ended so often by no fault of its package that a person must look."""
        excused = [key for key in failures.classes() if failures.is_infrastructure(key)]
        ended = self.filter(is_given_up=True).last_attempts().mendable()
        return ended.filter(Q(state=State.LOST) | Q(state=State.FAILED, failure__in=excused)).order_by("-pk")

    def note_given_up(self) -> int:
        """Say of what was given up by code of before `is_given_up` that it is; return of how many builds."""
        lost = self.filter(state__in=[State.FAILED, State.LOST], losses__gte=self.model.MAX_LOSSES)
        return lost.last_attempts().filter(is_given_up=False).update(is_given_up=True)

    def unheard_rings(self, now: datetime, after: timedelta) -> Self:
        """Builds whose builder was told of them so long ago and has not claimed them.

        What rang in a time to come did so before the database's clock was put back.
        """
        unheard = Q(rang_at__lt=now - after) | Q(rang_at__gt=now + after)
        return self.filter(unheard, state=State.DISPATCHED)

    def _with_relations(self, row: "tuple[Any, ...] | None") -> "Build | None":
        """Return what `statements` read of a build, its version, package, target, source and builder."""
        if row is None:
            return None
        values = iter(row)
        build = partial_row(self.model, statements.BUILD, values)
        build.version = partial_row(Version, statements.VERSION, values)
        build.version.package = partial_row(Package, statements.PACKAGE, values)
        build.target = partial_target(values)
        build.claimed_at = moment(build.claimed_at)
        source = partial_source(values)
        model = self.model.builder.field.related_model
        builder = cast("Builder", partial_row(model, statements.ITS_BUILDER, values))
        # Of a build that has none yet, their columns are empty.
        build.source = source if build.source_id else None
        build.builder = builder if build.builder_id else None
        return build
