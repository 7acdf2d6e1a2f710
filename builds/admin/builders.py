"""The operators' door to what we build for, and to who builds."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import Prefetch, QuerySet, Sum
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html_join

from builds.builders import enrolment
from builds.builders.enrolment import Retired
from builds.builders.redis_users import RedisFault
from builds.models import Build, BuildDay, Builder, Target, TargetQueue
from packages import audit
from packages.admin_deeds import Outcome, Reason, Wish, deed, shown_once
from packages.clock import database_now
from packages.record_admin import OneByOneAdmin
from packages.wording import many

# Of a target, what decides what is built for it and which wheels serve it.
_DECIDING = {"policy", "python", "abi", "platform_tags", "glibc", "glibcxx"}


def _was_tried(target: Target) -> bool:
    """Tell whether anything was ever to be built for a target, by what is counted and by its queue.

    The index that leads to its builds reads much of them, and the foreign key keeps it in any case.
    """
    counted = BuildDay.objects.filter(target=target)
    return counted.exists() or Build.objects.ready().order_by().filter(target=target).exists()


@admin.register(Target)
class TargetAdmin(OneByOneAdmin):
    """What the farm builds for; a new OS release is a new row."""

    list_display = ["key", "os_name", "architecture", "python", "policy", "is_active", "order"]
    readonly_fields = ["is_active"]
    actions = ["activate", "deactivate"]

    def what(self, rows: QuerySet[Target]) -> str:
        """Name the targets, and say how much waits for them, and how much of them builders have."""
        waiting = Sum("ready", default=0) + Sum("pausing", default=0)
        queued = TargetQueue.objects.filter(target__in=rows).aggregate(waiting=waiting)["waiting"]
        names = ", ".join(target.key for target in rows)
        had = Build.objects.assigned().filter(target__in=rows).count()
        return f"{names}, with {many(queued, Build._meta, 'waiting ')} and {had:,} that builders have"

    def save_model(self, request: HttpRequest, obj: Target, form: "ModelForm[Target]", change: bool) -> None:
        """Save, and look again at what is to be built if that may be something else now."""
        if change and obj.is_active and _DECIDING.intersection(form.changed_data):
            obj.ask_anew()
        super().save_model(request, obj, form, change)

    def has_delete_permission(self, request: HttpRequest, obj: Target | None = None) -> bool:
        """Only what was never built for can go."""
        return super().has_delete_permission(request, obj) and (obj is None or not _was_tried(obj))

    @deed(
        "activate target",
        label="Build for these targets",
        question="This begins to build for {what}. All packages are planned anew.",
        reason=Reason.NONE,
    )
    def activate(self, rows: QuerySet[Target], wish: Wish) -> Outcome:
        """Begin to build."""
        for target in rows:
            target.activate()
        return Outcome(f"{many(len(rows), self.opts)} built for from now on.")

    @deed(
        "deactivate target",
        label="Build for these targets no more (what was built stays)",
        question="This ends to build for {what}. All of these are dropped.",
    )
    def deactivate(self, rows: QuerySet[Target], wish: Wish) -> Outcome:
        """Stop to build."""
        for target in rows:
            target.deactivate()
        return Outcome(f"{many(len(rows), self.opts)} not built for any more.")


@admin.register(Builder)
class BuilderAdmin(OneByOneAdmin):
    """Who builds."""

    list_display = ["name", "target", "mode_now", "problem", "sandbox", "size", "heard_at", "current"]
    list_filter = ["target", "mode", "is_enabled"]
    list_select_related = ["target"]
    search_fields = ["name__startswith"]
    readonly_fields = [
        *("is_enabled", "mode", "mode_reason", "mode_at", "problem", "sandbox"),
        *("created_at", "heard_at", "facts"),
    ]
    actions = ["pause", "resume", "drain", "stop", "retire", "rekey"]

    def what(self, rows: QuerySet[Builder]) -> str:
        """Name the builders, and say how many of them are at a build."""
        busy = Build.objects.assigned().filter(builder__in=rows).count()
        names = list(rows.values_list("name", flat=True))
        return f"{many(len(names), self.opts)} ({', '.join(names)}), {busy} of them at a build"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Builder]:
        """Read the builds that the list shows all at once."""
        had = Build.objects.assigned().select_related("version__package", "target")
        return super().get_queryset(request).prefetch_related(Prefetch("builds", had, to_attr="had"))

    @admin.display(description="mode")
    def mode_now(self, builder: Builder) -> str:
        """Show the mode, and why."""
        # Whether it is drained, without a query for each.
        standing = builder.standing_with(builder.had[0] if builder.had else None)  # type: ignore[attr-defined]
        return f"{standing}: {builder.mode_reason}" if builder.mode_reason else standing

    @admin.display(description="has")
    def current(self, builder: Builder) -> str:
        """Show what the builder has, or has been told of."""
        had: list[Build] = builder.had  # type: ignore[attr-defined]  # what get_queryset read
        return format_html_join(", ", '<a href="{}">{}</a>', ((b.get_absolute_url(), b) for b in had))

    def get_readonly_fields(self, request: HttpRequest, obj: Builder | None = None) -> list[str]:
        """Keep the name, a queue's and a Redis user's, once it is given; the target is for who may enrol."""
        kept = ["name"] if obj else []
        if not request.user.has_perm("builds.add_builder"):
            kept.append("target")
        return [*super().get_readonly_fields(request, obj), *kept]

    def has_delete_permission(self, request: HttpRequest, obj: Builder | None = None) -> bool:
        """Only one that never built can go; another is retired."""
        return super().has_delete_permission(request, obj) and (obj is None or not obj.builds.exists())

    def delete_model(self, request: HttpRequest, obj: Builder) -> None:
        """Remove its user in Redis with it."""
        enrolment.forget(obj)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Delete a builder, unless its user in Redis cannot be."""
        try:
            return super().delete_view(request, object_id, extra_context)
        except RedisFault as error:
            self.message_user(request, f"It was not deleted: {error}", "ERROR")
            return HttpResponseRedirect(reverse("admin:builds_builder_change", args=[object_id]))

    def save_model(
        self, request: HttpRequest, obj: Builder, form: "ModelForm[Builder]", change: bool
    ) -> None:
        """Give a new builder keys that nobody has: those that work are made and shown by `response_add`."""
        if not change:
            obj.rekey()
        super().save_model(request, obj, form, change)

    def response_add(
        self, request: HttpRequest, obj: Builder, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show a new builder's keys, this once."""
        outcome = self._rekey([obj])
        said = " ".join([outcome.said, *outcome.faults])
        audit.note(request.user.pk, "re-key builder", [obj], model=Builder, said=said)
        if outcome.secret:
            return shown_once(self, request, outcome)
        self.message_user(request, said, "ERROR")
        return super().response_add(request, obj, post_url_continue)

    @deed(
        "pause builder",
        label="Pause: give them nothing more until they are resumed",
        question="This pauses {what}. What they build goes on.",
    )
    def pause(self, rows: QuerySet[Builder], wish: Wish) -> Outcome:
        """Pause."""
        return self._turn(rows, Builder.pause, wish, "paused")

    @deed(
        "resume builder",
        label="Resume: give them builds again",
        question="This resumes {what}.",
    )
    def resume(self, rows: QuerySet[Builder], wish: Wish) -> Outcome:
        """Resume."""
        return self._turn(rows, Builder.resume, wish, "resumed")

    @deed(
        "drain builder",
        label="Drain: let them finish what they have, and give them nothing more",
        question="This drains {what}.",
    )
    def drain(self, rows: QuerySet[Builder], wish: Wish) -> Outcome:
        """Drain."""
        return self._turn(rows, Builder.drain, wish, "drained")

    @deed(
        "stop builder",
        label="Stop: end their processes when they are idle",
        question="This stops {what}. Somebody has to start them on the machine again.",
    )
    def stop(self, rows: QuerySet[Builder], wish: Wish) -> Outcome:
        """Stop."""
        return self._turn(rows, Builder.stop, wish, "stopped")

    @deed(
        "retire builder",
        label="Retire: let them go for good (their builds go to others)",
        question="This lets {what}, go for good: their keys open nothing any more, and what they build goes"
        " to others.",
        permission="add",
    )
    def retire(self, rows: QuerySet[Builder], wish: Wish) -> Outcome:
        """Retire."""
        faults, taken, now = [], 0, database_now()
        enabled = sum(builder.is_enabled for builder in rows)
        for builder in rows:
            try:
                taken += enrolment.retire(builder, wish.said("Retired"), now)
            except RedisFault as fault:
                faults.append(f"{builder}: {fault}")
        said = f"{many(enabled, self.opts)} retired; {many(taken, Build._meta)} went back into the queue."
        return Outcome(said, tuple(faults))

    @deed(
        "re-key builder",
        label="Give new keys (the old ones stop at once)",
        question="This gives new keys to {what}. The old ones stop at once.",
        permission="add",
    )
    def rekey(self, rows: QuerySet[Builder], wish: Wish) -> Outcome:
        """Give each a new token and Redis password, and show them."""
        return self._rekey(rows.select_related("target"))

    def _rekey(self, builders: "QuerySet[Builder] | list[Builder]") -> Outcome:
        """Give new keys; who is retired, and what cannot be told to Redis, is said."""
        texts, faults = [], []
        for builder in builders:
            try:
                texts.append(enrolment.rekey(builder).text())
            except Retired as fault:
                faults.append(str(fault))
            except RedisFault as fault:
                faults.append(f"{builder}: {fault}")
        return Outcome(f"New keys for {many(len(texts), self.opts)}.", tuple(faults), "\n\n".join(texts))

    def _turn(
        self,
        rows: QuerySet[Builder],
        how: Callable[[Builder, str, datetime], None],
        wish: Wish,
        done: str,
    ) -> Outcome:
        """Turn each of them to another mode, in the operator's name, but for those that are retired."""
        faults, now = [], database_now()
        for builder in rows:
            try:
                enrolment.refuse_retired(builder)
            except Retired as fault:
                faults.append(str(fault))
            else:
                how(builder, wish.said(done.capitalize()), now)
        return Outcome(f"{many(len(rows) - len(faults), self.opts)} {done}.", tuple(faults))
