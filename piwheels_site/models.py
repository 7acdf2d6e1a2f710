"""What operators tell everybody, and what is read once for all readers."""

from datetime import datetime, timedelta
from typing import ClassVar, Self

from django.core.cache import cache
from django.db import models
from django.db.models import Q

from packages.models import NEVER


class NoticeQuerySet(models.QuerySet["Notice"]):
    """Notices, by what is asked of them."""

    def standing(self, now: datetime) -> Self:
        """Return those that are on every page now."""
        return self.filter(Q(ends_at=None) | Q(ends_at__gt=now), begins_at__lte=now)


class Notice(models.Model):
    """One thing that everybody should know, from one moment to another."""

    class Kind(models.TextChoices):
        """What a notice is about."""

        NEWS = "news"
        INCIDENT = "incident"
        # All that is here was made up to be looked at.
        SAMPLE = "sample", "sample data"

    # Each page shows them; so long, in seconds, may one that is new be missing.
    _KEPT_S = 10

    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.NEWS)
    title = models.CharField(max_length=200)
    text = models.TextField(blank=True, help_text="Plain text; an empty line begins a paragraph.")
    begins_at = models.DateTimeField(db_index=True)
    ends_at = models.DateTimeField(null=True, blank=True, help_text="Empty: until somebody ends it.")

    objects: ClassVar = NoticeQuerySet.as_manager()

    class Meta:
        ordering = ["-begins_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                name="site_notice_ends_after_it_begins",
                condition=Q(ends_at=None) | Q(ends_at__gte=models.F("begins_at")),
                violation_error_message="A notice cannot end before it begins.",
            )
        ]

    def __str__(self) -> str:
        return self.title

    @classmethod
    def shown(cls, now: datetime) -> "list[Notice]":
        """Return what every page shows, asking the database now and then."""
        found = cache.get_or_set("standing-notices", lambda: list(cls.objects.standing(now)), cls._KEPT_S)
        return [notice for notice in found or [] if notice.ends_at is None or notice.ends_at > now]


class SeriesRead(models.Model):
    """The series of the statistics of one span, as they were last read; `piwheels_site.series` does it."""

    # What is quickly read is so this often; nothing takes more than this part of the time.
    LEAST = timedelta(minutes=1)
    PART = 0.02
    # Many times as old as it should be.
    OLD = timedelta(hours=1)

    span = models.CharField(max_length=3, primary_key=True, help_text="As simple.spans has it.")
    today = models.DateField(help_text="The day that it ends on.")
    at = models.DateTimeField(default=NEVER)
    took_s = models.FloatField(default=0)
    rows = models.JSONField(default=dict, help_text="By the name of each series.")

    class Meta:
        verbose_name = "read series"
        verbose_name_plural = "read series"

    def __str__(self) -> str:
        return f"{self.span} {self.today}"

    def is_due(self, now: datetime) -> bool:
        """Tell whether it is time to read again."""
        return now - self.at >= max(self.LEAST, timedelta(seconds=self.took_s / self.PART))

    def is_old(self, now: datetime) -> bool:
        """Tell whether nobody seems to read any more."""
        return now - self.at >= self.OLD

    def note(self, rows: object, took_s: float, now: datetime) -> None:
        """Note what was read, and how long that took."""
        self.rows, self.took_s, self.at, self.today = rows, took_s, now, now.date()
        self.save(update_fields=["rows", "took_s", "at", "today"])
