"""What the operators' lists are narrowed to: what an index leads to, so that it is quick among millions."""

from collections.abc import Callable
from typing import Any

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest

from builds import failures
from builds.models import Build, BuildQuerySet, StandingFailure, Target, Wheel, WheelQuerySet


class StageFilter(SimpleListFilter):
    """How far builds are."""

    title = "stage"
    parameter_name = "stage"
    _STAGES: dict[str, Callable[[BuildQuerySet], BuildQuerySet]] = {
        "waiting": lambda builds: builds.filter(state=Build.State.QUEUED, not_before=None),
        "pausing": lambda builds: builds.filter(state=Build.State.QUEUED, not_before__isnull=False),
        "running": BuildQuerySet.assigned,
        "succeeded": lambda builds: builds.filter(state=Build.State.SUCCEEDED),
        "failed": lambda builds: builds.filter(state=Build.State.FAILED),
        "lost": lambda builds: builds.filter(state=Build.State.LOST),
        "cancelled": lambda builds: builds.filter(state=Build.State.CANCELLED),
        "given-up": BuildQuerySet.given_up,
    }

    def lookups(self, request: HttpRequest, model_admin: "ModelAdmin[Any]") -> list[tuple[str, str]]:
        """Offer each."""
        return [(key, key.replace("-", " ")) for key in self._STAGES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        """Narrow to one."""
        stage = self._STAGES.get(self.value() or "")
        return stage(queryset) if stage and isinstance(queryset, BuildQuerySet) else queryset


class FailureFilter(SimpleListFilter):
    """In which way builds failed."""

    title = "failure"
    parameter_name = "failure"

    def lookups(self, request: HttpRequest, model_admin: "ModelAdmin[Any]") -> list[tuple[str, str]]:
        """Offer what happens at the moment, what most packages have first."""
        standing = StandingFailure.objects.filter(packages__gt=0).order_by("-packages", "failure")
        known = failures.classes()
        shown = [key for key in standing.values_list("failure", flat=True) if key in known]
        if (value := self.value()) and value in known and value not in shown:
            shown.append(value)
        return [(key, known[key].title) for key in shown]

    def has_output(self) -> bool:
        """Take the parameter also while nothing fails, as other pages lead here."""
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        """Narrow to one."""
        if not (key := self.value()):
            return queryset
        if key == failures.LOST:
            return queryset.filter(state=Build.State.LOST, failure=key)
        # The index begins with the target, so all of them are named.
        targets = list(Target.objects.values_list("pk", flat=True))
        return queryset.filter(state=Build.State.FAILED, failure=key, target__in=targets)


class StandingFilter(SimpleListFilter):
    """Whether the index shows wheels, and why not."""

    title = "standing"
    parameter_name = "standing"
    _STANDINGS: dict[str, Callable[[WheelQuerySet], WheelQuerySet]] = {
        "held": WheelQuerySet.held,
        "listed": WheelQuerySet.listed,
        "to be removed": WheelQuerySet.to_remove,
    }

    def lookups(self, request: HttpRequest, model_admin: "ModelAdmin[Any]") -> list[tuple[str, str]]:
        """Offer each."""
        return [(key, key) for key in self._STANDINGS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        """Narrow to one."""
        standing = self._STANDINGS.get(self.value() or "")
        return standing(queryset) if standing and issubclass(queryset.model, Wheel) else queryset  # type: ignore[arg-type]
