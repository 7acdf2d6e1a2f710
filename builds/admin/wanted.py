"""The operators' door to what is wanted: skips, pushes, campaigns and demand.

Each is decided once; who changes their mind takes it back and decides anew.
"""

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.html import format_html_join

from builds import campaigns
from builds.clock import database_now
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


class CampaignForm(ModelForm):  # type: ignore[type-arg]
    """A campaign as an operator writes it."""

    class Meta:
        model = Campaign
        fields = ["name", "target", "kind", "count", "failure", "since", "packages"]

    def clean(self) -> dict[str, Any]:  # Any: what each field has made of its text
        """Refuse what could not begin."""
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.errors:
            try:
                campaigns.prepare(Campaign(**cleaned), database_now())
            except campaigns.CannotBegin as problem:
                self.add_error(None, str(problem))
        return cleaned


@admin.register(Campaign)
class CampaignAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """What a great many builds are for."""

    form = CampaignForm
    list_display = ["name", "target", "kind", "state", "progress", "by", "started_at"]
    list_select_related = ["target"]
    readonly_fields = ["state", "progress", "regressions", "by", "started_at", "ended_at"]
    actions = ["stop"]

    def has_change_permission(self, request: HttpRequest, obj: Campaign | None = None) -> bool:
        """Let the list's actions be used; what has begun stays as it is."""
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Campaign | None = None) -> bool:
        """Builds lead here."""
        return False

    def save_model(self, request: HttpRequest, obj: Campaign, form: Any, change: bool) -> None:
        """Begin, in the operator's name."""
        obj.by = str(request.user)
        campaigns.begin(obj, database_now())

    @admin.display
    def progress(self, campaign: Campaign) -> str:
        """Show how far it is."""
        return str(campaigns.progress(campaign, database_now())) if campaign.pk else ""

    @admin.display(description="failed, and built on the release before")
    def regressions(self, campaign: Campaign) -> str:
        """Show the first of what became worse."""
        found = campaigns.regressions(campaign).select_related("version__package")[:100]
        shown = ((build.get_absolute_url(), build.version) for build in found)
        return format_html_join(", ", '<a href="{}">{}</a>', shown)

    @admin.action(description="Stop: drop what waits for them")
    def stop(self, request: HttpRequest, queryset: QuerySet[Campaign]) -> None:
        """Stop."""
        now = database_now()
        dropped = sum(campaigns.stop(campaign, str(request.user), now) for campaign in queryset)
        self.message_user(request, f"{dropped} waiting builds were dropped.")


@admin.register(Demand)
class DemandAdmin(RecordAdmin):
    """How much each package is wanted."""

    list_display = ["package", "downloads", "misses", "dependents"]
    list_select_related = ["package"]
    search_fields = ["package__name__startswith"]
    ordering = ["-downloads"]
