"""The operators' door to what is wanted: skips, pushes, campaigns and demand.

Each is decided once; who changes their mind takes it back and decides anew.
"""

from typing import Any

from django.contrib import admin
from django.db.models import Count, Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.html import format_html_join

from builds.models import Build, Campaign, Demand, Push, Skip
from builds.models.wanted import MOST_WANTED
from builds.planning import campaigns
from packages.admin_deeds import ConfirmedForm, Outcome, Wish, deed
from packages.clock import database_now
from packages.models import Package
from packages.record_admin import FarmAdmin, OneByOneAdmin, RecordAdmin
from packages.wording import many


class DecisionAdmin(OneByOneAdmin):
    """A table of what operators decided: rows are added and taken back, and not changed."""

    exclude = ["by", "at"]
    actions = ["take_back"]

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let the list's actions be used; a row stays as it was decided."""
        return obj is None and super().has_change_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: "ModelForm[Any]", change: bool) -> None:
        """Decide, in the operator's name."""
        obj.by = request.user.get_username()
        obj.begin()

    def delete_model(self, request: HttpRequest, obj: Any) -> None:  # Any: a Skip or a Push
        """Take the decision back."""
        obj.end()

    @deed(
        "take back",
        label="Take back: it holds no more",
        question="This takes {what} back.",
        permission="delete",
    )
    def take_back(self, rows: QuerySet[Any], wish: Wish) -> Outcome:  # Any: as above
        """Take decisions back."""
        decisions = list(rows)
        for decision in decisions:
            decision.end()
        return Outcome(f"{many(len(decisions), self.opts)} taken back.")


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


class CampaignForm(ConfirmedForm):
    """A campaign as an operator writes it."""

    class Meta:
        model = Campaign
        fields = ["name", "target", "kind", "count", "failure", "since", "packages"]

    def check_together(self, cleaned: dict[str, Any]) -> None:
        """Refuse what could not begin."""
        self.campaign = Campaign(**cleaned)
        try:
            campaigns.prepare(self.campaign, database_now())
        except campaigns.CannotBegin as problem:
            self.add_error(None, str(problem))

    def effect(self, cleaned: dict[str, Any]) -> str:
        """Say how much it goes through."""
        total = self.campaign.total
        is_again = self.campaign.kind == Campaign.Kind.FAILED
        what = many(total, Build._meta, "failed ") if is_again else many(total, Package._meta)
        return f"This goes through {what} for {self.campaign.target}."


@admin.register(Campaign)
class CampaignAdmin(FarmAdmin):
    """What a great many builds are for."""

    form = CampaignForm
    list_display = ["name", "target", "kind", "state", "counted_last", "by", "started_at"]
    list_select_related = ["target"]
    readonly_fields = ["state", "progress", "regressions", "by", "started_at", "ended_at"]
    actions = ["stop"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Campaign]:
        """Leave what it goes through where it is: a hundred thousand keys."""
        return super().get_queryset(request).defer(*Campaign.LONG)

    def get_readonly_fields(self, request: HttpRequest, obj: Campaign | None = None) -> list[str]:
        """Show how far it is of one that has begun."""
        return list(super().get_readonly_fields(request, obj)) if obj else []

    def what(self, rows: QuerySet[Campaign]) -> str:
        """Name the campaigns, and say how many builds of them wait."""
        # What an operator wants for itself, too, stays.
        dropped = {"builds__state": Build.State.QUEUED, "builds__rebuild_reason": ""}
        waiting = rows.filter(**dropped).aggregate(count=Count("builds"))["count"]
        return f"{', '.join(row.name for row in rows)}, with {many(waiting, Build._meta, 'waiting ')}"

    def has_change_permission(self, request: HttpRequest, obj: Campaign | None = None) -> bool:
        """Let the list's actions be used; what has begun stays as it is."""
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Campaign | None = None) -> bool:
        """Builds lead here."""
        return False

    def save_model(self, request: HttpRequest, obj: Campaign, form: Any, change: bool) -> None:
        """Begin, in the operator's name."""
        obj.by = request.user.get_username()
        campaigns.begin(obj, database_now())

    @admin.display(description="progress, as was counted last")
    def counted_last(self, campaign: Campaign) -> str:
        """Show how far it was some seconds ago, as to count it costs queries for each."""
        return str(campaigns.Progress(**campaign.counted)) if campaign.counted else "not counted yet"

    @admin.display
    def progress(self, campaign: Campaign) -> str:
        """Show how far it is."""
        return str(campaigns.progress(campaign, database_now()))

    @admin.display(description="failed, and built on the release before")
    def regressions(self, campaign: Campaign) -> str:
        """Show the first of what became worse."""
        found = campaigns.regressions(campaign).select_related("version__package", "target")[:100]
        shown = ((build.get_absolute_url(), build.version) for build in found)
        return format_html_join(", ", '<a href="{}">{}</a>', shown)

    @deed(
        "stop campaign",
        label="Stop: drop what waits for them",
        question="This stops {what}. They are dropped; what the farm builds anyway is queued again.",
    )
    def stop(self, rows: QuerySet[Campaign], wish: Wish) -> Outcome:
        """Stop."""
        now = database_now()
        going_on = sum(campaign.state == Campaign.State.RUNNING for campaign in rows)
        dropped = sum(campaigns.stop(campaign, wish.by, now) for campaign in rows)
        return Outcome(f"{many(going_on, self.opts)} stopped; {many(dropped, Build._meta)} dropped.")


@admin.register(Demand)
class DemandAdmin(RecordAdmin):
    """How much each package is wanted."""

    list_display = ["package", "downloads", "misses", "dependents"]
    list_select_related = ["package"]
    search_fields = ["package__name__startswith"]
    # As its index has it.
    ordering = MOST_WANTED
