"""The list of who did what, to be read and by nobody changed; `packages.audit` says how it is kept."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from packages import audit
from packages.record_admin import RecordAdmin


class ActionFilter(admin.SimpleListFilter):
    """What was done."""

    title = "action"
    parameter_name = "did"
    _FLAGS = {"Added": ADDITION, "Deleted": DELETION}
    # What is done elsewhere than in a list.
    _OTHERS = (
        *("start campaign", "set up second factor", "new recovery codes", "make operator token"),
        "change own password",
        *("skip build of builder", "halt builder", "kill builder"),
    )

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # Any: Django's own
        """Offer each deed that a list has, and what forms do."""
        deeds = {
            action.deed.name
            for registered in model_admin.admin_site._registry.values()
            for action, *_ in registered._get_base_actions()
            if hasattr(action, "deed")
        }
        return [(name, name) for name in ("Added", "Changed", "Deleted", *sorted(deeds | set(self._OTHERS)))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        """Narrow to one."""
        name = self.value()
        if not name:
            return queryset
        if name in self._FLAGS:
            return queryset.filter(action_flag=self._FLAGS[name])
        if name == "Changed":
            return queryset.filter(action_flag=CHANGE, change_message__startswith="[")
        return queryset.filter(change_message__startswith=f"{name}: ")


@admin.register(LogEntry)
class LogEntryAdmin(RecordAdmin):
    """Who did what, when, to what and why."""

    list_display = ["action_time", "user", "did", "content_type", "done_to", "said"]
    list_display_links = None
    list_filter = [("user", admin.RelatedOnlyFieldListFilter), ActionFilter]
    list_select_related = ["user", "content_type"]
    # What was done in years of one or two people is short enough to be looked through.
    date_hierarchy = "action_time"
    search_fields = ["object_repr", "change_message"]
    ordering = ["-pk"]

    @admin.display(description="action")
    def did(self, entry: LogEntry) -> str:
        """Show what was done, in a word or two."""
        return audit.action_of(entry)

    @admin.display(description="to")
    def done_to(self, entry: LogEntry) -> str:
        """Show what it was done to."""
        url = None if entry.is_deletion() or not entry.object_id else entry.get_admin_url()
        return format_html('<a href="{}">{}</a>', url, entry.object_repr) if url else entry.object_repr

    @admin.display(description="what came of it, and why")
    def said(self, entry: LogEntry) -> str:
        """Show the rest."""
        return audit.said_of(entry)
