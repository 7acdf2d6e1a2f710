"""Operators' door to what is counted, to read.

Single downloads are not here, as Django's admin shows no rows with a key of two columns; neither are salts.
"""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from packages.record_admin import RecordAdmin
from simple.models import (
    Bundle,
    Client,
    Download,
    DownloadDay,
    Log,
    Miss,
    MonthlyDownload,
    PackageDownload,
    PublishedTree,
    Request,
    Shown,
)


@admin.register(Shown)
class ShownAdmin(RecordAdmin):
    """What the published tree has of each package; one with a time to try again could not be written."""

    list_display = ["package", "indexes", "retry_at", "sweep_at"]
    list_select_related = ["package"]
    list_filter = [("retry_at", admin.EmptyFieldListFilter)]
    search_fields = ["package__name__startswith"]


@admin.register(PublishedTree)
class PublishedTreeAdmin(RecordAdmin):
    """How old the lists of projects are, and what it took to write them."""

    list_display = ["key", "listed_at", "listing_s", "names", "names_listed"]


class SaidFilter(admin.AllValuesFieldListFilter):
    """The values that there are; an empty one is a choice that can be read, too."""

    def choices(self, changelist: Any) -> Iterator[Any]:  # Any: Django's signature
        """Give the choices."""
        for choice in super().choices(changelist):
            yield {**choice, "display": choice["display"] or "not said"}


@admin.register(Client)
class ClientAdmin(RecordAdmin):
    """Kinds of clients."""

    list_display = ["installer", "installer_version", "python", "os", "os_release", "architecture"]
    list_display_links = list_display
    list_filter = [(name, SaidFilter) for name in ("installer", "python", "architecture", "os")]


@admin.register(Download)
class DownloadAdmin(RecordAdmin):
    """Downloads are counted, not written; those of one wheel are found by month."""

    list_display = ["wheel", "day", "count", "client"]
    list_select_related = ["wheel", "client"]
    list_filter = ["day"]


@admin.register(MonthlyDownload)
class MonthlyDownloadAdmin(RecordAdmin):
    """Downloads by month."""

    list_display = ["wheel", "month", "count", "client"]
    list_select_related = ["wheel", "client"]
    search_fields = ["wheel__filename__startswith"]
    list_filter = ["month"]


@admin.register(PackageDownload)
class PackageDownloadAdmin(RecordAdmin):
    """Downloads of packages."""

    list_display = ["package", "day", "count"]
    list_select_related = ["package"]
    search_fields = ["package__name__startswith"]
    list_filter = ["day"]


@admin.register(DownloadDay)
class DownloadDayAdmin(RecordAdmin):
    """All downloads, by day."""

    list_display = ["day", "count", "in_month"]
    ordering = ["-day"]


@admin.register(Log)
class LogAdmin(RecordAdmin):
    """How far logs were read."""

    list_display = ["path", "is_followed", "is_over", "lines", "downloads", "misses", "refused", "read_at"]
    ordering = ["-read_at"]
    search_fields = ["path"]


@admin.register(Miss)
class MissAdmin(RecordAdmin):
    """What was looked for in vain."""

    list_display = ["package", "day", "count"]
    list_select_related = ["package"]
    search_fields = ["package__name__startswith"]
    list_filter = ["day"]


@admin.register(Request)
class RequestAdmin(RecordAdmin):
    """What people asked to be built, each of them once a day."""

    list_display = ["name", "target", "day"]
    list_select_related = ["target"]
    list_filter = ["day"]
    search_fields = ["name__startswith"]


@admin.register(Bundle)
class BundleAdmin(RecordAdmin):
    """Bundles for machines without a network, as long as they are kept.

    What somebody asked for is between the page and whoever has its address: neither is shown or found here.
    """

    list_display = ["pk", "target", "state", "size", "asked_at", "expires_at"]
    list_select_related = ["target"]
    list_filter = ["state"]
    # By the whole of it: who has the address and a question gives it.
    search_fields = ["key__exact"]
    # The last of these name packages.
    exclude = ["client", "wanted", "installed", "question", "content", "step", "problem"]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Narrow the list by what it offers alone: by parts of a column, that could be guessed."""
        return lookup.partition("__")[0] in self.list_filter
