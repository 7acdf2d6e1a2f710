"""The operators' door to what exists upstream: they decide what is skipped and how deep we follow.

Whatever upstream says is shown and cannot be edited, as the next look-up would write it anew.
"""

from datetime import timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from packages import adding, doubt
from packages.admin_deeds import Outcome, Reason, Wish, deed
from packages.clock import database_now
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
from packages.record_admin import FarmAdmin, RecordAdmin, by_package, search_version
from packages.wording import many


class UpstreamAdmin(FarmAdmin):
    """A table that follows upstream; only what is named in `decided` is an operator's."""

    decided: ClassVar[tuple[str, ...]] = ()

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
    search_fields = ["name__startswith"]
    actions = ["skip", "unskip", "look_up", "plan", "rejoin"]

    def save_model(
        self, request: HttpRequest, obj: Package, form: "ModelForm[Package]", change: bool
    ) -> None:
        """Carry out what the operator decided."""
        if "skip_reason" in form.changed_data:
            obj.skip(obj.skip_reason)
        if "depth" in form.changed_data:
            obj.follow(obj.depth)

    @deed(
        "skip package",
        label="Skip",
        question="This skips {what}: nothing of them is built until somebody unskips them.",
        reason=Reason.MUST,
    )
    def skip(self, rows: QuerySet[Package], wish: Wish) -> Outcome:
        """Build nothing more of them."""
        for package in rows:
            package.skip(wish.reason)
        return Outcome(f"{many(len(rows), self.opts)} skipped.")

    @deed(
        "unskip package",
        label="Unskip: build again what was skipped",
        question="This unskips {what}.",
    )
    def unskip(self, rows: QuerySet[Package], wish: Wish) -> Outcome:
        """Build them again."""
        for package in rows:
            package.unskip()
        return Outcome(f"{many(len(rows), self.opts)} unskipped.")

    @deed(
        "look up package", label="Look up upstream now", question="This looks up {what}.", reason=Reason.NONE
    )
    def look_up(self, rows: QuerySet[Package], wish: Wish) -> Outcome:
        """Mark them; the worker that looks them up writes what it finds."""
        for package in rows:
            Dirty.mark(package.name)
        return Outcome(f"{many(len(rows), self.opts)} looked up within a minute or so.")

    @deed(
        "rejoin package",
        label="It is the same project as before it was gone",
        question="This shows again what was built of {what} before the names were registered anew. Whoever"
        " has them now must be whom the wheels from before are of.",
    )
    def rejoin(self, rows: QuerySet[Package], wish: Wish) -> Outcome:
        """Show again what was built before the name was registered anew."""
        for package in rows:
            package.rejoin()
        return Outcome(f"{many(len(rows), self.opts)} taken for what they were.")

    @deed(
        "plan package",
        label="Plan again",
        question="This looks again at what is to be built of {what}.",
        reason=Reason.NONE,
    )
    def plan(self, rows: QuerySet[Package], wish: Wish) -> Outcome:
        """Have another look at what is to be built of them."""
        for package in rows:
            package.request_plan()
        return Outcome(f"{many(len(rows), self.opts)} to be planned again.")


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
    search_fields = ["package__name"]
    search_help_text = "The beginning of a package's name; or name==version, with the beginning of a version."
    actions = ["skip", "unskip", "ask"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Version], search_term: str
    ) -> tuple[QuerySet[Version], bool]:
        """Find by package and version."""
        return search_version(queryset, search_term, ""), False

    def what(self, rows: QuerySet[Version]) -> str:
        """Say how many versions they are, of how many packages."""
        return f"{many(rows.count(), self.opts)} of {many(by_package(rows, 'package'), Package._meta)}"

    def save_model(
        self, request: HttpRequest, obj: Version, form: "ModelForm[Version]", change: bool
    ) -> None:
        """Carry out what the operator decided."""
        if "skip_reason" in form.changed_data:
            obj.skip(obj.skip_reason)

    @deed(
        "skip version",
        label="Skip",
        question="This skips {what}: they are not built until somebody unskips them.",
        reason=Reason.MUST,
    )
    def skip(self, rows: QuerySet[Version], wish: Wish) -> Outcome:
        """Build them no more."""
        for version in rows.select_related("package"):
            version.skip(wish.reason)
        return Outcome(f"{many(len(rows), self.opts)} skipped.")

    @deed(
        "unskip version",
        label="Unskip: build again what was skipped",
        question="This unskips {what}.",
    )
    def unskip(self, rows: QuerySet[Version], wish: Wish) -> Outcome:
        """Build them again."""
        for version in rows.select_related("package"):
            version.unskip()
        return Outcome(f"{many(len(rows), self.opts)} unskipped.")

    @deed(
        "ask for version",
        label="Build these first",
        question="This asks for {what}, before all that nobody asked for.",
    )
    def ask(self, rows: QuerySet[Version], wish: Wish) -> Outcome:
        """Ask for them to be built before all that nobody asked for."""
        now = database_now()
        faults = []
        for version in rows.select_related("package"):
            try:
                adding.request(version, now)
            except adding.CannotAdd as error:
                faults.append(str(error))
        return Outcome(f"{many(len(rows) - len(faults), self.opts)} asked for.", tuple(faults))


@admin.register(UpstreamFile)
class UpstreamFileAdmin(UpstreamAdmin):
    """Files that upstream offers."""

    list_display = ["filename", "version", "kind", "size", "uploaded_at", "yanked", "gone_at"]
    list_filter = ["kind", "yanked", ("gone_at", admin.EmptyFieldListFilter)]
    list_select_related = ["version__package"]
    search_fields = ["filename__startswith"]


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


class SubjectFilter(admin.SimpleListFilter):
    """What an import did not take, by what it is."""

    title = "subject"
    parameter_name = "subject"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # Any: Django's
        """Give what there is, each by a step in an index: there may be millions of a few kinds."""
        subjects = ImportRefusal.objects.order_by("subject").values_list("subject", flat=True)
        found = [first] if (first := subjects.first()) is not None else []
        while found and (following := subjects.filter(subject__gt=found[-1]).first()) is not None:
            found.append(following)
        return [(subject, subject) for subject in found]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ImportRefusal]) -> QuerySet[ImportRefusal]:
        """Choose them."""
        return queryset.filter(subject=self.value()) if self.value() else queryset


@admin.register(ImportRefusal)
class ImportRefusalAdmin(RecordAdmin):
    """What an import did not take, and why."""

    list_display = ["key", "subject", "reason", "detail", "build", "at"]
    list_filter = [SubjectFilter]
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
        seconds = sync_health(database_now()).oldest_s
        return "none waits" if seconds is None else f"{timedelta(seconds=round(seconds))}"

    @admin.display(description="warning")
    def warning(self, cursor: SyncCursor) -> str:
        """Show what an operator has to know."""
        return sync_health(database_now()).warning or "none"

    @deed(
        "believe upstream",
        label="Upstream is right: withdraw what it removed, for a day",
        question="This believes all that upstream denies, for a day: what it removed is withdrawn here.",
    )
    def believe(self, rows: QuerySet[SyncCursor], wish: Wish) -> Outcome:
        """Believe all absences, as the operator has looked."""
        count = doubt.believe(database_now())
        return Outcome(f"{many(count, Package._meta)} that upstream denies are asked for and then withdrawn.")
