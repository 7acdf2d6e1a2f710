"""What is wanted or not, by whom and how much, as rows; `builds.planning.places` makes an order of it."""

from typing import Self

from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Now

from builds.models.target import Target
from builds.planning.priority import RAISABLE
from packages.models import Package, Version


class Decision(models.Model):
    """What an operator has decided of what is wanted."""

    class Meta:
        abstract = True

    @transaction.atomic
    def begin(self) -> None:
        """Have it hold from now on."""
        self.save()
        self._tell()

    @transaction.atomic
    def end(self) -> None:
        """Have it hold no more."""
        self.delete()
        self._tell()

    def _tell(self) -> None:
        """Have whom it concerns look at it."""
        raise NotImplementedError


class Skip(Decision):
    """An operator's reason not to build a package for a target; for all targets it is the package's own."""

    package = models.ForeignKey(Package, models.CASCADE, related_name="skips")
    target = models.ForeignKey(Target, models.CASCADE, related_name="skips")
    reason = models.CharField(max_length=200, help_text="As people read it on the package's page.")
    by = models.CharField(max_length=150, blank=True, help_text="Who decided it.")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["package", "target"]
        constraints = [
            models.UniqueConstraint(fields=["package", "target"], name="builds_skip_unique"),
            models.CheckConstraint(condition=~Q(reason=""), name="builds_skip_has_reason"),
        ]

    def __str__(self) -> str:
        return f"{self.package} for {self.target}: {self.reason}"

    def _tell(self) -> None:
        self.package.request_plan()
        self.package.mark_changed()


class Push(Decision):
    """An operator's wish that a package, a version or a class of builds goes before others.

    A class is moved by and by, as `builds.planning.raising` does it.
    """

    package = models.ForeignKey(
        Package, models.CASCADE, null=True, blank=True, related_name="pushes", help_text="All its versions."
    )
    version = models.ForeignKey(Version, models.CASCADE, null=True, blank=True, related_name="pushes")
    rank = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        choices=[(int(rank), rank.name.lower()) for rank in RAISABLE],
        help_text="A class: its builds go before all but those that were asked for by name.",
    )
    target = models.ForeignKey(
        Target, models.CASCADE, null=True, blank=True, related_name="pushes", help_text="Empty: for all."
    )
    reason = models.CharField(max_length=200, blank=True, help_text="As people read it on the build's page.")
    by = models.CharField(max_length=150, blank=True, help_text="Who wants it.")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "pushes"
        constraints = [
            models.CheckConstraint(
                condition=Q(package__isnull=False, version=None, rank=None)
                | Q(package=None, version__isnull=False, rank=None)
                | Q(package=None, version=None, rank__isnull=False),
                name="builds_push_of_one_thing",
                violation_error_message="Name a package, a version or a class: one of them.",
            )
        ]

    def __str__(self) -> str:
        what = self.package or self.version or self.get_rank_display()
        return f"{what} for {self.target or 'all targets'}"

    def _tell(self) -> None:
        if package := self.package or (self.version and self.version.package):
            package.request_plan()


# The index has it, so this is its order to the letter.
MOST_WANTED = (
    (models.F("downloads") + models.F("misses")).desc(),
    models.F("dependents").desc(),
    models.F("package"),
)


class DemandQuerySet(models.QuerySet["Demand"]):
    """Questions about what is wanted."""

    def most_wanted(self) -> Self:
        """Return what is wanted, most first: by what pip looked for; of equals what more packages need."""
        return self.order_by(*MOST_WANTED)


class Demand(models.Model):
    """How much a package is wanted, as was counted last; none for what nobody wants."""

    package = models.OneToOneField(Package, models.CASCADE, primary_key=True, related_name="demand")
    downloads = models.PositiveBigIntegerField(default=0, help_text="Of its wheels, in 30 days.")
    misses = models.PositiveBigIntegerField(
        default=0, help_text="How often pip looked for it in 30 days while there was nothing."
    )
    dependents = models.PositiveIntegerField(default=0, help_text="Packages with wheels that need it.")

    objects = DemandQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "demand"
        indexes = [models.Index(*MOST_WANTED, name="builds_demand_most")]

    def __str__(self) -> str:
        return f"{self.package}: {self.downloads} + {self.misses}, {self.dependents} dependents"
