"""What was counted of builds, so that no page counts millions; `builds.figures.counting` does it."""

from datetime import datetime, timedelta
from typing import ClassVar

from django.db import models

from builds.models.build import Build
from builds.models.builder import Builder
from builds.models.state import State
from builds.models.target import Target
from packages.clock import is_over
from packages.models import NEVER, Version


class Counting(models.Model):
    """When one thing was last counted, and how long that took."""

    class Thing(models.TextChoices):
        """What is counted."""

        QUEUE = "queue", "what waits"
        DAYS = "days", "how builds ended"
        BUILDERS = "builders", "how builds ended on each builder"
        WHEELS = "wheels", "what came out of builds"
        FAILURES = "failures", "what fails at the moment"
        BROKEN = "broken", "what was built before and fails"
        CAMPAIGNS = "campaigns", "how far campaigns are"

    # What is quickly counted is counted this often; nothing takes more than this part of the time.
    LEAST: ClassVar = {
        Thing.QUEUE: timedelta(seconds=5),
        Thing.DAYS: timedelta(seconds=15),
        Thing.BUILDERS: timedelta(seconds=60),
        Thing.WHEELS: timedelta(seconds=60),
        Thing.FAILURES: timedelta(seconds=60),
        Thing.BROKEN: timedelta(seconds=60),
        Thing.CAMPAIGNS: timedelta(seconds=10),
    }
    PART = 0.02
    # One that was cut short is begun again as if it had taken longer than the last one, and so long at most;
    # else one that is too slow for whatever ends workers would be begun again all the time.
    CUT_S = 60.0

    thing = models.CharField(max_length=10, primary_key=True, choices=Thing)
    at = models.DateTimeField(default=NEVER, help_text="When it was last begun.")
    took_s = models.FloatField(default=0)
    through = models.DateField(null=True, blank=True, help_text="Of days: the last that is counted for good.")

    def __str__(self) -> str:
        return str(self.thing)

    def is_due(self, now: datetime) -> bool:
        """Tell whether it is time to count again."""
        pause = max(self.LEAST[self.Thing(self.thing)], timedelta(seconds=self.took_s / self.PART))
        return is_over(self.at, pause, now)

    def take(self, now: datetime) -> bool:
        """Begin to count; False if somebody else has."""
        may_take_s = max(self.took_s, min(2 * self.took_s + 1, self.CUT_S))
        taken = Counting.objects.filter(pk=self.pk, at=self.at).update(at=now, took_s=may_take_s) == 1
        self.at = now
        return taken

    @classmethod
    def forget_days(cls) -> None:
        """Have all days counted again, as builds have come into those that are over."""
        of_days = [cls.Thing.DAYS, cls.Thing.BUILDERS, cls.Thing.WHEELS, cls.Thing.BROKEN]
        # Also by who is counting at this moment (`end`).
        Counting.objects.filter(thing__in=of_days).update(through=None, at=NEVER)

    def end(self, took_s: float, **fields: object) -> None:
        """Note how long it took, and what was found, unless it is to be counted anew since it was begun."""
        row = Counting.objects.filter(pk=self.pk)
        row.update(took_s=took_s)
        if fields:
            row.filter(at=self.at).update(**fields)


class TargetQueue(models.Model):
    """What waits for one target, and how quickly that goes, as was counted last."""

    target = models.OneToOneField(Target, models.CASCADE, primary_key=True, related_name="queue")
    ready = models.PositiveIntegerField(default=0, help_text="Builds that wait for a builder alone.")
    pausing = models.PositiveIntegerField(default=0, help_text="Builds that wait for a time after a fault.")
    oldest_at = models.DateTimeField(null=True, blank=True, help_text="Since when the oldest of them waits.")
    levels = models.JSONField(default=dict, help_text="How many of those that are ready each class has.")
    ended = models.PositiveIntegerField(default=0, help_text="How many ended in the last day.")
    per_hour = models.FloatField(default=0, help_text="How many ended an hour in that time.")

    class Meta:
        ordering = ["target"]

    def __str__(self) -> str:
        return f"{self.target}: {self.ready}"


class BuildDay(models.Model):
    """How many builds of one target ended in one way on one day (UTC); kept for ever."""

    day = models.DateField()
    target = models.ForeignKey(Target, models.CASCADE, related_name="+", db_index=False)
    state = models.CharField(max_length=10, choices=State)
    failure = models.CharField(max_length=30, blank=True, help_text="The class of its failure, if it failed.")
    count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["day", "target", "state", "failure"], name="builds_buildday_of_a_kind"
            )
        ]
        indexes = [models.Index(fields=["failure", "day"], name="builds_buildday_of_failure")]

    def __str__(self) -> str:
        return f"{self.day} {self.target_id} {self.failure or self.state}: {self.count}"


class BuilderDay(models.Model):
    """How many builds ended in one state on one builder on one day (UTC); kept for ever."""

    day = models.DateField()
    builder = models.ForeignKey(Builder, models.CASCADE, related_name="+", db_index=False)
    state = models.CharField(max_length=10, choices=State)
    count = models.PositiveIntegerField(default=0)
    seconds = models.FloatField(default=0, help_text="How long it was at them, as far as it said.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["day", "builder", "state"], name="builds_builderday_of_a_kind")
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.builder_id} {self.state}: {self.count}"


class WheelDay(models.Model):
    """How many wheels of one kind came out of builds that ended on one day (UTC); kept for ever."""

    day = models.DateField()
    kind = models.CharField(max_length=40, help_text="What runs them: pure, abi3-armhf, cp313-arm64.")
    count = models.PositiveIntegerField(default=0)
    size = models.PositiveBigIntegerField(default=0, help_text="Bytes of all of them.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["day", "kind"], name="builds_wheelday_of_a_kind")]

    def __str__(self) -> str:
        return f"{self.day} {self.kind}: {self.count}"


class StandingFailure(models.Model):
    """How many packages fail in one way at the moment: the last attempt at some version of theirs did."""

    failure = models.CharField(max_length=30, primary_key=True)
    packages = models.PositiveIntegerField(default=0)
    dependents = models.PositiveBigIntegerField(
        default=0, help_text="How many packages need one of these, each counted once for each that it needs."
    )

    def __str__(self) -> str:
        return f"{self.failure}: {self.packages}"


class Breakage(models.Model):
    """A new release that failed although an earlier version of its package was built for the same target."""

    # Without constraints in the database: while it is upgraded, code that knows nothing of these may delete
    # what they are about.  They are read with their builds, so that one without a build is not there.
    build = models.OneToOneField(
        Build, models.CASCADE, primary_key=True, related_name="breakage", db_constraint=False
    )
    good = models.ForeignKey(
        Version,
        models.CASCADE,
        related_name="+",
        db_constraint=False,
        help_text="The last version before it that was built.",
    )
    day = models.DateField(help_text="When it failed (UTC).")

    class Meta:
        ordering = ["-day", "-build_id"]
        indexes = [models.Index(fields=["-day", "-build"], name="builds_breakage_last")]

    def __str__(self) -> str:
        return f"build {self.build_id}"
