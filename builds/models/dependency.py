"""What must be there for wheels to work."""

from typing import Self

from django.db import models
from django.db.models import Q

from builds.models.wheel import Wheel


class DependencyQuerySet(models.QuerySet["Dependency"]):
    """Which of the things that wheels need."""

    def of_pip(self) -> Self:
        """Other packages, but not those that are needed for an extra alone."""
        packages = self.filter(tool=Dependency.Tool.PIP)
        return packages.exclude(requirement__contains="extra ==").exclude(requirement__contains="extra==")


class Dependency(models.Model):
    """Something that must be there for a wheel to work: an apt package, another package, or a library."""

    class Tool(models.TextChoices):
        """What installs the dependency."""

        APT = "apt"
        PIP = "pip"
        # Nobody knows: a library that no package on the builder has.
        NONE = "lib", "library of no package"

    # The constraint below begins with it.
    wheel = models.ForeignKey(Wheel, models.CASCADE, related_name="dependencies", db_index=False)
    tool = models.CharField(max_length=3, choices=Tool)
    name = models.CharField(max_length=255)
    requirement = models.TextField(
        blank=True, help_text="With versions and markers, as METADATA or dpkg-shlibdeps has it."
    )

    objects = DependencyQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "dependencies"
        constraints = [
            models.UniqueConstraint(
                fields=["wheel", "tool", "name", "requirement"], name="builds_dependency_unique"
            )
        ]
        indexes = [
            # Who needs a package; apt's names are asked for by their wheel alone.
            models.Index(fields=["name"], condition=Q(tool="pip"), name="builds_dependency_needed"),
            # Few of a hundred million, for whoever looks at them alone.
            models.Index(fields=["id"], condition=Q(tool="lib"), name="builds_dependency_of_nobody"),
        ]

    def __str__(self) -> str:
        return self.name
