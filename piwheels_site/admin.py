"""Operators' door to what is told to everybody."""

from django.contrib import admin

from piwheels_site.models import Notice


@admin.register(Notice)
class NoticeAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # Django's own class takes no argument
    """News and incidents, which stand on every page from one moment to another."""

    list_display = ["title", "kind", "begins_at", "ends_at"]
    list_filter = ["kind"]
    search_fields = ["title", "text"]
