"""The operators' door to what was counted: to be looked at, as all of it is counted anew by itself."""

from django.contrib import admin

from builds.models import Breakage, BuildDay, Counting, StandingFailure, TargetQueue
from packages.record_admin import RecordAdmin


@admin.register(Counting)
class CountingAdmin(RecordAdmin):
    """When each thing was last counted, and how long that took."""

    list_display = ["thing", "at", "took_s", "through"]


@admin.register(TargetQueue)
class TargetQueueAdmin(RecordAdmin):
    """What waits for each target."""

    list_display = ["target", "ready", "pausing", "oldest_at", "per_hour"]


@admin.register(BuildDay)
class BuildDayAdmin(RecordAdmin):
    """How builds ended, by day."""

    list_display = ["day", "target", "state", "failure", "count"]
    list_select_related = ["target"]


@admin.register(StandingFailure)
class StandingFailureAdmin(RecordAdmin):
    """How many packages fail in which way at the moment."""

    list_display = ["failure", "packages", "dependents"]


@admin.register(Breakage)
class BreakageAdmin(RecordAdmin):
    """New releases that failed although their packages were built before."""

    list_display = ["day", "build", "good"]
    list_select_related = ["build__version__package", "build__target", "good__package"]
