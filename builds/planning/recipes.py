"""What an operator wants done differently for a package, or for all that failed in one way.

A recipe decides the order of the builds that come after it; saving one queues again what it is for.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import OuterRef, QuerySet, Subquery

from builder.contract import RUNGS
from builds import debian, failures
from builds.models import Build, Recipe, Size, Target
from builds.planning.requeueing import requeue
from packages.models import Package

# How many failed builds one recipe queues again at the most; a class may have tens of thousands, and the rest
# follows with the next save.
MOST_AGAIN = 2000
_BATCH = 100

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,99}")
# Variables that would change what runs, or whom the build talks to, instead of how the package is built.
_REFUSED = re.compile(
    r"PATH|HOME|TMPDIR|SHELL|IFS|ENV|BASH_ENV|USER|LOGNAME|SOURCE_DATE_EPOCH|_PYTHON_HOST_PLATFORM|PIWHEELS_BUILD"
    r"|(?:LD|PIP|UV|PYTHON|GIT|SSL|REQUESTS|XDG|CELERY)_.*|PYTHON(?:PATH|HOME|STARTUP|NOUSERSITE|HASHSEED)"
    r"|(?:HTTPS?|ALL|NO|FTP)_PROXY|.*(?:TOKEN|SECRET|PASSWORD).*"
)
_MOST_APT, _MOST_VARIABLES, _MOST_VALUE = 50, 50, 1000
_MEMORY = range(64 << 20, (1 << 40) + 1)
_TIME_S = range(60, 48 * 3600 + 1)


@dataclass(frozen=True)
class Ingredients:
    """What an order has of recipes, or of the farm's settings where no recipe says anything."""

    apt: tuple[str, ...]
    environment: dict[str, str]
    memory_bytes: int
    time_limit_s: float
    rung: str


def check(recipe: Recipe) -> None:
    """Refuse what no builder could follow or none should; raises ValidationError by field."""
    problems = {
        "package": _check_subject(recipe),
        "apt": _check_apt(recipe.apt),
        "environment": _check_environment(recipe.environment),
        "memory_bytes": _check_range(recipe.memory_bytes, _MEMORY, "bytes"),
        "time_limit_s": _check_range(recipe.time_limit_s, _TIME_S, "seconds"),
        "rung": "" if recipe.rung in ("", *RUNGS) else f"Give one of: {', '.join(RUNGS)}.",
    }
    found = {field: problem for field, problem in problems.items() if problem}
    if found:
        raise ValidationError(found)


def _check_subject(recipe: Recipe) -> str:
    """Return what is wrong with whom a recipe is for."""
    if bool(recipe.package_id) == bool(recipe.failure):
        return "Give either a package or a class of failure."
    if recipe.failure and recipe.failure not in failures.classes():
        return f"There is no class {recipe.failure!r}; there are {', '.join(failures.classes())}."
    return ""


def _check_apt(names: object) -> str:
    """Return what is wrong with a list of Debian packages."""
    if not isinstance(names, list) or len(names) > _MOST_APT:
        return f'Give a list of at most {_MOST_APT} names, such as ["libffi-dev"].'
    wrong = [name for name in names if not isinstance(name, str) or not debian.is_package(name)]
    return f"{str(wrong[0])[:100]!r} is no name of a Debian package." if wrong else ""


def _check_environment(variables: object) -> str:
    """Return what is wrong with variables of the environment."""
    if not isinstance(variables, dict) or len(variables) > _MOST_VARIABLES:
        return f'Give an object of at most {_MOST_VARIABLES} variables, such as {{"CYTHON_FORCE": "1"}}.'
    for name, value in variables.items():
        if not _VARIABLE.fullmatch(name):
            return f"{name[:100]!r} is no variable: capital letters, digits and _, and no digit first."
        if _REFUSED.fullmatch(name):
            return f"{name} is the builder's own; a recipe cannot set it."
        if not isinstance(value, str) or len(value) > _MOST_VALUE or not value.isprintable():
            return f"{name} must be a text of one line, at most {_MOST_VALUE} characters."
    return ""


def _check_range(value: int | None, allowed: range, unit: str) -> str:
    """Return what is wrong with a number that may be missing."""
    if value is None or value in allowed:
        return ""
    return f"Give {allowed.start} to {allowed.stop - 1} {unit}, or nothing."


def save(recipe: Recipe, now: datetime, changed: Collection[str] | None = None) -> None:
    """Check and save a recipe, or of one that there is what was changed; raises ValidationError by field."""
    check(recipe)
    recipe.changed_at = now
    recipe.save(update_fields=None if changed is None else {*changed, "changed_at"})


def requeue_failed(recipe: Recipe) -> int:
    """Queue again what failed and is for a recipe; return how many builds that are.

    Each is a transaction, or the whole farm would wait for thousands of packages; so not to be called in one.
    """
    again = 0
    ids = list(_failed(recipe).values_list("pk", flat=True)[:MOST_AGAIN])
    for start in range(0, len(ids), _BATCH):
        some = Build.objects.filter(pk__in=ids[start : start + _BATCH])
        some = some.select_related("version__package", "target")
        again += sum(requeue(build, "A recipe changed.", size=size_of(build, recipe)) for build in some)
    return again


def _failed(recipe: Recipe) -> QuerySet[Build]:
    """Return the builds that a recipe is for: failed or lost, and the last attempt of their version."""
    # By their keys, which the index of failures begins with; a builder that is lost leaves one class alone.
    targets = list(Target.objects.active().values_list("pk", flat=True))
    ended = Build.objects.last_attempts().filter(target__in=targets)
    if recipe.package_id:
        states = [Build.State.FAILED, Build.State.LOST]
        return ended.filter(state__in=states, version__package=recipe.package_id)
    state = Build.State.LOST if recipe.failure == failures.LOST else Build.State.FAILED
    # A package's own recipe goes first, so that of the class would change nothing.
    return ended.filter(state=state, failure=recipe.failure, version__package__recipe=None)


def count_again(recipe: Recipe) -> tuple[int, int]:
    """Return how many builds saving a recipe queues again, and of how many packages."""
    found = _failed(recipe).values_list("version__package", flat=True)[:MOST_AGAIN]
    packages = list(found)
    return len(packages), len(set(packages))


def size_of(build: Build, recipe: Recipe) -> str:
    """Return the smallest builder that a build may go to by a recipe; never smaller than it needed before."""
    sizes = Size.values
    return max(build.size, recipe.size or Size.SMALL, key=sizes.index)


def size_for(package: Package) -> str:
    """Return the smallest builder that new builds of a package may go to."""
    return Recipe.objects.filter(package=package).values_list("size", flat=True).first() or Size.SMALL


def for_build(build: Build) -> Recipe | None:
    """Return the recipe that a build is made by: its package's, or the one of what it failed of before.

    Of several failures the last one with a recipe decides: a builder that was lost since, or had no network,
    does not bring back the header that the first attempt lacked.
    """
    own = Recipe.objects.of_package(build.version.package_id)
    if own or build.attempt == 1:
        return own
    before = Build.objects.filter(
        version=build.version_id, target=build.target_id, attempt__lt=build.attempt
    ).exclude(failure="")
    last = before.filter(failure=OuterRef("failure")).order_by("-attempt").values("attempt")[:1]
    known = Recipe.objects.filter(failure__in=before.values("failure")).exclude(failure="")
    return known.annotate(failed_at=Subquery(last)).order_by("-failed_at").first()


def apt_since_claim(build: Build) -> list[str]:
    """Return the Debian packages that a running build's order had; none if its recipe changed meanwhile."""
    recipe = for_build(build)
    if recipe is None or build.claimed_at is None or recipe.changed_at > build.claimed_at:
        return []
    return list(recipe.apt)


def ingredients(build: Build) -> Ingredients:
    """Return what a build's order has of recipes and settings."""
    recipe = for_build(build) or Recipe()
    return Ingredients(
        apt=tuple(recipe.apt),
        environment=dict(recipe.environment),
        memory_bytes=recipe.memory_bytes or settings.PIWHEELS_BUILD_MEMORY_BYTES,
        time_limit_s=float(recipe.time_limit_s or settings.PIWHEELS_TIME_LIMIT_S),
        rung=recipe.rung,
    )
