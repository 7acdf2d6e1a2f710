"""What we build for, who builds, what was tried and what came out, as rows."""

from builds.models.build import Build
from builds.models.build_queryset import BuildQuerySet
from builds.models.builder import Builder, BuilderQuerySet
from builds.models.campaign import Campaign, CampaignQuerySet
from builds.models.counted import (
    Breakage,
    BuildDay,
    BuilderDay,
    Counting,
    StandingFailure,
    TargetQueue,
    WheelDay,
)
from builds.models.dependency import Dependency
from builds.models.recipe import Recipe
from builds.models.refusal import Refusal
from builds.models.size import Size
from builds.models.storage_check import StorageCheck, StorageCheckQuerySet
from builds.models.target import Target, TargetQuerySet
from builds.models.terms import Terms
from builds.models.wanted import Demand, Push, Skip
from builds.models.wheel import Wheel, WheelQuerySet

__all__ = [
    "Breakage",
    "Build",
    "BuildDay",
    "BuildQuerySet",
    "Builder",
    "BuilderDay",
    "BuilderQuerySet",
    "Campaign",
    "CampaignQuerySet",
    "Counting",
    "Demand",
    "Dependency",
    "Push",
    "Recipe",
    "Refusal",
    "Size",
    "Skip",
    "StandingFailure",
    "StorageCheck",
    "StorageCheckQuerySet",
    "Target",
    "TargetQuerySet",
    "TargetQueue",
    "Terms",
    "Wheel",
    "WheelDay",
    "WheelQuerySet",
]
