"""What was added up of all downloads, as that takes too long for whoever looks at a page."""

from datetime import datetime

from django.db import models
from django.db.models import Q

from packages.models import NEVER


class Spared(models.Model):
    """How often all wheels were downloaded, and what time that has spared; one row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    downloads = models.PositiveBigIntegerField(default=0)
    seconds = models.FloatField(default=0, help_text="For each download, the time of a build of its package.")
    counted_at = models.DateTimeField(default=NEVER)

    class Meta:
        verbose_name_plural = "time spared"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="simple_spared_single")]

    def __str__(self) -> str:
        return f"{self.downloads} downloads, {self.seconds:.0f} s"

    @classmethod
    def current(cls) -> "Spared":
        """Return the row, as it is now; one that was never written says nothing was counted."""
        return cls.objects.filter(pk=1).first() or cls()

    @classmethod
    def note(cls, downloads: int, seconds: float, now: datetime) -> None:
        """Note what was added up."""
        counted = {"downloads": downloads, "seconds": seconds, "counted_at": now}
        cls.objects.update_or_create(pk=1, defaults=counted)
