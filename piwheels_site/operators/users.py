"""Accounts: each has one role; none is ever deleted, as what it did stays on record."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group, User
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest

from packages import audit
from packages.admin_deeds import Outcome, Wish, deed
from packages.record_admin import FarmAdmin
from packages.wording import many
from piwheels_site.operators import second_factor
from piwheels_site.operators.roles import Role

_ROLES = [(role.value, role.value) for role in Role]


class AccountForm(UserChangeForm):  # type: ignore[type-arg]  # Django's own class takes no argument
    """An account with its role."""

    role = forms.ChoiceField(choices=_ROLES, required=False, help_text="What the account may do.")

    def __init__(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        super().__init__(*args, **options)
        group = self.instance.groups.filter(name__in=dict(_ROLES)).first()
        self.fields["role"].initial = group.name if group else Role.VIEWER.value


class NewAccountForm(AdminUserCreationForm):  # type: ignore[type-arg]  # as above
    """A new account with its role."""

    role = forms.ChoiceField(choices=_ROLES, help_text="What the account may do.")


class AccountAdmin(UserAdmin, FarmAdmin):  # type: ignore[type-arg, misc]  # as above; two forms of get_form
    """Who may sign in here, and what they may do."""

    form, add_form = AccountForm, NewAccountForm
    list_display = ["username", "first_name", "role", "has_second_factor", "is_active", "last_login"]
    list_filter = ["is_active", "groups"]
    search_fields = ["username__startswith"]
    ordering = ["username"]
    filter_horizontal = ()
    readonly_fields = ["last_login", "date_joined"]
    fieldsets = [
        (None, {"fields": ["username", "password", "first_name", "email"]}),
        ("What it may do", {"fields": ["is_active", "role"]}),
        ("When", {"fields": ["last_login", "date_joined"]}),
    ]
    add_fieldsets = [(None, {"fields": ["username", "usable_password", "password1", "password2", "role"]})]
    actions = ["forget_second_factor"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Read what the list shows of each account all at once."""
        has = Exists(second_factor.confirmed().filter(user=OuterRef("pk")))
        users: QuerySet[User] = super().get_queryset(request)
        return users.annotate(has_factor=has).prefetch_related("groups")

    @admin.display
    def role(self, user: User) -> str:
        """Show what an account may do."""
        if user.is_superuser:
            return "superuser"
        return ", ".join(group.name for group in user.groups.all()) or "none"

    @admin.display(boolean=True)
    def has_second_factor(self, user: User) -> bool:
        """Show whether a password alone is not enough for it."""
        return bool(user.has_factor)  # type: ignore[attr-defined]  # what get_queryset asked

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Let nobody change those who may do more than they do, nor the account of the command line."""
        is_above = obj is not None and obj.is_superuser and not request.user.is_superuser
        is_system = obj is not None and obj.username == audit.SYSTEM
        return not is_above and not is_system and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Nobody goes, as what they did would go too; an account is made inactive."""
        return False

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Let whoever has an account come in."""
        obj.is_staff = True
        super().save_model(request, obj, form, change)
        if change:
            obj.save(update_fields=["is_staff"])

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Give the account its role; one that there is, only if it was changed here."""
        super().save_related(request, form, formsets, change)
        role = form.cleaned_data.get("role")
        if role and (not change or "role" in form.changed_data):
            form.instance.groups.set([Group.objects.get(name=role)])

    @deed(
        "forget second factor",
        label="Forget their second factor (a phone was lost)",
        question="This has {what} sign in with a password alone, until they set a second factor up again.",
    )
    def forget_second_factor(self, rows: QuerySet[User], wish: Wish) -> Outcome:
        """Forget what they sign in with besides their passwords."""
        by = User.objects.get(username=wish.by)
        some = rows if by.is_superuser else rows.exclude(is_superuser=True)
        for user in some:
            second_factor.forget(user)
        return Outcome(f"The second factor of {many(len(some), self.opts)} forgotten.")
