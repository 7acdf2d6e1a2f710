"""What the operators' doors of all apps share: how they show what is only recorded."""

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest


class RecordAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A table that only shows what happened."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds a record by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody deletes a record by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody edits a record; its list offers its actions, if any, to those who may change it."""
        return obj is None and bool(self.actions) and super().has_change_permission(request, obj)
