"""The operators' door to what came out: wheels, what they need, what was refused, and how it is stored."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet, Sum
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat

from builds.admin.filters import StandingFilter
from builds.files import takedown
from builds.models import Dependency, Refusal, StorageCheck, Wheel
from packages.admin_deeds import Outcome, Reason, Wish, deed
from packages.clock import database_now
from packages.models import Package
from packages.record_admin import RecordAdmin, by_package
from packages.wording import many


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
    list_filter = [StandingFilter]
    search_fields = ["filename__startswith"]
    inlines = [DependencyInline]
    actions = ["release", "yank", "unyank", "withdraw", "take_down"]

    def what(self, rows: QuerySet[Wheel]) -> str:
        """Say how many wheels they are, of how many packages, and how many bytes."""
        size = filesizeformat(rows.aggregate(size=Sum("size"))["size"] or 0).replace("\xa0", " ")
        return (
            f"{many(rows.count(), self.opts)} of {many(by_package(rows, 'package'), Package._meta)}, {size}"
        )

    def has_take_down_permission(self, request: HttpRequest) -> bool:
        """No row is ever deleted; who could may delete the bytes."""
        return request.user.has_perm("builds.delete_wheel")

    @deed(
        "release wheel",
        label="Show what was held: I have looked at it",
        question="This shows {what} in the index from now on.",
    )
    def release(self, rows: QuerySet[Wheel], wish: Wish) -> Outcome:
        """Release."""
        held = rows.exclude(held_reason="").select_related("package")
        count = sum(wheel.release() for wheel in held)
        return Outcome(f"{many(count, self.opts)} shown from now on.")

    @deed(
        "yank wheel",
        label="Yank: installers pass these over unless told to take them",
        question="This yanks {what}: installers pass them over unless told to take them.",
        reason=Reason.MUST,
    )
    def yank(self, rows: QuerySet[Wheel], wish: Wish) -> Outcome:
        """Yank those that no operator has yanked before, who gave a reason; an import has none."""
        some = rows.select_related("package")
        wheels = [wheel for wheel in some if not (wheel.is_yanked_by_hand and wheel.yanked_reason)]
        for wheel in wheels:
            wheel.yank(wish.reason)
        return Outcome(f"{many(len(wheels), self.opts)} yanked{_were(len(rows) - len(wheels))}.")

    @deed(
        "unyank wheel",
        label="Take the yank back",
        question="This takes the yank of {what} back. Among several, those that a rebuild has replaced stay"
        " yanked: they would come back beside it.",
    )
    def unyank(self, rows: QuerySet[Wheel], wish: Wish) -> Outcome:
        """Unyank; one that a rebuild has replaced only if it is the only one."""
        yanked = [wheel for wheel in rows.select_related("package") if wheel.yanked]
        wheels = [wheel for wheel in yanked if wheel.superseded_by_id is None or len(rows) == 1]
        for wheel in wheels:
            wheel.unyank()
        left = f"; {len(yanked) - len(wheels)} replaced by rebuilds stay" * (len(yanked) > len(wheels))
        return Outcome(f"The yank of {many(len(wheels), self.opts)} taken back{left}.")

    @deed(
        "withdraw wheel",
        label="Take out of the index",
        question="This takes {what} out of the index. Their files stay.",
        reason=Reason.MUST,
    )
    def withdraw(self, rows: QuerySet[Wheel], wish: Wish) -> Outcome:
        """Withdraw those that are not out of it, or only until their bytes are back."""
        now, count = database_now(), len(rows)
        some = rows.filter(Q(withdrawn_at=None) | Q(lost_at__isnull=False))
        wheels = list(some.select_related("package"))
        for wheel in wheels:
            wheel.withdraw(now, wish.said("Withdrawn"))
        return Outcome(f"{many(len(wheels), self.opts)} out of the index{_were(count - len(wheels))}.")

    @deed(
        "take down wheel",
        label="Take down: delete the files for good",
        question="This takes {what} out of the index, and then deletes their files from wherever they are"
        " stored. There is no way back: nothing gets these names again.",
        reason=Reason.MUST,
        permission="take_down",
    )
    def take_down(self, rows: QuerySet[Wheel], wish: Wish) -> Outcome:
        """Take down."""
        wheels = list(rows.select_related("package"))
        takedown.take_down(wheels, wish.said("Taken down"), database_now())
        return Outcome(f"{many(len(wheels), self.opts)} out of the index; the files go now.")


def _were(count: int) -> str:
    """Say of how many there was nothing to do."""
    return f"; {count:,} had been so before" if count else ""


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
    search_fields = ["wheel__filename__startswith"]


@admin.register(Refusal)
class RefusalAdmin(RecordAdmin):
    """Files that were not taken, and why."""

    list_display = ["at", "filename", "build", "reason"]
    list_select_related = ["build__version__package", "build__target"]
    ordering = ["-pk"]
