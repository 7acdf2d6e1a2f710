"""What is counted of the index's use."""

from django.db import models

from builds.models import Wheel
from packages.models import Package
from simple.shown import PublishedTree, Shown

__all__ = ["Download", "Miss", "PublishedTree", "Shown"]


class Download(models.Model):
    """How often one wheel was downloaded on one day (UTC)."""

    wheel = models.ForeignKey(Wheel, models.CASCADE, related_name="downloads")
    day = models.DateField()
    count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["wheel", "day"], name="simple_download_wheel_day")]

    def __str__(self) -> str:
        return f"{self.wheel} {self.day}: {self.count}"


class Miss(models.Model):
    """How often pip looked for one package on one day (UTC) while there was nothing of it."""

    package = models.ForeignKey(Package, models.CASCADE, related_name="misses", db_index=False)
    day = models.DateField()
    count = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name_plural = "misses"
        constraints = [models.UniqueConstraint(fields=["package", "day"], name="simple_miss_package_day")]

    def __str__(self) -> str:
        return f"{self.package} {self.day}: {self.count}"
