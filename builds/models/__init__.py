"""What we build for, who builds, what was tried and what came out, as rows."""

from builds.models.build import Build, BuildQuerySet
from builds.models.builder import Builder, BuilderQuerySet
from builds.models.recipe import Recipe
from builds.models.size import Size
from builds.models.target import Target, TargetQuerySet
from builds.models.wheel import Dependency, Refusal, Wheel, WheelQuerySet

__all__ = [
    "Build",
    "BuildQuerySet",
    "Builder",
    "BuilderQuerySet",
    "Dependency",
    "Recipe",
    "Refusal",
    "Size",
    "Target",
    "TargetQuerySet",
    "Wheel",
    "WheelQuerySet",
]
