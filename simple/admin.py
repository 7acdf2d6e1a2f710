"""Operators' door to the download counts, to read."""

from django.contrib import admin

from packages.record_admin import RecordAdmin
from simple.models import Download, Miss


@admin.register(Download)
class DownloadAdmin(RecordAdmin):
    """Downloads are counted, not written."""

    list_display = ["wheel", "day", "count"]
    list_select_related = ["wheel"]
    search_fields = ["wheel__filename"]
    date_hierarchy = "day"


@admin.register(Miss)
class MissAdmin(RecordAdmin):
    """What was looked for in vain."""

    list_display = ["package", "day", "count"]
    list_select_related = ["package"]
    search_fields = ["package__name__startswith"]
    date_hierarchy = "day"
