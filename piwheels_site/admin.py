"""Operators' door to what is told to everybody."""

from django.contrib import admin

from packages.record_admin import RecordAdmin
from piwheels_site.models import Alert, Message, Notice


@admin.register(Notice)
class NoticeAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # Django's own class takes no argument
    """News and incidents, which stand on every page from one moment to another."""

    list_display = ["title", "kind", "begins_at", "ends_at"]
    list_filter = ["kind"]
    search_fields = ["title", "text"]


@admin.register(Alert)
class AlertAdmin(RecordAdmin):
    """What needs or needed a person, and when that was told."""

    list_display = ["title", "since", "first_seen_at", "ended_at", "told_at", "end_told_at"]
    search_fields = ["title", "key"]


@admin.register(Message)
class MessageAdmin(RecordAdmin):
    """What was told to whom, and what has not arrived."""

    list_display = ["subject", "channel", "made_at", "sent_at", "attempts", "error", "given_up_at"]
    list_filter = ["channel"]
