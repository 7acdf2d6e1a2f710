"""The operators' door to what is done differently."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import transaction
from django.forms import ModelForm
from django.http import HttpRequest

from builds.models import Build, Recipe
from builds.planning import recipes
from packages.admin_deeds import ConfirmedForm
from packages.clock import database_now
from packages.models import Package
from packages.record_admin import FarmAdmin, changed_columns
from packages.wording import many


class RecipeForm(ConfirmedForm):
    """A recipe as an operator writes it, with what is wrong said at its field."""

    class Meta:
        model = Recipe
        fields = [
            *("package", "failure", "apt", "environment", "memory_bytes", "time_limit_s"),
            *("size", "rung", "note"),
        ]

    def check_together(self, cleaned: dict[str, Any]) -> None:
        """Check the fields against each other and against what builders can do."""
        try:
            recipes.check(Recipe(**cleaned))
        except ValidationError as problem:
            self.add_error(None, problem)

    def effect(self, cleaned: dict[str, Any]) -> str:
        """Say how many builds are queued again."""
        builds, packages = recipes.count_again(Recipe(**cleaned))
        if not builds:
            return ""
        most = "the first " * (builds == recipes.MOST_AGAIN)
        return f"This queues {most}{many(builds, Build._meta)} of {many(packages, Package._meta)} again."


@admin.register(Recipe)
class RecipeAdmin(FarmAdmin):
    """What to do differently; saving one builds again what failed and is for it."""

    form = RecipeForm
    list_display = ["__str__", "apt", "environment", "size", "rung", "changed_at"]
    list_select_related = ["package"]
    search_fields = ["package__name__startswith", "failure"]
    raw_id_fields = ["package"]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Begin a recipe with what the address says; names of Debian packages stand between spaces there."""
        begins: dict[str, Any] = super().get_changeform_initial_data(request)
        return {**begins, "apt": str(begins.get("apt", "")).split()}

    def save_model(self, request: HttpRequest, obj: Recipe, form: "ModelForm[Recipe]", change: bool) -> None:
        """Save, and say what follows once that is done."""
        recipes.save(obj, database_now(), changed_columns(form) if change else None)
        transaction.on_commit(lambda: self._requeue(request, obj))

    def _requeue(self, request: HttpRequest, recipe: Recipe) -> None:
        again = recipes.requeue_failed(recipe)
        self.message_user(request, f"{again} failed builds are queued again.")
