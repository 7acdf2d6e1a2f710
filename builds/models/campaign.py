"""A great many builds that an operator wants, a few hundred of them at a time."""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from builds.models.state import State as BuildState
from builds.models.target import Target


class CampaignQuerySet(models.QuerySet["Campaign"]):
    """Questions about campaigns."""

    def running(self) -> Self:
        """Campaigns that go on, the oldest first."""
        return self.filter(state=Campaign.State.RUNNING).order_by("pk")

    def left_waiting(self) -> Self:
        """Campaigns whose stop was cut short, before all that waited for them was dropped."""
        waited_for = self.model.objects.filter(
            builds__state=BuildState.QUEUED,
            builds__rebuild_reason="",
            # What is tried again since then is somebody else's wish.
            builds__queued_at__lte=F("ended_at"),
        )
        # Not joined and made distinct, which would sort what each goes through, once for each build.
        return self.filter(state=Campaign.State.STOPPED, pk__in=waited_for.values("pk")).defer(*Campaign.LONG)


class Campaign(models.Model):
    """A great many builds for one target that an operator wants, below new releases and above history."""

    class Kind(models.TextChoices):
        """What it goes through."""

        MOST_WANTED = "wanted", "the newest version of the most wanted packages"
        FAILED = "failed", "again what failed in one way"
        PACKAGES = "packages", "the newest version of these packages"

    class State(models.TextChoices):
        """Where it stands."""

        RUNNING = "running"
        STOPPED = "stopped"
        FINISHED = "finished"

    # What it goes through, up to a hundred thousand keys, which nobody needs who tells how far it is.
    LONG = ("todo", "packages")

    name = models.CharField(max_length=100, unique=True)
    target = models.ForeignKey(Target, models.PROTECT, related_name="campaigns")
    kind = models.CharField(max_length=8, choices=Kind)
    count = models.PositiveIntegerField(
        null=True, blank=True, help_text="How many of the most wanted packages."
    )
    failure = models.CharField(max_length=30, blank=True, help_text="The class of failure to try again.")
    since = models.DateTimeField(null=True, blank=True, help_text="What failed since then; empty: ever.")
    packages = models.TextField(blank=True, help_text="Names of packages, separated by spaces.")
    state = models.CharField(max_length=8, choices=State, default=State.RUNNING, editable=False)
    total = models.PositiveIntegerField(default=0, editable=False, help_text="What it goes through in all.")
    looked_at = models.PositiveIntegerField(default=0, editable=False, help_text="How far it is with that.")
    # The packages to go through as they were at the start, as what is wanted most changes meanwhile ...
    todo = models.JSONField(default=list, editable=False)
    # ... or the last of the failed builds that it looked at.
    cursor = models.BigIntegerField(default=0, editable=False)
    counted = models.JSONField(
        null=True, blank=True, editable=False, help_text="How far its builds were when last counted."
    )
    by = models.CharField(max_length=150, blank=True, editable=False, help_text="Who started it.")
    started_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = CampaignQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="wanted", count__gt=0, failure="", packages="")
                | (Q(kind="failed", count=None, packages="") & ~Q(failure=""))
                | (Q(kind="packages", count=None, failure="") & ~Q(packages="")),
                name="builds_campaign_of_its_kind",
                violation_error_message=(
                    "Give what its kind needs and nothing else: a count, a class of failure, or packages."
                ),
            )
        ]

    def __str__(self) -> str:
        return self.name

    def hold(self) -> bool:
        """Keep this campaign from ending until the transaction ends; False if it has ended."""
        # Not its key: builds of it may be written meanwhile.
        running = Campaign.objects.running().select_for_update(no_key=True)
        return running.filter(pk=self.pk).values_list("pk").first() is not None

    def advance(self, by: int, cursor: int = 0) -> None:
        """Note how far it is."""
        self.looked_at += by
        self.cursor = cursor
        self.save(update_fields=["looked_at", "cursor"])

    def note(self, counted: dict[str, object]) -> None:
        """Note how far its builds are."""
        self.counted = counted
        self.save(update_fields=["counted"])

    def finish(self, now: datetime) -> bool:
        """End this campaign because there is nothing left to do; False if it had ended."""
        return self._end(self.State.FINISHED, now)

    def stop(self, now: datetime) -> bool:
        """End this campaign because an operator says so; False if it had ended."""
        return self._end(self.State.STOPPED, now)

    def _end(self, state: "Campaign.State", now: datetime) -> bool:
        ended = Campaign.objects.filter(pk=self.pk, state=self.State.RUNNING).update(
            state=state, ended_at=now
        )
        self.refresh_from_db(fields=["state", "ended_at"])
        return ended == 1
