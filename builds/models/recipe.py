"""What an operator wants done differently, as rows; `builds.planning.recipes` puts it into orders."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from builds import statements
from builds.models.size import Size
from packages.models import Package


class RecipeQuerySet(models.QuerySet["Recipe"]):
    """Questions about recipes."""

    def of_package(self, package: int) -> "Recipe | None":
        """Return a package's own recipe, if it has one; asked twice for each build, and mostly it has not."""
        return self.filter(package=package).first() if statements.has_recipe(package) else None


class Recipe(models.Model):
    """What an operator wants done differently: for one package, or for all that failed in one way."""

    package = models.OneToOneField(
        Package, models.CASCADE, null=True, blank=True, related_name="recipe", help_text="Empty: for a class."
    )
    failure = models.CharField(
        max_length=30, blank=True, help_text="A class of failure; used for builds that failed so before."
    )
    apt = models.JSONField(
        default=list, blank=True, help_text='Debian packages to build with: ["libffi-dev"].'
    )
    environment = models.JSONField(default=dict, blank=True, help_text='Variables: {"CYTHON_FORCE": "1"}.')
    memory_bytes = models.BigIntegerField(null=True, blank=True, help_text="The most that a build may use.")
    time_limit_s = models.PositiveIntegerField(null=True, blank=True, help_text="Seconds; empty: the farm's.")
    size = models.CharField(max_length=6, choices=Size, blank=True, help_text="The smallest builder.")
    rung = models.CharField(max_length=30, blank=True, help_text="The rung of the ladder to begin with.")
    note = models.TextField(blank=True, help_text="Why, for whoever comes next.")
    changed_at = models.DateTimeField(db_default=Now())

    objects = RecipeQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(package__isnull=False, failure="") | (Q(package__isnull=True) & ~Q(failure="")),
                name="builds_recipe_for_one_thing",
            ),
            models.UniqueConstraint(
                fields=["failure"], condition=~Q(failure=""), name="builds_recipe_failure_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"recipe for {self.package or self.failure}"
