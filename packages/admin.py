"""The operators' door to what exists upstream: they decide what is skipped and how deep we follow.

Whatever upstream says is shown and cannot be edited, as the next look-up would write it anew.
"""

from datetime import timedelta
from typing import ClassVar

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone

from packages import doubt
from packages.health import sync_health
from packages.models import (
    Alias,
    Dirty,
    ImportRefusal,
    ImportStep,
    Package,
    SyncCursor,
    UpstreamFile,
    Version,
)
from packages.record_admin import RecordAdmin

# What an action writes as the reason; a better one can be written into the row's form.
BY_OPERATOR = "As decided by an operator"


class UpstreamAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A table that follows upstream; only what is named in `decided` is an operator's."""

    decided: ClassVar[tuple[str, ...]] = ()
    show_full_result_count = False

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """Show what upstream says as it is."""
        return [field.name for field in self.opts.fields if field.name not in self.decided]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody makes up what there is upstream."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Builds and wheels lead here, so nothing goes."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let rows be edited where an operator has something to decide."""
        return (obj is None or bool(self.decided)) and super().has_change_permission(request, obj)


@admin.register(Package)
class PackageAdmin(UpstreamAdmin):
    """What the farm follows."""

    decided = ("skip_reason", "depth")
    list_display = ["name", "status", "summary", "skip_reason", "depth", "fetched_at"]
    list_filter = ["status", ("skip_reason", admin.EmptyFieldListFilter), "plan_needed"]
    search_fields = ["name"]
    actions = ["skip", "unskip", "look_up", "plan", "rejoin"]

    def save_model(
        self, request: HttpRequest, obj: Package, form: "ModelForm[Package]", change: bool
    ) -> None:
        """Carry out what the operator decided."""
        if "skip_reason" in form.changed_data:
            obj.skip(obj.skip_reason)
        if "depth" in form.changed_data:
            obj.follow(obj.depth)

    @admin.action(description="Skip, as decided by an operator", permissions=["change"])
    def skip(self, request: HttpRequest, queryset: QuerySet[Package]) -> None:
        """Build nothing more of them."""
        for package in queryset:
            package.skip(BY_OPERATOR)

    @admin.action(description="Build again what was skipped", permissions=["change"])
    def unskip(self, request: HttpRequest, queryset: QuerySet[Package]) -> None:
        """Build them again."""
        for package in queryset:
            package.unskip()

    @admin.action(description="Look up upstream now", permissions=["change"])
    def look_up(self, request: HttpRequest, queryset: QuerySet[Package]) -> None:
        """Mark them; the worker that looks them up writes what it finds."""
        for package in queryset:
            Dirty.mark(package.name)
        self.message_user(request, "They are looked up within a minute or so.")

    @admin.action(description="It is the same project as before it was gone", permissions=["change"])
    def rejoin(self, request: HttpRequest, queryset: QuerySet[Package]) -> None:
        """Show again what was built before the name was registered anew."""
        for package in queryset:
            package.rejoin()

    @admin.action(description="Plan again", permissions=["change"])
    def plan(self, request: HttpRequest, queryset: QuerySet[Package]) -> None:
        """Have another look at what is to be built of them."""
        for package in queryset:
            package.request_plan()


@admin.register(Version)
class VersionAdmin(UpstreamAdmin):
    """Versions of packages."""

    decided = ("skip_reason",)
    list_display = ["package", "number", "released_at", "yanked", "skip_reason", "requested_at", "gone_at"]
    list_filter = [
        ("skip_reason", admin.EmptyFieldListFilter),
        ("requested_at", admin.EmptyFieldListFilter),
        ("gone_at", admin.EmptyFieldListFilter),
        "yanked",
    ]
    list_select_related = ["package"]
    search_fields = ["package__name__startswith", "number__startswith"]
    actions = ["skip", "unskip", "ask"]

    def save_model(
        self, request: HttpRequest, obj: Version, form: "ModelForm[Version]", change: bool
    ) -> None:
        """Carry out what the operator decided."""
        if "skip_reason" in form.changed_data:
            obj.skip(obj.skip_reason)

    @admin.action(description="Skip, as decided by an operator", permissions=["change"])
    def skip(self, request: HttpRequest, queryset: QuerySet[Version]) -> None:
        """Build them no more."""
        for version in queryset.select_related("package"):
            version.skip(BY_OPERATOR)

    @admin.action(description="Build again what was skipped", permissions=["change"])
    def unskip(self, request: HttpRequest, queryset: QuerySet[Version]) -> None:
        """Build them again."""
        for version in queryset.select_related("package"):
            version.unskip()

    @admin.action(description="Build these first", permissions=["change"])
    def ask(self, request: HttpRequest, queryset: QuerySet[Version]) -> None:
        """Ask for them to be built before all that nobody asked for."""
        now = timezone.now()
        for version in queryset.select_related("package"):
            version.request(now)


@admin.register(UpstreamFile)
class UpstreamFileAdmin(UpstreamAdmin):
    """Files that upstream offers."""

    list_display = ["filename", "version", "kind", "size", "uploaded_at", "yanked", "gone_at"]
    list_filter = ["kind", "yanked", ("gone_at", admin.EmptyFieldListFilter)]
    list_select_related = ["version__package"]
    search_fields = ["filename__startswith", "=sha256"]


@admin.register(Alias)
class AliasAdmin(UpstreamAdmin):
    """Spellings of names."""

    list_display = ["name", "package", "seen_at"]
    list_select_related = ["package"]
    search_fields = ["name__startswith"]


@admin.register(Dirty)
class DirtyAdmin(UpstreamAdmin):
    """Names that wait to be looked up."""

    list_display = ["name", "why", "wanted_serial", "marked_at", "attempts", "not_before", "error"]
    list_filter = ["why", ("error", admin.EmptyFieldListFilter)]
    search_fields = ["name__startswith"]


@admin.register(ImportStep)
class ImportStepAdmin(RecordAdmin):
    """How far an import from piwheels.org's software is."""

    list_display = ["name", "cursor", "counts", "took_s", "finished_at"]


@admin.register(ImportRefusal)
class ImportRefusalAdmin(RecordAdmin):
    """What an import did not take, and why."""

    list_display = ["key", "subject", "reason", "detail", "build", "at"]
    list_filter = ["subject"]
    search_fields = ["key__startswith", "reason__startswith"]


@admin.register(SyncCursor)
class SyncCursorAdmin(UpstreamAdmin):
    """How far we have read, what of upstream is in use, and what is in doubt."""

    list_display = [
        *("serial", "lag", "journal", "polled_at", "listing", "listed_at", "oldest"),
        *("stale_answers", "corrections", "paused_until", "warning"),
    ]
    actions = ["believe"]

    @admin.display(description="longest waiting name")
    def oldest(self, cursor: SyncCursor) -> str:
        """Show since when the longest waiting name waits."""
        seconds = sync_health(timezone.now()).oldest_s
        return "none waits" if seconds is None else f"{timedelta(seconds=round(seconds))}"

    @admin.display(description="warning")
    def warning(self, cursor: SyncCursor) -> str:
        """Show what an operator has to know."""
        return sync_health(timezone.now()).warning or "none"

    @admin.action(
        description="Upstream is right: withdraw what it removed, for a day", permissions=["change"]
    )
    def believe(self, request: HttpRequest, queryset: QuerySet[SyncCursor]) -> None:
        """Believe all absences, as the operator has looked."""
        count = doubt.believe(timezone.now())
        self.message_user(request, f"{count} packages that upstream denies are asked for and then withdrawn.")
