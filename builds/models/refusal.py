"""What came out of builds and is no wheel of ours: files that we did not take."""

from django.db import models
from django.db.models.functions import Now

from builds.models.build import Build


class Refusal(models.Model):
    """A file that a builder brought and that we did not take."""

    build = models.ForeignKey(Build, models.CASCADE, related_name="refusals")
    filename = models.CharField(max_length=300)
    sha256 = models.CharField(max_length=64, blank=True)
    reason = models.TextField()
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.filename}: {self.reason}"
