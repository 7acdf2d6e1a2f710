"""Who asked for a package to be built, without a word of who they are."""

from django.db import models
from django.db.models import Q

from builds.models import Target


class Request(models.Model):
    """One client's wish, on one day (UTC), for wheels of one package for one target.

    The client is a number made of its address and the day's salt; once that is thrown away it tells nothing.
    A package that we do not follow yet has only its name.
    """

    day = models.DateField()
    client = models.BigIntegerField()
    name = models.CharField(max_length=200, help_text="The canonical name (PEP 503).")
    target = models.ForeignKey(
        Target, models.CASCADE, null=True, blank=True, related_name="+", help_text="Empty: for all."
    )

    class Meta:
        verbose_name = "request to build"
        verbose_name_plural = "requests to build"
        constraints = [
            models.UniqueConstraint(
                fields=["day", "client", "name", "target"],
                condition=Q(target__isnull=False),
                name="simple_request_of_target",
            ),
            models.UniqueConstraint(
                fields=["day", "client", "name"],
                condition=Q(target__isnull=True),
                name="simple_request_of_all_targets",
            ),
        ]
        indexes = [models.Index(fields=["day", "client"], name="simple_request_of_client")]

    def __str__(self) -> str:
        return f"{self.name} {self.day}"
