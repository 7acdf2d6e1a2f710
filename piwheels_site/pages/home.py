"""The first page: what this is, how to use it, what it builds for, and what it does now."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from django.core.cache import cache
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from builds.models import Build, BuildDay, Builder, Target, Wheel, WheelDay
from packages.clock import database_now
from piwheels_site import snippets
from simple import downloads, index
from simple.models import Shown

# The counters are counted anew this often, in seconds, however many people look; and where that takes long,
# only so often that it takes a hundredth of the time.
COUNTED_EVERY, PART = 30, 0.01
NEWEST, RUNNING = 10, 12


@dataclass(frozen=True)
class Support:
    """What one target gets, as data has it."""

    target: Target
    at_work: int  # builders

    @property
    def state(self) -> tuple[str, str, str]:
        """A sign, a word and the class of its colour."""
        if not self.target.is_active:
            return "–", "not built any more, or not yet; what was built stays", "quiet"
        if not self.at_work:
            return "…", "built, when a builder is at work again", "busy"
        return "✔", f"built, by {self.at_work} builder{'' if self.at_work == 1 else 's'}", "good"


def counters() -> list[tuple[int, str]]:
    """Return the four numbers of the first page, each with its name."""
    kept: list[tuple[int, str]] | None = cache.get("home-counters")
    if kept is None:
        began = time.monotonic()
        kept = [
            _counted(Shown.objects.exclude(indexes="").count(), "package", "with wheels"),
            _counted(_sum(WheelDay), "wheel", "built"),
            _counted(_sum(BuildDay), "build", "finished"),
            _counted(downloads.total(days=30), "download", "in 30 days"),
        ]
        cache.set("home-counters", kept, max(COUNTED_EVERY, (time.monotonic() - began) / PART))
    return kept


def _counted(count: int, noun: str, what: str) -> tuple[int, str]:
    """Return a number with what there are so many of."""
    return count, f"{noun}{'' if count == 1 else 's'} {what}"


def _sum(days: type[WheelDay] | type[BuildDay]) -> int:
    """Return the sum of what was counted by day: there are millions of rows to count."""
    return days.objects.aggregate(total=Sum("count"))["total"] or 0


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show the first page."""
    site, now = request.build_absolute_uri("/"), database_now()
    running = Build.objects.assigned().select_related("version__package", "target").order_by("-claimed_at")
    newest = index.offered().select_related("package", "version", "build__target").order_by("-pk")
    context = {
        "once": snippets.once(site),
        "for_good": snippets.for_good(site)[:2],
        "counters": counters(),
        "spared_s": downloads.saved_s(),
        "supports": supports(),
        "running": running[:RUNNING],
        "newest": _by_version(newest[: 4 * NEWEST])[:NEWEST],
        "now": now,
    }
    return render(request, "pages/home.html", context)


def _by_version(wheels: Iterable[Wheel]) -> list[list[Wheel]]:
    """Return wheels with those of the same version together; one came for each target."""
    found: dict[int, list[Wheel]] = {}
    for wheel in wheels:
        found.setdefault(wheel.version_id, []).append(wheel)
    return list(found.values())


def supports() -> list[Support]:
    """Return what each target gets."""
    at_work: dict[int, int] = {}
    for target in Builder.objects.at_work(database_now()).values_list("target", flat=True):
        at_work[target] = at_work.get(target, 0) + 1
    return [Support(target, at_work.get(target.pk, 0)) for target in Target.objects.all()]
