"""Who builds: a builder, its keys, what it says of itself and what an operator wants of it."""

import secrets
from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from builder.contract import BuilderFacts
from builds import statements
from builds.models.build import Build
from builds.models.partial import moment, partial_row, partial_target
from builds.models.size import Size
from builds.models.target import Target
from builds.models.token import digest


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
        builder = partial_row(Builder, statements.BUILDER, values)
        builder.heard_at = moment(builder.heard_at)
        builder.target = partial_target(values)
        return builder


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
    # Stands for whoever builds a wheel by hand.
    BY_HAND = "by-hand"
    # A hello may have been under way when its builder claimed a build.
    UNDER_WAY = timedelta(seconds=60)

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

    @classmethod
    def by_hand(cls, target: Target) -> "Builder":
        """Return who is said to have built what a person imports: retired from the start, with no keys."""
        found = cls.objects.filter(name=cls.BY_HAND).first() or cls(name=cls.BY_HAND)
        if found.pk is None:
            found.target, found.is_enabled, found.mode = target, False, cls.Mode.STOPPED
            found.rekey()
            found.save()
        return found

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
        is_draining = self.is_enabled and self.mode == self.Mode.DRAINING
        return self.standing_with(self.current_build() if is_draining else None)

    def standing_with(self, build: Build | None) -> str:
        """Return the same for whoever knows which build it has."""
        if not self.is_enabled:
            return "retired"
        return "drained" if self.mode == self.Mode.DRAINING and build is None else str(self.mode)

    @staticmethod
    def size_of(memory_bytes: int) -> Size:
        """Return the size of a builder with that much memory."""
        if memory_bytes < Builder.MEDIUM_BYTES:
            return Size.SMALL
        return Size.MEDIUM if memory_bytes < Builder.LARGE_BYTES else Size.LARGE

    def is_at_work(self, now: datetime) -> bool:
        """Tell whether this builder may be given builds, as `at_work` asks it of all."""
        is_heard = self.heard_at is not None and self.heard_at >= now - self.SILENCE
        return self.is_enabled and self.mode == self.Mode.ACTIVE and not self.problem and is_heard

    def current_build(self) -> Build | None:
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
        # Only now can anybody tell by how much its clock is off.
        told = {**vars(facts), "clock_ahead_s": facts.clock - now.timestamp()}
        fields: dict[str, object] = {"facts": told, "sandbox": facts.sandbox[:4]}
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
            self.save(update_fields=["is_enabled"])
            self.resume("Enrolled again.", now)
        self.target = target
        return self.rekey()

    def hold_at_work(self) -> bool:
        """Keep others from turning this builder until the transaction ends; False if somebody has."""
        active = Builder.objects.filter(pk=self.pk, is_enabled=True, mode=self.Mode.ACTIVE)
        return active.select_for_update(no_key=True).values_list("pk").first() is not None

    def _turn(self, mode: "Builder.Mode", reason: str, now: datetime) -> None:
        self.mode, self.mode_reason, self.mode_at = mode, reason[:500], now
        self.save(update_fields=["mode", "mode_reason", "mode_at"])
        if mode != self.Mode.ACTIVE:
            self.give_back()

    def forget_build(self, now: datetime) -> None:
        """End the lease of a build that the builder knows no more: it was killed, and has begun anew."""
        # In a time to come it was claimed before the database's clock was put back.
        old = Q(claimed_at__lt=now - self.UNDER_WAY) | Q(claimed_at__gt=now + self.UNDER_WAY)
        self.builds.filter(old, state__in=Build.RUNNING).update(lease_until=now)

    def give_back(self) -> None:
        """Put the build that the builder was told of, and has not begun, back into the queue."""
        self.builds.all().unassign()
