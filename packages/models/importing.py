"""How far an import from piwheels.org's software has come, and what of it was not taken; as rows.

Both are written in the transaction that takes what they tell of, so a kill at any place loses and doubles
nothing.
"""

from collections.abc import Collection
from datetime import datetime

from django.db import models
from django.db.models import Count, Q
from django.db.models.functions import Now


class ImportStep(models.Model):
    """How far one part of an import is."""

    name = models.CharField(max_length=20, primary_key=True)
    cursor = models.JSONField(default=list, blank=True, help_text="The key of the last row that it took.")
    counts = models.JSONField(default=dict, blank=True, help_text="What was read and written, by subject.")
    took_s = models.FloatField(default=0)
    finished_at = models.DateTimeField(null=True, blank=True, help_text="When it last came to its end.")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def move(self, cursor: list[int | str], counts: dict[str, dict[str, int]], took_s: float) -> None:
        """Note how far it is."""
        self.cursor, self.counts, self.took_s, self.finished_at = cursor, counts, took_s, None
        self.save()

    def finish(self, now: datetime) -> None:
        """Note that it came to its end."""
        self.finished_at = now
        self.save()


class ImportRefusalQuerySet(models.QuerySet["ImportRefusal"]):
    """Questions about what was not taken."""

    def note(self, rows: "Collection[ImportRefusal]") -> None:
        """Write down what was not taken, in the place of what was said of the same things before."""
        self.bulk_create(
            rows,
            batch_size=150,
            update_conflicts=True,
            unique_fields=["subject", "key"],
            update_fields=["build", "reason", "detail", "at"],
        )

    def forget(self, subject: str, keys: Collection[str]) -> None:
        """Forget what was said of things that have been taken by now, no more than one statement takes."""
        self.filter(subject=subject, key__in=keys).delete()

    def forget_builds(self, builds: Collection[int]) -> None:
        """Forget what was said of builds and of what is theirs, to be noted anew where it still holds."""
        self.filter(build__in=builds).delete()

    def counted(self) -> dict[str, dict[str, int]]:
        """Return how many there are, by subject and reason."""
        found: dict[str, dict[str, int]] = {}
        kinds = self.order_by("subject", "reason").values_list("subject", "reason")
        for subject, reason, count in kinds.annotate(Count("pk")):
            found.setdefault(subject, {})[reason] = count
        return found


class ImportRefusal(models.Model):
    """Something that an import did not take, and why."""

    subject = models.CharField(max_length=12, help_text="What it is: a package, a file, a log, ...")
    key = models.CharField(max_length=500)
    build = models.BigIntegerField(null=True, blank=True, help_text="The build that it is of.")
    reason = models.CharField(max_length=150, help_text="The same for all that were not taken for it.")
    detail = models.CharField(max_length=500, blank=True, help_text="What it is about here.")
    at = models.DateTimeField(db_default=Now())

    objects = ImportRefusalQuerySet.as_manager()

    class Meta:
        ordering = ["subject", "key"]
        constraints = [
            models.UniqueConstraint(fields=["subject", "key"], name="packages_importrefusal_unique")
        ]
        indexes = [
            models.Index(
                fields=["build"], condition=Q(build__isnull=False), name="packages_importrefusal_build"
            )
        ]

    def __str__(self) -> str:
        return f"{self.subject} {self.key}: {self.reason}"
