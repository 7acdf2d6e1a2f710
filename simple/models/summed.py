"""What was summed up of downloads, so that no page sums millions; `simple.summing` does it."""

from datetime import datetime, timedelta

from django.db import models

from packages.clock import is_over
from packages.models import NEVER


class DownloadShare(models.Model):
    """How many downloads of one day (UTC) came from clients that have one fact in common; kept for ever."""

    class Fact(models.TextChoices):
        """What clients have in common."""

        PYTHON = "python"
        SYSTEM = "system"
        ARCHITECTURE = "architecture"
        INSTALLER = "installer"

    # Clients may say what they like; so the most frequent have names, and the others are one.
    MOST_NAMES = 12
    OTHERS = "all others"

    day = models.DateField()
    fact = models.CharField(max_length=12, choices=Fact)
    name = models.CharField(max_length=45, blank=True, help_text="Empty: they do not say.")
    count = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["fact", "day", "name"], name="simple_downloadshare_of_a_kind")
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.fact} {self.name}: {self.count}"


class TopPackages(models.Model):
    """Which packages were downloaded most in one span of time, as was summed up last."""

    MOST = 50
    # What is quickly summed is so this often; nothing takes more than this part of the time.
    LEAST = timedelta(minutes=5)
    PART = 0.002

    span = models.CharField(max_length=3, primary_key=True, help_text="As simple.spans has it.")
    at = models.DateTimeField(default=NEVER)
    took_s = models.FloatField(default=0)
    found = models.JSONField(default=list, help_text="Pairs of a name and its count, the largest first.")

    class Meta:
        verbose_name_plural = "top packages"

    def __str__(self) -> str:
        return self.span

    def is_due(self, now: datetime) -> bool:
        """Tell whether it is time to sum up again."""
        pause = max(self.LEAST, timedelta(seconds=self.took_s / self.PART))
        return is_over(self.at, pause, now)

    def note(self, found: list[tuple[str, int]], took_s: float, now: datetime) -> None:
        """Note what was found, and how long that took."""
        self.found, self.took_s, self.at = found, took_s, now
        self.save(update_fields=["found", "took_s", "at"])
