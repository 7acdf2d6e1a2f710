"""The operators' door to what was tried and to what waits."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html

from builds import failures
from builds.admin.filters import FailureFilter, StageFilter
from builds.models import Build, Push, Recipe, Skip
from builds.planning import rebuilding
from builds.planning.plan import Pair
from builds.planning.requeueing import requeue
from packages.admin_deeds import Outcome, Reason, Wish, deed
from packages.clock import database_now
from packages.models import Package
from packages.record_admin import RecordAdmin, by_package, search_version
from packages.wording import many

# So many targets are named when a question is asked; more are counted.
_NAMED = 3


@admin.register(Build)
class BuildAdmin(RecordAdmin):
    """What was tried."""

    list_display = [
        "id",
        "page",
        "version",
        "target",
        "attempt",
        "state",
        "failure",
        "builder",
        "finished_at",
    ]
    list_filter = [StageFilter, FailureFilter, "target", "builder"]
    list_select_related = ["version__package", "target", "builder"]
    search_fields = ["version__package__name"]
    search_help_text = "The beginning of a package's name; or name==version, with the beginning of a version."
    actions = [
        *("requeue", "rebuild", "cancel", "push_version", "push_package"),
        *("skip_here", "skip", "recipe"),
    ]

    readonly_fields = ["may_help"]

    def get_ordering(self, request: HttpRequest) -> Any:  # Any: names, or what Django makes of them
        """Have one builder's in the order of its index, not by keys, past those of all others."""
        by_builder = "builder__id__exact" in request.GET
        return ["-finished_at"] if by_builder else super().get_ordering(request)

    @admin.display(description="what may help")
    def may_help(self, build: Build) -> str:
        """Say what to do about a failure, in the words of these pages."""
        found = failures.of(build.failure, build.failure_about)
        release = build.target.os_release
        return (found.for_operators(release) or found.suggestion(release)) if found else "-"

    @admin.display(description="log")
    def page(self, build: Build) -> str:
        """Lead to the build's page, with its log."""
        return format_html('<a href="{}">log</a>', build.get_absolute_url())

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Build], search_term: str
    ) -> tuple[QuerySet[Build], bool]:
        """Find by package and version."""
        return search_version(queryset, search_term, "version__"), False

    def what(self, rows: QuerySet[Build]) -> str:
        """Say how many builds they are, of how many packages, for which targets."""
        targets = list(rows.order_by("target__key").values_list("target__key", flat=True).distinct())
        where = ", ".join(targets) if len(targets) <= _NAMED else f"{len(targets)} targets"
        packages = many(by_package(rows, "version__package"), Package._meta)
        return f"{many(rows.count(), self.opts)} of {packages} for {where}"

    def has_push_permission(self, request: HttpRequest) -> bool:
        """Whoever may put first what they name may do so from here."""
        return request.user.has_perm("builds.add_push")

    def has_skip_permission(self, request: HttpRequest) -> bool:
        """Whoever may skip what they name may do so from here."""
        return request.user.has_perms(["builds.add_skip", "packages.change_package"])

    def has_recipe_permission(self, request: HttpRequest) -> bool:
        """Whoever may write recipes may begin here."""
        return request.user.has_perm("builds.add_recipe")

    @deed("cancel", label="Cancel", question="This cancels {what}. What has ended stays as it is.")
    def cancel(self, rows: QuerySet[Build], wish: Wish) -> Outcome:
        """End builds that have not ended."""
        now = database_now()
        cancelled = sum(build.cancel(wish.said("Cancelled"), now) for build in rows)
        return Outcome(f"{many(cancelled, self.opts)} cancelled.")

    @deed(
        "requeue",
        label="Requeue what ended",
        question="This requeues {what}, in their usual places. What is no longer wanted is dropped again.",
    )
    def requeue(self, rows: QuerySet[Build], wish: Wish) -> Outcome:
        """Queue another attempt at those that have ended."""
        some = rows.select_related("version__package")
        count = len(some)
        queued = sum(requeue(build, wish.said("Requeued")) for build in some)
        left = f"; {count - queued} had not ended, or something newer had come of them" * (queued < count)
        return Outcome(f"{many(queued, self.opts)} requeued{left}.")

    @deed(
        "rebuild",
        label="Rebuild now, whatever wheels there are",
        question="This builds {what} again, before all that nobody asked for and whatever wheels there are.",
    )
    def rebuild(self, rows: QuerySet[Build], wish: Wish) -> Outcome:
        """Queue another attempt before others."""
        pairs: dict[Package, set[Pair]] = defaultdict(set)
        for build in rows.select_related("version__package"):
            pairs[build.version.package].add((build.version_id, build.target_id))
        why, now = f"{wish.by} wants it built again. {wish.reason}".strip(), database_now()
        answers = [rebuilding.rebuild(package, some, why, now) for package, some in pairs.items()]
        faults = tuple(refused for answer in answers for refused in answer.refused)
        queued = sum(answer.queued for answer in answers)
        return Outcome(f"{many(queued, self.opts)} queued before others.", faults)

    @deed(
        "push versions",
        label="Build their versions first",
        question="This puts the versions of {what} before all others.",
        permission="push",
    )
    def push_version(self, rows: QuerySet[Build], wish: Wish) -> Outcome:
        """Push each build's version, for its target."""
        wanted = {(build.version, build.target_id) for build in rows.select_related("version__package")}
        return _push((Push(version=version, target_id=target) for version, target in wanted), wish)

    @deed(
        "push packages",
        label="Build their packages first, all versions",
        question="This puts the packages of {what} before all others, with all their versions.",
        permission="push",
    )
    def push_package(self, rows: QuerySet[Build], wish: Wish) -> Outcome:
        """Push each build's package, for its target."""
        some = rows.select_related("version__package")
        wanted = {(build.version.package, build.target_id) for build in some}
        return _push((Push(package=package, target_id=target) for package, target in wanted), wish)

    @deed(
        "skip for target",
        label="Skip their packages, for their targets",
        question="This skips the packages of {what}: nothing of them is built there while the skip stands.",
        reason=Reason.MUST,
        permission="skip",
    )
    def skip_here(self, rows: QuerySet[Build], wish: Wish) -> Outcome:
        """Build nothing more of each package for the target of its build."""
        some = rows.select_related("version__package")
        wanted = {(build.version.package, build.target_id) for build in some}
        skipped = 0
        for package, target in wanted:
            if not Skip.objects.filter(package=package, target=target).exists():
                Skip(package=package, target_id=target, reason=wish.reason, by=wish.by).begin()
                skipped += 1
        return Outcome(f"{many(skipped, Skip._meta)} decided; one that is taken back ends.")

    @deed(
        "skip package",
        label="Skip their packages, for all targets",
        question="This skips the packages of {what}: nothing of them is built anywhere until somebody unskips"
        " them.",
        reason=Reason.MUST,
        permission="skip",
    )
    def skip(self, rows: QuerySet[Build], wish: Wish) -> Outcome:
        """Build nothing more of each package."""
        packages = Package.objects.filter(pk__in=rows.order_by().values("version__package"))
        for package in packages:
            package.skip(wish.reason)
        return Outcome(f"{many(len(packages), Package._meta)} skipped.")

    @admin.action(
        description="Write a recipe for their package, or for their failure", permissions=["recipe"]
    )
    def recipe(self, request: HttpRequest, rows: QuerySet[Build]) -> HttpResponse | None:
        """Go to the recipe that there is, or to a new one; that asks before it does anything.

        A new one for a package begins with the Debian packages that have what its builds did not find.
        """
        told = ("version__package", "failure", "failure_about", "target__os_release")
        found = set(rows.order_by().values_list(*told)[:_ALIKE])
        packages, kinds = {package for package, *_ in found}, {failure for _, failure, *_ in found}
        if len(packages) == 1:
            missing = _missing((failure, about, release) for _, failure, about, release in found)
            return _to_recipe({"package": packages.pop()}, apt=missing)
        if len(kinds) == 1 and (failure := kinds.pop()):
            return _to_recipe({"failure": failure})
        text = "Choose builds of one package, or that failed in one way: a recipe is for one of these."
        self.message_user(request, text, messages.WARNING)
        return None


# As many builds tell whether a recipe is for a package or for a class of failure.
_ALIKE = 2000


def _missing(failed: Iterable[tuple[str, str, str]]) -> str:
    """Return the Debian packages with what builds did not find, by what they failed of on which release."""
    found = ((failures.of(failure, about), release) for failure, about, release in failed)
    return " ".join(sorted({diagnosis.apt(release) for diagnosis, release in found if diagnosis} - {""}))


def _to_recipe(subject: dict[str, Any], *, apt: str = "") -> HttpResponse:
    """Lead to the recipe for a package or a class; a new one begins with these Debian packages."""
    there = Recipe.objects.filter(**subject).values_list("pk", flat=True).first()
    if there:
        return HttpResponseRedirect(reverse("admin:builds_recipe_change", args=[there]))
    begins = {"apt": apt} if apt else {}
    return HttpResponseRedirect(f"{reverse('admin:builds_recipe_add')}?{urlencode(subject | begins)}")


def _push(pushes: Iterable[Push], wish: Wish) -> Outcome:
    """Put things before others, in the operator's name."""
    count = 0
    for push in pushes:
        push.by, push.reason = wish.by, wish.reason
        push.begin()
        count += 1
    return Outcome(f"{many(count, Push._meta)} decided; one that is taken back ends.")
