"""What was tried: a build, from the queue to its end.

A build only moves forward, by an UPDATE that names the state it leaves; whoever comes second sees that the
UPDATE touched no row.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Now

from builds import failures, statements, way
from builds.models.build_indexes import INDEXES
from builds.models.build_queryset import BuildQuerySet
from builds.models.campaign import Campaign
from builds.models.partial import partial_source
from builds.models.size import Size
from builds.models.state import ASSIGNED, ENDED, OPEN, RUNNING
from builds.models.state import State as BuildState
from builds.models.target import Target
from builds.models.terms import AS_USUAL, Terms
from builds.models.token import digest
from packages.models import UpstreamFile, Version

# Builders ask for their builds; so a build names its builder by a string, and has the class for types only.
if TYPE_CHECKING:
    from builds.models.builder import Builder


class Build(models.Model):
    """One attempt to build one version for one target."""

    State = BuildState
    ASSIGNED, RUNNING, OPEN, ENDED = ASSIGNED, RUNNING, OPEN, ENDED

    # How often a lost build is queued again.  One that took four builders down will take the fifth: a
    # person must look.
    MAX_LOSSES = 3
    # How the reason of a build begins that a person makes by importing its wheels.
    IMPORTED = "Imported by hand by "
    # How long the first, second and third attempt after a loss wait, and all that follow, in units of
    # PIWHEELS_RETRY_S.  What is wrong with the network or with a builder is seldom over in a minute, and
    # mostly in an hour.
    PAUSES = (1, 10, 60)
    # How often one is that upstream kept from its source or its tools: for a day longer, as an outage meets
    # all that are tried meanwhile, and none of them can help it.
    MAX_WAITS = MAX_LOSSES + 24

    # What a builder has beyond the time limit of the build itself, to fetch the source and bring the wheels.
    UPLOAD = timedelta(hours=2)
    # A builder whose clock jumped says that it was at it for years.
    LONGEST_S = 7 * 24 * 3600.0

    # To each of these one of the indexes below leads.  Of 30 million rows, an index of its own is 0.2 GB of
    # empty columns, or of what another index has as well.
    version = models.ForeignKey(Version, models.CASCADE, related_name="builds", db_index=False)
    target = models.ForeignKey(Target, models.PROTECT, related_name="builds", db_index=False)
    attempt = models.PositiveIntegerField(default=1)
    losses = models.PositiveSmallIntegerField(
        default=0, help_text="How many attempts before this one were lost in a row."
    )
    is_given_up = models.BooleanField(
        default=False,
        db_default=False,
        help_text="It ended so often by no fault of its package that a person must look.",
    )
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    reason = models.TextField(blank=True, help_text="Why it ended as it did, in a sentence.")
    failure = models.CharField(
        max_length=30, blank=True, help_text="The class of its failure, as builds.failures has it."
    )
    failure_about = models.CharField(
        max_length=200, blank=True, help_text="What the class is about here, as the header that is missing."
    )
    may_return = models.BooleanField(
        default=False, help_text="Cancelled by the plan, which may want it again; not by an operator."
    )
    priority = models.IntegerField(default=0, help_text="Higher is built first.")
    why = models.CharField(max_length=300, blank=True, help_text="Why it has that priority.")
    expected_s = models.FloatField(null=True, blank=True, help_text="How long it may take, by those before.")
    is_long = models.BooleanField(
        default=False,
        db_default=False,
        help_text="One that others should not all have to wait for; they go before it.",
    )
    campaign = models.ForeignKey(
        Campaign, models.SET_NULL, null=True, blank=True, related_name="builds", db_index=False
    )
    rebuild_reason = models.CharField(
        max_length=200,
        blank=True,
        default="",
        db_default="",
        help_text="Why an operator wants it built although there may be wheels; empty: nobody does.",
    )
    build_tag = models.PositiveIntegerField(
        null=True, blank=True, help_text="That its wheels have, as there were some of this version before it."
    )
    # A copy of the version's, so that one index holds the queue's order.
    released_at = models.DateTimeField(db_default=Now())
    source = models.ForeignKey(
        UpstreamFile, models.PROTECT, null=True, blank=True, related_name="builds", db_index=False
    )
    builder = models.ForeignKey(
        "Builder", models.PROTECT, null=True, blank=True, related_name="builds", db_index=False
    )
    ticket_hash = models.CharField(max_length=64, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True)
    queued_at = models.DateTimeField(db_default=Now())
    rang_at = models.DateTimeField(null=True, blank=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    duration_s = models.FloatField(null=True, blank=True, help_text="Seconds in `pip wheel`.")
    cpu_s = models.FloatField(null=True, blank=True, help_text="Seconds of processor time of the same.")
    peak_memory_bytes = models.BigIntegerField(null=True, blank=True)
    rung = models.CharField(max_length=30, blank=True, help_text="The rung of the ladder that was reached.")
    sandbox = models.CharField(max_length=4, blank=True, help_text="The level that it ran at.")
    size = models.CharField(
        max_length=6, choices=Size, default=Size.SMALL, help_text="The smallest builder that may have it."
    )
    not_before = models.DateTimeField(
        null=True, blank=True, help_text="Until when it waits after a fault that was not the package's."
    )
    avoid = models.ForeignKey(
        "Builder",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        help_text="Who lost or failed the attempt before; another gets this one, if there is another.",
    )
    must_end_at = models.DateTimeField(
        null=True, blank=True, help_text="When its ticket dies at the latest; set by the claim."
    )

    objects = BuildQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["version", "target"],
                condition=Q(state__in=["queued", "dispatched", "building", "uploading"]),
                name="builds_build_one_open",
            ),
            models.UniqueConstraint(
                fields=["version", "target", "attempt"], name="builds_build_attempt_unique"
            ),
            models.UniqueConstraint(
                fields=["builder"],
                condition=Q(state__in=["dispatched", "building", "uploading"]),
                name="builds_build_one_per_builder",
            ),
            # A build without a lease in one of these states would never be missed.
            models.CheckConstraint(
                condition=~Q(state__in=["dispatched", "building", "uploading"])
                | Q(lease_until__isnull=False, builder__isnull=False),
                name="builds_build_leased",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["succeeded", "failed", "cancelled", "lost"])
                | Q(finished_at__isnull=False),
                name="builds_build_finished",
            ),
        ]
        indexes = INDEXES

    def __str__(self) -> str:
        return f"build {self.pk}: {self.version} for {self.target}"

    def get_absolute_url(self) -> str:
        """Return the path of the build's page."""
        return f"/builds/{self.pk}/"

    @property
    def is_open(self) -> bool:
        """Whether the build has not ended."""
        return self.state in self.OPEN

    def assign(self, builder: "Builder", now: datetime) -> bool:
        """Give this build to a builder, who must claim it in time; False if it is no longer waiting.

        Raises IntegrityError when the builder has another build.
        """
        return bool(Build.objects.assign([(self, builder)], now))

    def claim(self, builder: "Builder", source: UpstreamFile, now: datetime, terms: Terms = AS_USUAL) -> str:
        """Start this build on its builder and return the ticket; "" if it is not this builder's to start."""
        return self._begin([self.State.DISPATCHED], source, now, terms, only_of=builder.pk)

    def take(
        self, builder: "Builder", source: UpstreamFile | None, now: datetime, terms: Terms = AS_USUAL
    ) -> str:
        """Start this waiting build on a builder and return the ticket; "" if it no longer waits.

        As if it were assigned and claimed at the same moment.  Only what is built by hand may have no source.
        Raises IntegrityError when the builder has another build.
        """
        given = {"builder_id": builder.pk, "rang_at": now}
        return self._begin([self.State.QUEUED], source, now, terms, given=given)

    def _begin(
        self,
        leaving: list[BuildState],
        source: UpstreamFile | None,
        now: datetime,
        terms: Terms,
        *,
        only_of: int | None = None,
        given: Mapping[str, object] = MappingProxyType({}),
    ) -> str:
        """Start this build if it is in one of those states; return its ticket, or ""."""
        limit = timedelta(seconds=terms.time_limit_s or settings.PIWHEELS_TIME_LIMIT_S)
        ticket = secrets.token_urlsafe(32)
        begun: dict[str, object] = {
            "state": self.State.BUILDING,
            "ticket_hash": digest(ticket),
            "lease_until": self._lease(now),
            "claimed_at": now,
            "must_end_at": now + limit + self.UPLOAD,
            "source_id": source and source.pk,
            "build_tag": terms.build_tag,
            **given,
        }
        return ticket if statements.move(self.pk, leaving, begun, only_of) else ""

    def renew(self, ticket: str, now: datetime) -> bool:
        """Prolong the lease; False when the ticket is dead.

        It dies when its lease is over and somebody takes the build back, with its builder, and some time
        after the build's time limit, so that no builder can keep a build for ever.
        """
        return statements.renew(self.pk, self._lease(now), digest(ticket), now)

    def prolong(self, now: datetime) -> None:
        """Prolong the lease while we ourselves keep the builder waiting."""
        statements.prolong(self.pk, self._lease(now))

    def is_unheard(self) -> bool:
        """Tell whether its builder said nothing of it since it was begun: each word prolongs the lease."""
        began_at = self.claimed_at if self.state == self.State.BUILDING else None
        return began_at is not None and self.lease_until == self._lease(began_at)

    def _lease(self, now: datetime) -> datetime:
        return now + timedelta(seconds=settings.PIWHEELS_LEASE_S)

    def join(self, campaign: Campaign | None) -> None:
        """Count this build as one of a campaign's, or of none any more."""
        self.campaign = campaign
        self.save(update_fields=["campaign"])

    def want_anew(self, reason: str) -> None:
        """Have this waiting build made although there may be wheels."""
        self.rebuild_reason = reason
        self.save(update_fields=["rebuild_reason"])

    def begin_upload(self) -> None:
        """Note that the first bytes of a wheel have come."""
        if self.state == self.State.BUILDING:
            self._move((self.State.BUILDING,), self.State.UPLOADING)

    def close(
        self,
        state: BuildState,
        reason: str,
        now: datetime,
        duration_s: float | None = None,
        **outcome: object,
    ) -> bool:
        """End a running build; False if it has already ended otherwise.

        A duration that cannot be is none.  `outcome` is what else is known of the build by then: its failure,
        and what was measured.
        """
        return self._move(
            self.RUNNING,
            state,
            reason=reason,
            finished_at=now,
            duration_s=duration_s if 0 <= (duration_s or 0) < self.LONGEST_S else None,
            ticket_hash="",
            **outcome,
        )

    def cancel(self, reason: str, now: datetime) -> bool:
        """End this build because an operator says so; a builder that has it learns so and stops."""
        return self._end(reason, now, may_return=False)

    def drop(self, reason: str, now: datetime) -> bool:
        """End this build because the plan has no use for it; a later plan may queue it again."""
        return self._end(reason, now, may_return=True)

    def _end(self, reason: str, now: datetime, *, may_return: bool) -> bool:
        is_ended = self._move(
            self.OPEN,
            self.State.CANCELLED,
            reason=reason,
            finished_at=now,
            ticket_hash="",
            may_return=may_return,
        )
        if is_ended:
            self._say(f"{'Dropped' if may_return else 'Cancelled'}. {reason}")
        return is_ended

    def _say(self, step: str) -> None:
        """Log what became of this build, once it is so."""
        transaction.on_commit(lambda: way.say(step, self))

    def lose(self, now: datetime) -> bool:
        """Give up on this build's builder; False if it has just been heard of."""
        reason = f"Builder {self.builder} fell silent, or began anew without it."
        lost = (
            Build.objects.lost(now)
            .filter(pk=self.pk)
            .update(
                state=self.State.LOST,
                reason=reason,
                failure=failures.LOST,
                finished_at=now,
                ticket_hash="",
            )
        )
        return lost == 1

    def abandon(self, reason: str, now: datetime) -> bool:
        """Give up on this build's builder at once, whatever the lease says; False if it has none."""
        return self._move(self.ASSIGNED, self.State.LOST, reason=reason, finished_at=now, ticket_hash="")

    def give_up(self) -> None:
        """Note that nothing follows this attempt by itself, and a person must look."""
        self.is_given_up = True
        self.save(update_fields=["is_given_up"])

    def again(
        self,
        *,
        losses: int,
        priority: int,
        why: str,
        size: str = "",
        not_before: datetime | None = None,
        avoid: int | None = None,
        campaign: int | None = None,
        rebuild_reason: str = "",
    ) -> "Build":
        """Queue another attempt at the same version for the same target.

        What is not given is as it was; `avoid` is the builder not to ask again.  Of `why` as much is kept as
        the row can have.
        """
        last = Build.objects.filter(version=self.version_id, target=self.target_id).order_by("-attempt")[0]
        why = why[: Build._meta.get_field("why").max_length]
        build = Build.objects.create(
            version_id=self.version_id,
            target_id=self.target_id,
            attempt=last.attempt + 1,
            losses=losses,
            priority=priority,
            why=why,
            size=size or self.size,
            not_before=not_before,
            avoid_id=avoid,
            released_at=self.released_at,
            expected_s=self.expected_s,
            is_long=self.is_long,
            campaign_id=campaign or self.campaign_id,
            rebuild_reason=rebuild_reason or last.reason_to_inherit(),
        )
        build._say(f"Queued after build {last.pk}. {why}")
        return build

    def reason_to_inherit(self) -> str:
        """Return why also the next attempt is to be made although there may be wheels; "" if it need not.

        Once it was made it need not, and what a person wanted to import nobody else is to build.
        """
        is_settled = self.state == self.State.SUCCEEDED or self.rebuild_reason.startswith(self.IMPORTED)
        return "" if is_settled else self.rebuild_reason

    def sources(self) -> list[UpstreamFile]:
        """Return the files upstream that this build could be of."""
        return [partial_source(iter(row)) for row in statements.sources(self.version_id)]

    def has_open_successor(self) -> bool:
        """Tell whether another attempt at the same waits or goes on."""
        return Build.objects.open().filter(version=self.version_id, target=self.target_id).exists()

    def has_open_siblings(self) -> bool:
        """Tell whether a build of the same version has not ended."""
        return statements.has_open_builds(self.version_id, self.OPEN)

    def _move(self, leaving: tuple[BuildState, ...], state: BuildState, **fields: object) -> bool:
        """Move on from one of those states; False if the build is in none of them."""
        if not statements.move(self.pk, leaving, {"state": state, **fields}):
            return False
        self.state = state
        for field, value in fields.items():
            setattr(self, field, value)
        return True
