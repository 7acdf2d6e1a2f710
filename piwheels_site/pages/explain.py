"""Which file a given Pi would take of a package, and the first reason against each of the others."""

from dataclasses import dataclass

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_safe
from packaging.specifiers import SpecifierSet

from builds.models import Target
from packages.models import Package
from piwheels_site.asked import asked_target, asked_versions, offered_targets
from piwheels_site.matrix import apt_names
from piwheels_site.naming import canonical_or_404
from simple.explain import SETUPS, CannotRun, Explanation, Setup, explain
from simple.machines import BY_KEY, MODELS, Model
from simple.requirements import CannotRead

FILES_A_PAGE = 100


@dataclass(frozen=True)
class Asked:
    """The Pi that is asked about, as the form has it."""

    target: Target
    model: Model | None
    setup: Setup
    wanted: SpecifierSet
    said: str  # the version as it was typed
    problem: str = ""


@require_safe
def explain_page(request: HttpRequest, name: str) -> HttpResponse:
    """Show what a Pi takes, and why."""
    if name != canonical_or_404(name):
        query = request.META.get("QUERY_STRING", "")
        address = redirect("explain", canonical_or_404(name), permanent=True)
        address["Location"] += f"?{query}" if query else ""
        return address
    package = get_object_or_404(Package, name=name)
    targets = offered_targets()
    asked = _asked(request, targets)
    context: dict[str, object] = {
        "package": package,
        "targets": targets,
        "models": MODELS,
        "setups": SETUPS,
        "asked": asked,
        "problem": asked.problem,
    }
    try:
        found = explain(package, asked.target, asked.model, asked.setup, asked.wanted)
    except CannotRun as error:
        context["problem"] = str(error)
    else:
        context |= _shown(request, found)
    return render(request, "pages/explain.html", context)


def _shown(request: HttpRequest, found: Explanation) -> dict[str, object]:
    """Return what the template says of an answer."""
    others = [each for each in found.choice.judged if each is not found.choice.taken]
    query = request.GET.copy()
    query.pop("page", None)
    return {
        "found": found,
        # What was built on another release needs packages by that one's names, which apt may not know here.
        "apt": apt_names(found.wheel) if found.wheel and found.runs else [],
        "page": Paginator(others, FILES_A_PAGE).get_page(request.GET.get("page")),
        "query": query.urlencode(),
    }


def _asked(request: HttpRequest, targets: list[Target]) -> Asked:
    """Return which Pi is asked about; what cannot be read is as if it were not said, but for the version."""
    said = request.GET.get("version", "").strip()[:100]
    wanted, problem = SpecifierSet(), ""
    try:
        wanted = asked_versions(said)
    except CannotRead as error:
        problem = str(error)
    model = BY_KEY.get(request.GET.get("model", ""))
    setup = request.GET.get("setup", "")
    return Asked(
        target=asked_target(request.GET.get("os", ""), targets, model),
        model=model,
        setup=Setup(setup) if setup in SETUPS else Setup.PIP,
        wanted=wanted,
        said=said,
        problem=problem,
    )
