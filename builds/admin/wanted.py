"""The operators' door to what is wanted: skips, pushes, campaigns and demand.

Each is decided once; who changes their mind takes it back and decides anew.
"""

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from builds.models import Campaign, Demand, Push, Skip
from packages.record_admin import RecordAdmin


class DecisionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A table of what operators decided: rows are added and taken back, and not changed."""

    show_full_result_count = False
    exclude = ["by", "at"]

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let the list's actions be used; a row stays as it was decided."""
        return obj is None and super().has_change_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: "ModelForm[Any]", change: bool) -> None:
        """Decide, in the operator's name."""
        obj.by = str(request.user)
        obj.begin()

    def delete_model(self, request: HttpRequest, obj: Any) -> None:  # Any: a Skip or a Push
        """Take the decision back."""
        obj.end()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Take decisions back."""
        for decision in queryset:
            decision.end()


@admin.register(Skip)
class SkipAdmin(DecisionAdmin):
    """What is not built for one target."""

    list_display = ["package", "target", "reason", "by", "at"]
    list_filter = ["target"]
    list_select_related = ["package", "target"]
    search_fields = ["package__name__startswith"]
    raw_id_fields = ["package"]


@admin.register(Push)
class PushAdmin(DecisionAdmin):
    """What goes before others."""

    list_display = ["__str__", "reason", "by", "at"]
    list_filter = ["target", "rank"]
    list_select_related = ["package", "version__package", "target"]
    search_fields = ["package__name__startswith", "version__package__name__startswith"]
    raw_id_fields = ["package", "version"]


@admin.register(Campaign)
class CampaignAdmin(RecordAdmin):
    """What a great many builds are for."""

    list_display = ["name", "target", "kind", "state", "looked_at", "total", "by", "started_at"]
    list_select_related = ["target"]


@admin.register(Demand)
class DemandAdmin(RecordAdmin):
    """How much each package is wanted."""

    list_display = ["package", "downloads", "misses", "dependents"]
    list_select_related = ["package"]
    search_fields = ["package__name__startswith"]
    ordering = ["-downloads"]
