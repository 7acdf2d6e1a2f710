"""What we build for, who builds, what was tried and what came out, as rows.

A build only moves forward, by an UPDATE that names the state it leaves; whoever comes second sees that the
UPDATE touched no row.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from itertools import islice
from typing import Any, Self, TypeVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, models
from django.db.models import F, Q
from django.db.models.functions import Now
from packaging import tags
from packaging.utils import parse_wheel_filename

from builder.contract import BuilderFacts
from builds import statements
from builds.coverage import Need, Offer
from packages.models import Package, UpstreamFile, Version

_Row = TypeVar("_Row", bound=models.Model)


def digest(secret: str) -> str:
    """Return what we keep of a token or ticket: its sha256, as 256 random bits need no salt."""
    return hashlib.sha256(secret.encode()).hexdigest()


@cache
def _supported_tags(python: str, abi: str, platforms: tuple[str, ...]) -> frozenset[tags.Tag]:
    """Return the wheel tags for such a target; kept, as they are hundreds and asked for with each wheel."""
    major, minor = (int(part) for part in python.split("."))
    return frozenset(tags.cpython_tags((major, minor), [abi], platforms)) | frozenset(
        tags.compatible_tags((major, minor), f"cp{major}{minor}", platforms)
    )


class TargetQuerySet(models.QuerySet["Target"]):
    """Questions about targets."""

    def active(self) -> Self:
        """Targets that we build for."""
        return self.filter(is_active=True)


class Target(models.Model):
    """What we build for: an OS release, an architecture and a Python."""

    key = models.CharField(max_length=60, unique=True, help_text="As trixie-armhf-cp313.")
    os_release = models.CharField(max_length=30, help_text="The release's code name, as trixie.")
    os_name = models.CharField(max_length=60, help_text="What people call it, as Raspberry Pi OS 13.")
    architecture = models.CharField(max_length=20, help_text="As Debian calls it: armhf, arm64, amd64.")
    python = models.CharField(max_length=10, help_text="As 3.13.")
    abi = models.CharField(max_length=20, help_text="As cp313.")
    platform_tags = models.JSONField(
        help_text="The platforms that a wheel built here may name, the builder's own last."
    )
    glibc = models.CharField(max_length=20, blank=True, help_text="The C library's version, as 2.41.")
    glibcxx = models.CharField(
        max_length=20, blank=True, help_text="The newest GLIBCXX version of its libstdc++, as 3.4.33."
    )
    is_active = models.BooleanField(
        default=False, help_text="Off: nothing is built, what was built stays in the index."
    )
    order = models.PositiveSmallIntegerField(default=100, help_text="Lower is built and shown first.")
    preinstalled = models.JSONField(
        default=list, blank=True, help_text="apt packages that the OS image has; not shown as needed."
    )

    objects = TargetQuerySet.as_manager()

    class Meta:
        ordering = ["order", "key"]

    def __str__(self) -> str:
        return self.key

    @property
    def title(self) -> str:
        """The target as a person says it."""
        return f"{self.os_name}, {self.architecture}, Python {self.python}"

    @property
    def platform(self) -> str:
        """The platform as `sysconfig.get_platform()` says it on a builder of this target."""
        return str(self.platform_tags[-1]).replace("_", "-", 1)

    def activate(self) -> None:
        """Build for this target from now on, beginning with what it lacks."""
        self.is_active = True
        self.save(update_fields=["is_active"])
        Package.objects.update(plan_needed=True)

    def deactivate(self) -> None:
        """Build for this target no more; what waits for it is dropped."""
        self.is_active = False
        self.save(update_fields=["is_active"])
        Package.objects.update(plan_needed=True)

    def note_libraries(self, *, glibc: str, glibcxx: str) -> None:
        """Note which C and C++ libraries the target has."""
        if (self.glibc, self.glibcxx) != (glibc, glibcxx):
            self.glibc, self.glibcxx = glibc, glibcxx
            self.save(update_fields=["glibc", "glibcxx"])

    def clean(self) -> None:
        """Refuse what no wheel's tags could be made of."""
        if not re.fullmatch(r"3\.\d{1,2}", self.python):
            raise ValidationError({"python": "Give two numbers, such as 3.13."})
        if not re.fullmatch(r"[a-z0-9]+", self.abi):
            raise ValidationError({"abi": "Give an ABI tag, such as cp313."})
        for field in ("glibc", "glibcxx"):
            if not re.fullmatch(r"(\d{1,4}(\.\d{1,4}){0,3})?", getattr(self, field)):
                raise ValidationError({field: "Give numbers, such as 2.41."})
        tags_given = self.platform_tags if isinstance(self.platform_tags, list) else []
        if not tags_given or not all(
            isinstance(tag, str) and re.fullmatch(r"linux_\w+", tag) for tag in tags_given
        ):
            raise ValidationError({"platform_tags": 'Give a list such as ["linux_armv6l", "linux_armv7l"].'})

    def supported_tags(self) -> frozenset[tags.Tag]:
        """Return the wheel tags that this target's pip takes from us."""
        return _supported_tags(self.python, self.abi, tuple(self.platform_tags))

    def need(self) -> Need:
        """Return what a wheel must be to serve this target."""
        return Need(
            supported=self.supported_tags(),
            python=self.python,
            os_release=self.os_release,
            glibc=self.glibc,
            glibcxx=self.glibcxx,
        )


class BuilderQuerySet(models.QuerySet["Builder"]):
    """Questions about builders."""

    def at_work(self, now: datetime) -> Self:
        """Builders that build or could: wanted, well and heard of lately."""
        return self.filter(
            is_enabled=True, mode=Builder.Mode.ACTIVE, problem="", heard_at__gte=now - Builder.SILENCE
        )

    def ready(self, now: datetime) -> Self:
        """Builders that may be given a build: at work and without one."""
        return self.at_work(now).exclude(pk__in=Build.objects.assigned().values("builder"))

    def under_suspicion(self, since: datetime) -> Self:
        """Builders at work of which a build failed or got lost since then."""
        unlucky = Build.objects.filter(
            state__in=[Build.State.FAILED, Build.State.LOST], finished_at__gte=since
        )
        return self.filter(is_enabled=True, mode=Builder.Mode.ACTIVE, pk__in=unlucky.values("builder"))

    def by_token(self, token: str) -> "Builder | None":
        """Return the builder that has this token."""
        row = statements.by_token(digest(token))
        if row is None:
            return None
        values = iter(row)
        builder = _partly(Builder, statements.BUILDER, values)
        builder.target = _target(values)
        return builder


class Size(models.TextChoices):
    """How much memory a builder has, or a build needs; `Builder.size_of` says from what on."""

    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"

    def and_smaller(self) -> list[str]:
        """Return the sizes of what a builder of this size may build."""
        sizes = list(Size)
        return [size.value for size in sizes[: sizes.index(self) + 1]]


class Builder(models.Model):
    """A Pi that builds for one target."""

    class Mode(models.TextChoices):
        """What an operator, or the farm itself, wants of a builder."""

        ACTIVE = "active"
        PAUSED = "paused"
        DRAINING = "draining"
        STOPPED = "stopped"
        QUARANTINED = "quarantined"

    # As in Koji: a host that has not been heard of for 180 s gets no new work.
    SILENCE = timedelta(seconds=180)

    # What the kernel leaves of the memory of boards with 2 and with 8 GiB is above these.
    MEDIUM_BYTES = 1536 << 20
    LARGE_BYTES = 6 << 30

    # The name becomes a queue's and a Redis user's.
    name = models.CharField(max_length=40, unique=True)
    target = models.ForeignKey(Target, models.PROTECT, related_name="builders")
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    is_enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now())
    mode = models.CharField(max_length=11, choices=Mode, default=Mode.ACTIVE)
    mode_reason = models.CharField(max_length=500, blank=True, help_text="Why, and who says so.")
    mode_at = models.DateTimeField(null=True, blank=True, help_text="Since when.")
    size = models.CharField(
        max_length=6,
        choices=Size,
        default=Size.SMALL,
        help_text="By its memory; bigger builds wait for others.",
    )
    sandbox = models.CharField(max_length=4, blank=True, help_text="The level that its builds run at.")
    problem = models.TextField(blank=True, help_text="Why it is given nothing at the moment.")
    heard_at = models.DateTimeField(null=True, blank=True)
    facts = models.JSONField(default=dict, blank=True, help_text="What it says of itself.")

    objects = BuilderQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(name__regex=r"^[a-z0-9][a-z0-9-]{0,39}\Z"), name="builds_builder_name_plain"
            )
        ]

    def __str__(self) -> str:
        return self.name

    def rekey(self) -> str:
        """Give the builder a new token and return it; it is kept nowhere, and the old one is dead."""
        token = secrets.token_urlsafe(32)
        self.token_hash = digest(token)
        if self.pk:
            self.save(update_fields=["token_hash"])
        return token

    @property
    def standing(self) -> str:
        """The mode as an operator sees it: also whether a builder is gone, or done with what it had."""
        if not self.is_enabled:
            return "retired"
        if self.mode == self.Mode.DRAINING and self.current_build() is None:
            return "drained"
        return str(self.mode)

    @staticmethod
    def size_of(memory_bytes: int) -> Size:
        """Return the size of a builder with that much memory."""
        if memory_bytes < Builder.MEDIUM_BYTES:
            return Size.SMALL
        return Size.MEDIUM if memory_bytes < Builder.LARGE_BYTES else Size.LARGE

    def current_build(self) -> "Build | None":
        """Return the build that this builder has, or has been told of."""
        return self.builds.filter(state__in=Build.ASSIGNED).first()

    def hear(self, now: datetime) -> None:
        """Note that the builder spoke."""
        self.heard_at = now
        statements.hear(self.pk, now)

    def learn(self, facts: BuilderFacts, problem: str, now: datetime) -> None:
        """Note what the builder says of itself, and why it is given nothing, if so.

        Its size follows its memory.  One that an operator chose stays until the memory becomes another.
        """
        size = self.size_of(facts.memory_bytes)
        fields: dict[str, object] = {"facts": vars(facts), "sandbox": facts.sandbox[:4]}
        if size != self.size_of(self.facts.get("memory_bytes", 0)) or not self.facts:
            fields["size"] = size
        self._note(now, problem, **fields)

    def refuse(self, problem: str, now: datetime) -> None:
        """Note that the builder spoke and was not understood, so that an operator sees why."""
        self._note(now, problem)

    def _note(self, now: datetime, problem: str, **fields: object) -> None:
        Builder.objects.filter(pk=self.pk).update(heard_at=now, problem=problem, **fields)
        for field, value in {"heard_at": now, "problem": problem, **fields}.items():
            setattr(self, field, value)
        if problem:
            self.give_back()

    def pause(self, reason: str, now: datetime) -> None:
        """Give the builder nothing until it is resumed; a build that it has begun goes on."""
        self._turn(self.Mode.PAUSED, reason, now)

    def drain(self, reason: str, now: datetime) -> None:
        """Let the builder finish what it has and then give it nothing, so that its plug can be pulled."""
        self._turn(self.Mode.DRAINING, reason, now)

    def stop(self, reason: str, now: datetime) -> None:
        """Have the builder's process end when it is idle; it does not start again by itself."""
        self._turn(self.Mode.STOPPED, reason, now)

    def quarantine(self, reason: str, now: datetime) -> None:
        """Take the builder out because it spoils builds; somebody must look, and resume it."""
        self._turn(self.Mode.QUARANTINED, reason, now)

    def resume(self, reason: str, now: datetime) -> None:
        """Give the builder builds again, whyever it had none."""
        self._turn(self.Mode.ACTIVE, reason, now)

    def retire(self, reason: str, now: datetime) -> None:
        """Have nothing more to do with the builder: its token and its ticket open nothing from now on."""
        self.is_enabled = False
        self.save(update_fields=["is_enabled"])
        self._turn(self.Mode.STOPPED, reason, now)

    def enrol(self, target: Target, now: datetime) -> str:
        """Take the builder in for a target, or again after it was retired; return its new token."""
        if self.pk and not self.is_enabled:
            self.is_enabled = True
            self.resume("Enrolled again.", now)
        self.target = target
        return self.rekey()

    def _turn(self, mode: "Builder.Mode", reason: str, now: datetime) -> None:
        self.mode, self.mode_reason, self.mode_at = mode, reason[:500], now
        self.save(update_fields=["mode", "mode_reason", "mode_at"])
        if mode != self.Mode.ACTIVE:
            self.give_back()

    def give_back(self) -> None:
        """Put the build that the builder was told of, and has not begun, back into the queue."""
        for build in self.builds.filter(state=Build.State.DISPATCHED):
            build.unassign()


class BuildQuerySet(models.QuerySet["Build"]):
    """Questions about builds."""

    def open(self) -> Self:
        """Builds that have not ended."""
        return self.filter(state__in=Build.OPEN)

    def ended(self) -> Self:
        """Builds that a builder brought to an end, or lost, the last one first."""
        return self.filter(state__in=Build.ENDED).order_by("-finished_at", "-pk")

    def assigned(self) -> Self:
        """Builds that a builder has, or has been told of."""
        return self.filter(state__in=Build.ASSIGNED)

    def waiting(self) -> Self:
        """Builds that no builder has, the next one first."""
        return self.filter(state=Build.State.QUEUED).order_by("-priority", "-released_at", "pk")

    def due(self, now: datetime) -> Self:
        """Builds that need not wait for a time."""
        return self.filter(Q(not_before=None) | Q(not_before__lte=now))

    def of_request(self, pk: int) -> "Build | None":
        """Return a build with its version, package and target, for a request that has its ticket."""
        return _with_relations(statements.build(pk))

    def given(self, pk: int, attempt: int, builder: Builder) -> "Build | None":
        """Return the same if this attempt was given to that builder."""
        return _with_relations(statements.given(pk, attempt, builder.pk))

    def lost(self, now: datetime) -> Self:
        """Assigned builds whose lease ran out."""
        return self.assigned().filter(lease_until__lt=now)

    def unheard_rings(self, before: datetime) -> Self:
        """Builds whose builder was told of them before then and has not claimed them."""
        return self.filter(state=Build.State.DISPATCHED, rang_at__lt=before)


class Build(models.Model):
    """One attempt to build one version for one target."""

    class State(models.TextChoices):
        """Where a build stands; it only ever moves down this list, or ends."""

        QUEUED = "queued"
        DISPATCHED = "dispatched"
        BUILDING = "building"
        UPLOADING = "uploading"
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        CANCELLED = "cancelled"
        LOST = "lost"

    ASSIGNED = (State.DISPATCHED, State.BUILDING, State.UPLOADING)
    RUNNING = (State.BUILDING, State.UPLOADING)
    OPEN = (State.QUEUED, *ASSIGNED)
    # Of these each says something about its builder; a cancelled one does not.
    ENDED = (State.SUCCEEDED, State.FAILED, State.LOST)

    # How often a lost build is queued again.  One that took four builders down will take the fifth: a
    # person must look.
    MAX_LOSSES = 3

    # What a builder has beyond the time limit of the build itself, to fetch the source and bring the wheels.
    UPLOAD = timedelta(hours=2)

    version = models.ForeignKey(Version, models.CASCADE, related_name="builds")
    target = models.ForeignKey(Target, models.PROTECT, related_name="builds")
    attempt = models.PositiveIntegerField(default=1)
    losses = models.PositiveSmallIntegerField(
        default=0, help_text="How many attempts before this one were lost in a row."
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
    priority = models.SmallIntegerField(default=0, help_text="Higher is built first.")
    why = models.CharField(max_length=200, blank=True, help_text="Why it has that priority.")
    # A copy of the version's, so that one index holds the queue's order.
    released_at = models.DateTimeField(db_default=Now())
    source = models.ForeignKey(UpstreamFile, models.PROTECT, null=True, blank=True, related_name="builds")
    builder = models.ForeignKey(Builder, models.PROTECT, null=True, blank=True, related_name="builds")
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
        Builder,
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
        indexes = [
            models.Index(
                F("target"),
                F("priority").desc(),
                F("released_at").desc(),
                F("id"),
                condition=Q(state="queued"),
                name="builds_build_queue",
            ),
            models.Index(
                fields=["lease_until"],
                condition=Q(state__in=["dispatched", "building", "uploading"]),
                name="builds_build_leases",
            ),
            models.Index(fields=["-finished_at"], name="builds_build_finished_at"),
        ]

    def __str__(self) -> str:
        return f"build {self.pk}: {self.version} for {self.target}"

    def get_absolute_url(self) -> str:
        """Return the path of the build's page."""
        return f"/builds/{self.pk}/"

    @property
    def is_open(self) -> bool:
        """Whether the build has not ended."""
        return self.state in self.OPEN

    def assign(self, builder: Builder, now: datetime) -> bool:
        """Give this build to a builder, who must claim it in time; False if it is no longer waiting.

        Raises IntegrityError when the builder has another build.
        """
        lease = now + timedelta(seconds=settings.PIWHEELS_CLAIM_S)
        return self._move(
            (self.State.QUEUED,), self.State.DISPATCHED, builder_id=builder.pk, lease_until=lease, rang_at=now
        )

    def unassign(self) -> bool:
        """Put this build back into the queue, because its builder could not be told of it."""
        return self._move(
            (self.State.DISPATCHED,), self.State.QUEUED, builder_id=None, lease_until=None, rang_at=None
        )

    def note_ring(self, now: datetime) -> None:
        """Note that the builder was told again."""
        Build.objects.filter(pk=self.pk, state=self.State.DISPATCHED).update(rang_at=now)

    def claim(
        self, builder: Builder, source: UpstreamFile, now: datetime, time_limit_s: float | None = None
    ) -> str:
        """Start this build on its builder and return the ticket; "" if it is not this builder's to start.

        The time limit is the farm's unless a recipe gives another.
        """
        limit = timedelta(seconds=time_limit_s or settings.PIWHEELS_TIME_LIMIT_S)
        ticket = secrets.token_urlsafe(32)
        begun: dict[str, object] = {
            "state": self.State.BUILDING,
            "ticket_hash": digest(ticket),
            "lease_until": self._lease(now),
            "claimed_at": now,
            "must_end_at": now + limit + self.UPLOAD,
            "source_id": source.pk,
        }
        claimed = statements.move(self.pk, [self.State.DISPATCHED], begun, builder.pk)
        return ticket if claimed else ""

    def renew(self, ticket: str, now: datetime) -> bool:
        """Prolong the lease; False when the ticket is dead.

        It dies with its lease, with its builder, and some time after the build's time limit, so that no
        builder can keep a build for ever.
        """
        return statements.renew(self.pk, self._lease(now), digest(ticket), now)

    def prolong(self, now: datetime) -> None:
        """Prolong the lease while we ourselves keep the builder waiting."""
        statements.prolong(self.pk, self._lease(now))

    def _lease(self, now: datetime) -> datetime:
        return now + timedelta(seconds=settings.PIWHEELS_LEASE_S)

    def prioritise(self, priority: int, why: str) -> None:
        """Move this build to another place in the queue."""
        Build.objects.filter(pk=self.pk, state=self.State.QUEUED).update(priority=priority, why=why)

    def begin_upload(self) -> None:
        """Note that the first bytes of a wheel have come."""
        if self.state == self.State.BUILDING:
            self._move((self.State.BUILDING,), self.State.UPLOADING)

    def close(
        self,
        state: "Build.State",
        reason: str,
        now: datetime,
        duration_s: float | None = None,
        **outcome: object,
    ) -> bool:
        """End a running build; False if it has already ended otherwise.

        `outcome` is what else is known of it by then: its failure, and what was measured.
        """
        return self._move(
            self.RUNNING,
            state,
            reason=reason,
            finished_at=now,
            duration_s=duration_s,
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
        return self._move(
            self.OPEN,
            self.State.CANCELLED,
            reason=reason,
            finished_at=now,
            ticket_hash="",
            may_return=may_return,
        )

    def lose(self, now: datetime) -> bool:
        """Give up on this build's builder; False if it has just been heard of."""
        reason = f"Nothing was heard of builder {self.builder} for too long."
        lost = (
            Build.objects.lost(now)
            .filter(pk=self.pk)
            .update(
                state=self.State.LOST,
                reason=reason,
                failure="builder-lost",
                finished_at=now,
                ticket_hash="",
            )
        )
        return lost == 1

    def abandon(self, reason: str, now: datetime) -> bool:
        """Give up on this build's builder at once, whatever the lease says; False if it has none."""
        return self._move(self.ASSIGNED, self.State.LOST, reason=reason, finished_at=now, ticket_hash="")

    def again(
        self,
        *,
        losses: int,
        priority: int,
        why: str,
        size: str = "",
        not_before: datetime | None = None,
        avoid: int | None = None,
    ) -> "Build":
        """Queue another attempt at the same version for the same target.

        It wants a builder of the same size unless another is given; `avoid` is the builder not to ask again.
        """
        last = Build.objects.filter(version=self.version_id, target=self.target_id).order_by("-attempt")[0]
        return Build.objects.create(
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
        )

    def has_open_siblings(self) -> bool:
        """Tell whether a build of the same version has not ended."""
        return statements.has_open_builds(self.version_id, self.OPEN)

    def _move(self, leaving: "tuple[Build.State, ...]", state: "Build.State", **fields: object) -> bool:
        """Move on from one of those states; False if the build is in none of them."""
        if not statements.move(self.pk, leaving, {"state": state, **fields}):
            return False
        self.state = state
        for field, value in fields.items():
            setattr(self, field, value)
        return True


def _partly(model: type[_Row], columns: Sequence[str], values: Iterator[Any]) -> _Row:
    """Return a row of which the next values are these columns; whoever wants another makes Django read it."""
    return model.from_db(DEFAULT_DB_ALIAS, columns, list(islice(values, len(columns))))


def _target(values: Iterator[Any]) -> Target:
    """Return a target; JSON comes as text from either database."""
    target = _partly(Target, statements.TARGET, values)
    target.platform_tags = json.loads(target.platform_tags)
    return target


def _with_relations(row: tuple[Any, ...] | None) -> Build | None:
    """Return what `statements` read of a build, its version, its package and its target."""
    if row is None:
        return None
    values = iter(row)
    build = _partly(Build, statements.BUILD, values)
    build.version = _partly(Version, statements.VERSION, values)
    build.version.package = _partly(Package, statements.PACKAGE, values)
    build.target = _target(values)
    return build


class WheelQuerySet(models.QuerySet["Wheel"]):
    """Questions about wheels."""

    def listed(self) -> Self:
        """Wheels that the index shows."""
        return self.filter(withdrawn_at=None, held_reason="")

    def standing(self) -> Self:
        """Wheels that the index shows, or may show once a person has looked."""
        return self.filter(withdrawn_at=None)

    def published(self, filename: str) -> tuple[int, str] | None:
        """Return the build that gave a file of this name its bytes, and their sha256."""
        return statements.published(filename)


class Wheel(models.Model):
    """A file that came out of a build.

    A row is never deleted and its bytes never change: a name that was once given to a file is never given
    to another, as on PyPI.
    """

    build = models.ForeignKey(Build, models.PROTECT, related_name="wheels")
    package = models.ForeignKey(Package, models.PROTECT, related_name="wheels")
    version = models.ForeignKey(Version, models.PROTECT, related_name="wheels")
    filename = models.CharField(max_length=255, unique=True)
    size = models.BigIntegerField(help_text="Bytes.")
    sha256 = models.CharField(max_length=64)
    metadata_sha256 = models.CharField(max_length=64, help_text="Of METADATA, as served beside the file.")
    requires_python = models.CharField(max_length=255, blank=True)
    glibc = models.CharField(max_length=20, blank=True, help_text="The least C library that it runs with.")
    glibcxx = models.CharField(max_length=20, blank=True, help_text="The least libstdc++, as GLIBCXX has it.")
    is_portable = models.BooleanField(
        default=False,
        help_text="Needs nothing of the system but the C and C++ libraries, so newer releases run it too.",
    )
    reproducible = models.BooleanField(
        null=True, blank=True, help_text="Whether a second build gave the same bytes; empty: not tried."
    )
    trial = models.CharField(
        max_length=7, blank=True, help_text="Whether it works where only its own dependencies are."
    )
    trial_detail = models.TextField(blank=True, help_text="What was imported, or what went wrong.")
    held_reason = models.TextField(
        blank=True, help_text="Why a person must look before the index shows it; empty: shown."
    )
    published_at = models.DateTimeField(db_default=Now())
    yanked = models.BooleanField(default=False, help_text="By us; upstream's yank is the version's.")
    yanked_reason = models.TextField(blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True, help_text="Since when it is not shown.")

    objects = WheelQuerySet.as_manager()

    class Meta:
        ordering = ["filename"]
        constraints = [
            models.CheckConstraint(
                condition=Q(sha256__regex=r"^[0-9a-f]{64}\Z"), name="builds_wheel_sha256_hex"
            ),
            models.CheckConstraint(condition=Q(size__gt=0), name="builds_wheel_not_empty"),
        ]
        indexes = [
            models.Index(
                fields=["package"], condition=Q(withdrawn_at=None, held_reason=""), name="builds_wheel_listed"
            )
        ]

    def __str__(self) -> str:
        return self.filename

    @property
    def path(self) -> str:
        """Where the file is in the storage; made of its hash, so that no other file can be there."""
        return f"{self.sha256[:2]}/{self.sha256}/{self.filename}"

    @property
    def metadata_path(self) -> str:
        """Where the copy of its METADATA is in the storage."""
        return f"{self.path}.metadata"

    @property
    def provenance_path(self) -> str:
        """Where the statement of what it was made of is in the storage; each build has its own."""
        return f"{self.path}.{self.build_id}.provenance"

    @property
    def provenance_url(self) -> str:
        """The path that the statement is served at, for ever."""
        return f"/builds/{self.build_id}/provenance/{self.filename}.json"

    @property
    def url(self) -> str:
        """The path that the file is served at, for ever."""
        return f"/simple/{self.package.name}/{self.filename}"

    def tags(self) -> frozenset[tags.Tag]:
        """Return the tags in the file's name."""
        return parse_wheel_filename(self.filename)[3]

    def offer(self) -> Offer:
        """Return what decides which targets this file serves."""
        return Offer(
            tags=self.tags(),
            requires_python=self.requires_python,
            os_release=self.build.target.os_release,
            is_portable=self.is_portable,
            glibc=self.glibc,
            glibcxx=self.glibcxx,
        )

    def depend_on(self, needs: "Sequence[tuple[Dependency.Tool, str, str]]") -> None:
        """Note what must be there for this file to work: tool, name, requirement; each is kept once."""
        statements.depend(self.pk, needs)

    def yank(self, reason: str) -> None:
        """Ask installers not to choose this file unless they are told to (PEP 592)."""
        self._show(yanked=True, yanked_reason=reason)

    def unyank(self) -> None:
        """Take the yank back."""
        self._show(yanked=False, yanked_reason="")

    def release(self) -> None:
        """Show this file, as a person has looked at it."""
        self._show(held_reason="")

    def withdraw(self, now: datetime) -> None:
        """Take this file out of the index."""
        self._show(withdrawn_at=now)

    def _show(self, **fields: object) -> None:
        """Set fields that the index shows."""
        for field, value in fields.items():
            setattr(self, field, value)
        self.save(update_fields=list(fields))
        self.package.mark_changed()


class Dependency(models.Model):
    """Something that must be there for a wheel to work: an apt package, another package, or a library."""

    class Tool(models.TextChoices):
        """What installs the dependency."""

        APT = "apt"
        PIP = "pip"
        # Nobody knows: a library that no package on the builder has.
        NONE = "lib", "library of no package"

    wheel = models.ForeignKey(Wheel, models.CASCADE, related_name="dependencies")
    tool = models.CharField(max_length=3, choices=Tool)
    name = models.CharField(max_length=255)
    requirement = models.TextField(
        blank=True, help_text="With versions and markers, as METADATA or dpkg-shlibdeps has it."
    )

    class Meta:
        verbose_name_plural = "dependencies"
        constraints = [
            models.UniqueConstraint(
                fields=["wheel", "tool", "name", "requirement"], name="builds_dependency_unique"
            )
        ]

    def __str__(self) -> str:
        return self.name


class Refusal(models.Model):
    """A file that a builder brought and that we did not take."""

    build = models.ForeignKey(Build, models.CASCADE, related_name="refusals")
    filename = models.CharField(max_length=300)
    sha256 = models.CharField(max_length=64, blank=True)
    reason = models.TextField()
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.filename}: {self.reason}"


class Recipe(models.Model):
    """What an operator wants done differently: for one package, or for all that failed in one way."""

    package = models.OneToOneField(
        Package, models.CASCADE, null=True, blank=True, related_name="recipe", help_text="Empty: for a class."
    )
    failure = models.CharField(
        max_length=30, blank=True, help_text="A class of failure; used for builds that failed so before."
    )
    apt = models.JSONField(
        default=list, blank=True, help_text='Debian packages to build with: ["libffi-dev"].'
    )
    environment = models.JSONField(default=dict, blank=True, help_text='Variables: {"CYTHON_FORCE": "1"}.')
    memory_bytes = models.BigIntegerField(null=True, blank=True, help_text="The most that a build may use.")
    time_limit_s = models.PositiveIntegerField(null=True, blank=True, help_text="Seconds; empty: the farm's.")
    size = models.CharField(max_length=6, choices=Size, blank=True, help_text="The smallest builder.")
    rung = models.CharField(max_length=30, blank=True, help_text="The rung of the ladder to begin with.")
    note = models.TextField(blank=True, help_text="Why, for whoever comes next.")
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(package__isnull=False, failure="") | (Q(package__isnull=True) & ~Q(failure="")),
                name="builds_recipe_for_one_thing",
            ),
            models.UniqueConstraint(
                fields=["failure"], condition=~Q(failure=""), name="builds_recipe_failure_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"recipe for {self.package or self.failure}"
