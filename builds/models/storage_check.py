"""What was found when the storage was compared with the rows, one row for each part of it."""

from datetime import datetime, timedelta
from typing import Any, Self

from django.db import models
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Max, Min, Q, Sum

from packages.models import NEVER


class StorageCheckQuerySet(models.QuerySet["StorageCheck"]):
    """Questions about the parts of the storage."""

    def begun(self) -> Self:
        """Parts of which a check has begun and not come to its end."""
        return self.exclude(position="")

    def due(self, now: datetime) -> Self:
        """Parts that were not looked at this night, the oldest first."""
        night = StorageCheck.NIGHTLY
        # What is a night ahead is from before the database's clock was put back; less is another worker's.
        due = Q(checked_at__lt=now - night) | Q(checked_at__gt=now + night)
        return self.filter(due, position="").order_by("checked_at", "prefix")

    def read_between(self, start: datetime, end: datetime) -> int:
        """Return how many parts were last read with all of their bytes between these times."""
        return self.filter(read_at__range=(start, end)).count()

    def summary(self) -> dict[str, Any]:  # Any: Django's answer
        """Return how old the results are, and what all of them found."""
        return self.aggregate(
            oldest=Min("checked_at"), oldest_read=Min("read_at"), last=Max("checked_at"), faults=Sum("faults")
        )

    def late_since(self, now: datetime) -> datetime | None:
        """Return when the part was compared that waits longest, if that is too long; None if none is late.

        What was never compared comes before all others, so it waits no longer than the oldest of them; and
        where nothing was, since the farm was made.
        """
        since: datetime | None = self.filter(checked_at__gt=NEVER).aggregate(at=Min("checked_at"))["at"]
        since = since or MigrationRecorder.Migration.objects.aggregate(at=Min("applied"))["at"]
        # A time far ahead is from before the database's clock was put back.
        return since if since and abs(now - since) > StorageCheck.LATE else None


class StorageCheck(models.Model):
    """The last check of the files whose hashes begin with two digits, and of one part of the logs."""

    # Each part is looked at every night, and read as a whole in about a month.
    NIGHTLY = timedelta(hours=20)
    # Three nights have left out what was compared so long ago.
    LATE = timedelta(days=4)
    READ = timedelta(days=28)
    # 256 parts in 26 nights.
    READ_PER_NIGHT = 10
    # How many lines of what was found are kept.
    KEPT = 50

    prefix = models.CharField(max_length=2, primary_key=True)
    checked_at = models.DateTimeField(default=NEVER, help_text="When it was last compared with the rows.")
    read_at = models.DateTimeField(default=NEVER, help_text="When all its bytes were last read.")
    wheels = models.PositiveIntegerField(default=0, help_text="Rows of wheels that must have a file.")
    files = models.PositiveIntegerField(default=0)
    size = models.BigIntegerField(default=0, help_text="Bytes of all files.")
    faults = models.PositiveIntegerField(default=0, help_text="How much was not as it must be.")
    report = models.TextField(blank=True, help_text="The first of what was found.")
    # A check that goes on: how far it is, whether it reads all bytes, and what it has found so far.
    position = models.CharField(
        max_length=300, blank=True, help_text="Where a check goes on; empty: it ended."
    )
    is_reading = models.BooleanField(default=False)
    so_far = models.JSONField(default=dict, blank=True)

    objects = StorageCheckQuerySet.as_manager()

    class Meta:
        ordering = ["-faults", "prefix"]

    def __str__(self) -> str:
        return self.prefix

    def begin(self, *, is_reading: bool) -> None:
        """Begin to compare this part."""
        self.is_reading, self.so_far = is_reading, {}

    def pause(self, position: str, so_far: dict[str, object]) -> None:
        """Note how far the check is, for the next tick to go on."""
        self.position, self.so_far = position, so_far
        self.save(update_fields=["position", "so_far", "is_reading"])

    def end(
        self, now: datetime, *, wheels: int, files: int, size: int, faults: int, lines: list[str]
    ) -> None:
        """Note what the check has found."""
        self.wheels, self.files, self.size, self.faults = wheels, files, size, faults
        self.report = "\n".join(lines[: self.KEPT])
        self.checked_at, self.position, self.so_far = now, "", {}
        if self.is_reading:
            self.read_at = now
        self.save()
