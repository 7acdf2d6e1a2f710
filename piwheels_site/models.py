"""What operators tell everybody: notices on each page, and incidents."""

from datetime import datetime
from typing import ClassVar, Self

from django.core.cache import cache
from django.db import models
from django.db.models import Q


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
