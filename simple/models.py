"""What is counted of the index's use."""

from django.db import models

from builds.models import Wheel


class Download(models.Model):
    """How often one wheel was downloaded on one day (UTC)."""

    wheel = models.ForeignKey(Wheel, models.CASCADE, related_name="downloads")
    day = models.DateField()
    count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["wheel", "day"], name="simple_download_wheel_day")]

    def __str__(self) -> str:
        return f"{self.wheel} {self.day}: {self.count}"
