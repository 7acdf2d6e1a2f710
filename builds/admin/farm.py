"""The operators' door to targets, builders, builds and wheels.

What is only recorded can be looked at and not edited; what an operator decides is done by the models'
methods.
"""

from collections import defaultdict
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import ValidationError
from django.db.models import Prefetch, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html, format_html_join

from builds import enrolment, rebuilding, recipes, takedown
from builds.clock import database_now
from builds.models import Build, Builder, Dependency, Push, Recipe, Refusal, StorageCheck, Target, Wheel
from builds.plan import Pair
from builds.redis_users import RedisFault
from packages.models import Package
from packages.record_admin import RecordAdmin


@admin.register(Target)
class TargetAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """What the farm builds for; a new OS release is a new row."""

    list_display = ["key", "os_name", "architecture", "python", "policy", "is_active", "order"]
    readonly_fields = ["is_active"]
    actions = ["activate", "deactivate"]

    def save_model(self, request: HttpRequest, obj: Target, form: "ModelForm[Target]", change: bool) -> None:
        """Save, and build by another policy if it is one."""
        super().save_model(request, obj, form, change)
        if change and "policy" in form.changed_data:
            obj.follow(obj.policy)

    def has_delete_permission(self, request: HttpRequest, obj: Target | None = None) -> bool:
        """Only what was never built for can go."""
        return obj is None or not obj.builds.exists()

    @admin.action(description="Build for these targets")
    def activate(self, request: HttpRequest, queryset: QuerySet[Target]) -> None:
        """Begin to build."""
        for target in queryset:
            target.activate()

    @admin.action(description="Build for these targets no more (what was built stays)")
    def deactivate(self, request: HttpRequest, queryset: QuerySet[Target]) -> None:
        """Stop to build."""
        for target in queryset:
            target.deactivate()


@admin.register(Builder)
class BuilderAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Who builds."""

    list_display = ["name", "target", "mode_now", "problem", "sandbox", "size", "heard_at", "current"]
    list_filter = ["target", "mode", "is_enabled"]
    list_select_related = ["target"]
    readonly_fields = [
        *("is_enabled", "mode", "mode_reason", "mode_at", "problem", "sandbox"),
        *("created_at", "heard_at", "facts"),
    ]
    actions = ["pause", "resume", "drain", "stop", "retire", "rekey"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Builder]:
        """Read the builds that the list shows all at once."""
        had = Build.objects.assigned().select_related("version__package", "target")
        return super().get_queryset(request).prefetch_related(Prefetch("builds", had, to_attr="had"))

    @admin.display(description="mode")
    def mode_now(self, builder: Builder) -> str:
        """Show the mode, and why."""
        return f"{builder.standing}: {builder.mode_reason}" if builder.mode_reason else builder.standing

    @admin.display(description="has")
    def current(self, builder: Builder) -> str:
        """Show what the builder has, or has been told of."""
        had: list[Build] = builder.had  # type: ignore[attr-defined]  # what get_queryset read
        return format_html_join(", ", '<a href="{}">{}</a>', ((b.get_absolute_url(), b) for b in had))

    def get_readonly_fields(self, request: HttpRequest, obj: Builder | None = None) -> list[str]:
        """Keep the name, which is a queue's and a Redis user's, once it is given."""
        return [*super().get_readonly_fields(request, obj), *(["name"] if obj else [])]

    def has_delete_permission(self, request: HttpRequest, obj: Builder | None = None) -> bool:
        """Only one that never built can go; another is retired."""
        return obj is None or not obj.builds.exists()

    def save_model(
        self, request: HttpRequest, obj: Builder, form: "ModelForm[Builder]", change: bool
    ) -> None:
        """Show a new builder's keys, this once."""
        if not change:
            obj.rekey()
        super().save_model(request, obj, form, change)
        if not change:
            self.rekey(request, Builder.objects.filter(pk=obj.pk))

    @admin.action(description="Pause: give them nothing more until they are resumed")
    def pause(self, request: HttpRequest, queryset: QuerySet[Builder]) -> None:
        """Pause."""
        for builder in queryset:
            builder.pause(f"Paused by {request.user}.", database_now())

    @admin.action(description="Resume: give them builds again")
    def resume(self, request: HttpRequest, queryset: QuerySet[Builder]) -> None:
        """Resume."""
        for builder in queryset:
            builder.resume(f"Resumed by {request.user}.", database_now())

    @admin.action(description="Drain: let them finish what they have, and give them nothing more")
    def drain(self, request: HttpRequest, queryset: QuerySet[Builder]) -> None:
        """Drain."""
        for builder in queryset:
            builder.drain(f"Drained by {request.user}.", database_now())

    @admin.action(description="Stop: end their processes when they are idle")
    def stop(self, request: HttpRequest, queryset: QuerySet[Builder]) -> None:
        """Stop."""
        for builder in queryset:
            builder.stop(f"Stopped by {request.user}.", database_now())

    @admin.action(description="Retire: let them go for good (their builds go to others)")
    def retire(self, request: HttpRequest, queryset: QuerySet[Builder]) -> None:
        """Retire."""
        for builder in queryset:
            try:
                enrolment.retire(builder, f"Retired by {request.user}.", database_now())
            except RedisFault as fault:
                self.message_user(request, f"{builder}: {fault}", messages.ERROR)

    @admin.action(description="Give new keys (the old ones stop at once)")
    def rekey(self, request: HttpRequest, queryset: QuerySet[Builder]) -> None:
        """Give each a new token and Redis password, and show them."""
        for builder in queryset.select_related("target"):
            try:
                text = enrolment.rekey(builder).text()
            except RedisFault as fault:
                self.message_user(request, f"{builder}: {fault}", messages.ERROR)
            else:
                self.message_user(request, format_html("<pre>{}</pre>", text), messages.WARNING)


@admin.register(Build)
class BuildAdmin(RecordAdmin):
    """What was tried."""

    list_display = ["id", "version", "target", "attempt", "state", "builder", "priority", "finished_at"]
    list_filter = ["state", "target", "builder"]
    list_select_related = ["version__package", "target", "builder"]
    search_fields = ["version__package__name__startswith"]
    actions = ["cancel", "requeue", "push_version", "push_package"]

    @admin.action(description="Cancel these builds")
    def cancel(self, request: HttpRequest, queryset: QuerySet[Build]) -> None:
        """End builds that have not ended."""
        now = database_now()
        cancelled = sum(build.cancel(f"Cancelled by {request.user}.", now) for build in queryset)
        self.message_user(request, f"{cancelled} builds cancelled.")

    @admin.action(description="Build these again")
    def requeue(self, request: HttpRequest, queryset: QuerySet[Build]) -> None:
        """Queue another attempt, whatever wheels there are."""
        pairs: dict[Package, set[Pair]] = defaultdict(set)
        for build in queryset.select_related("version__package"):
            pairs[build.version.package].add((build.version_id, build.target_id))
        for package, some in pairs.items():
            answer = rebuilding.rebuild(
                package, some, f"{request.user} wants it built again.", database_now()
            )
            level = messages.WARNING if answer.refused else messages.INFO
            self.message_user(request, f"{package}: {answer}", level)

    @admin.action(description="Build their versions before all others")
    def push_version(self, request: HttpRequest, queryset: QuerySet[Build]) -> None:
        """Push each build's version, for its target."""
        for build in queryset.select_related("version__package"):
            Push(version=build.version, target_id=build.target_id, by=str(request.user)).begin()

    @admin.action(description="Build their packages before all others, all versions")
    def push_package(self, request: HttpRequest, queryset: QuerySet[Build]) -> None:
        """Push each build's package, for its target."""
        packages = {
            (build.version.package, build.target_id) for build in queryset.select_related("version__package")
        }
        for package, target in packages:
            Push(package=package, target_id=target, by=str(request.user)).begin()


class DependencyInline(admin.TabularInline):  # type: ignore[type-arg]
    """What a wheel needs."""

    model = Dependency
    extra = 0
    can_delete = False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # Any: Django's signature
        """Read from the file; not to be edited."""
        return False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # Any: Django's signature
        """Read from the file; not to be added to."""
        return False


@admin.register(Wheel)
class WheelAdmin(RecordAdmin):
    """What came out."""

    list_display = ["filename", "size", "published_at", "yanked", "withdrawn_at", "held_reason"]
    list_filter = [("held_reason", admin.EmptyFieldListFilter), "yanked", "build__target"]
    search_fields = ["filename__startswith"]
    inlines = [DependencyInline]
    actions = ["release", "yank", "unyank", "withdraw", "take_down"]

    @admin.action(description="Show what was held: I have looked at it")
    def release(self, request: HttpRequest, queryset: QuerySet[Wheel]) -> None:
        """Release."""
        held = queryset.exclude(held_reason="").select_related("package")
        for wheel in held:
            wheel.release()
        self.message_user(request, f"{len(held)} wheels are shown from now on.")

    @admin.action(description="Yank: installers pass these over unless told to take them")
    def yank(self, request: HttpRequest, queryset: QuerySet[Wheel]) -> None:
        """Yank."""
        for wheel in queryset.select_related("package"):
            wheel.yank(f"Yanked by {request.user}.")

    @admin.action(description="Take the yank back")
    def unyank(self, request: HttpRequest, queryset: QuerySet[Wheel]) -> None:
        """Unyank."""
        for wheel in queryset.select_related("package"):
            wheel.unyank()

    @admin.action(description="Take out of the index")
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Wheel]) -> None:
        """Withdraw."""
        now = database_now()
        for wheel in queryset.select_related("package"):
            wheel.withdraw(now, f"Withdrawn by {request.user}.")

    @admin.action(description="Take down: remove the bytes for good")
    def take_down(self, request: HttpRequest, queryset: QuerySet[Wheel]) -> HttpResponse | None:
        """Ask for a reason, and take down."""
        wheels = list(queryset.select_related("package"))
        if reason := request.POST.get("reason", "").strip():
            takedown.take_down(wheels, f"{reason} (Taken down by {request.user}.)", database_now())
            self.message_user(request, f"{len(wheels)} wheels are out of the index; their bytes go now.")
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": "Take down for good?",
            "wheels": wheels,
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/builds/wheel/take_down.html", context)


@admin.register(StorageCheck)
class StorageCheckAdmin(RecordAdmin):
    """What the nightly check of the storage found; `check_storage --fix` does something about it."""

    list_display = ["prefix", "faults", "checked_at", "read_at", "wheels", "files", "size"]
    ordering = ["-faults", "prefix"]


@admin.register(Dependency)
class DependencyAdmin(RecordAdmin):
    """What the wheels need."""

    list_display = ["name", "tool", "wheel"]
    list_filter = ["tool"]
    list_select_related = ["wheel"]
    search_fields = ["name__startswith"]


@admin.register(Refusal)
class RefusalAdmin(RecordAdmin):
    """Files that were not taken, and why."""

    list_display = ["at", "filename", "build", "reason"]
    list_select_related = ["build__version__package", "build__target"]


class RecipeForm(ModelForm):  # type: ignore[type-arg]
    """A recipe as an operator writes it, with what is wrong said at its field."""

    class Meta:
        model = Recipe
        fields = [
            *("package", "failure", "apt", "environment", "memory_bytes", "time_limit_s"),
            *("size", "rung", "note"),
        ]

    def clean(self) -> dict[str, Any]:  # Any: what each field has made of its text
        """Check the fields against each other and against what builders can do."""
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.errors:
            try:
                recipes.check(Recipe(**cleaned))
            except ValidationError as problem:
                self.add_error(None, problem)
        return cleaned


@admin.register(Recipe)
class RecipeAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """What to do differently; saving one builds again what failed and is for it."""

    form = RecipeForm
    list_display = ["__str__", "apt", "environment", "size", "rung", "changed_at"]
    list_select_related = ["package"]
    search_fields = ["package__name__startswith", "failure"]
    raw_id_fields = ["package"]

    def save_model(self, request: HttpRequest, obj: Recipe, form: "ModelForm[Recipe]", change: bool) -> None:
        """Save, and say what follows."""
        again = recipes.save(obj, database_now())
        self.message_user(request, f"{again} failed builds are queued again.")
