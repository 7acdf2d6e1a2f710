"""Operators' door to the download counts, to read."""

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from simple.models import Download


@admin.register(Download)
class DownloadAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Downloads are counted, not written."""

    list_display = ["wheel", "day", "count"]
    list_select_related = ["wheel"]
    search_fields = ["wheel__filename"]
    date_hierarchy = "day"

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds downloads."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody changes downloads."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody deletes downloads."""
        return False
