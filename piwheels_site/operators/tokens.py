"""Tokens of operators' programs: who may make one, and the list of them."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from packages import audit
from packages.admin_deeds import Outcome, Wish, deed, shown_once
from packages.clock import database_now
from packages.record_admin import FarmAdmin
from packages.wording import many
from piwheels_site.models import OperatorToken


class TokenForm(forms.ModelForm):  # type: ignore[type-arg]  # Django's own class takes no argument
    """A new token of whoever is signed in."""

    # Of the request that the form is for; `get_form` says.
    is_verified = False

    def clean_expires_at(self) -> datetime | None:
        """Refuse what would never open anything."""
        expires_at: datetime | None = self.cleaned_data["expires_at"]
        if expires_at and expires_at <= database_now():
            raise ValidationError("That is over: give a time to come, or none.")
        return expires_at

    def clean(self) -> dict[str, Any]:
        """Refuse a session that a password alone began: its token would outlive it."""
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.is_verified:
            raise ValidationError(
                "Only who signed in with a second factor makes a token here: set one up, and sign in again."
            )
        return cleaned


@admin.register(OperatorToken)
class OperatorTokenAdmin(FarmAdmin):
    """What programs open the operators' part of the API with: each account makes and revokes its own."""

    form = TokenForm
    fields = ["name", "expires_at"]
    list_display = ["name", "user", "created_at", "expires_at", "used_at", "revoked_at"]
    list_select_related = ["user"]
    search_fields = ["name", "user__username__startswith"]
    actions = ["revoke"]

    def has_change_permission(self, request: HttpRequest, obj: OperatorToken | None = None) -> bool:
        """Nobody edits one: another takes its place."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: OperatorToken | None = None) -> bool:
        """Nobody deletes one: it is revoked."""
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Whoever may make one may revoke it."""
        return request.user.has_perm("piwheels_site.add_operatortoken")

    def get_form(
        self, request: HttpRequest, obj: OperatorToken | None = None, change: bool = False, **kwargs: Any
    ) -> Any:  # Any: Django's signature
        """Return the form, which knows how this session began."""
        form = super().get_form(request, obj, change, **kwargs)
        verified = request.user.is_verified()  # type: ignore[union-attr]  # of django-otp's middleware
        return type(form.__name__, (form,), {"is_verified": verified})

    def save_model(self, request: HttpRequest, obj: OperatorToken, form: Any, change: bool) -> None:
        """Make the token; `response_add` shows it."""
        obj.user = User.objects.get(username=request.user.get_username())
        vars(request)["made_token"] = obj.issue(database_now())
        audit.note(request.user.pk, "make operator token", [obj], model=OperatorToken, said="1 token made.")

    def response_add(
        self, request: HttpRequest, obj: OperatorToken, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show it, this once."""
        return shown_once(self, request, Outcome(f"The token {obj}", secret=vars(request)["made_token"]))

    @deed(
        "revoke operator token",
        label="Revoke: they open nothing any more",
        question="This revokes {what}: the programs that use them get nothing from then on.",
        permission="revoke",
    )
    def revoke(self, rows: QuerySet[OperatorToken], wish: Wish) -> Outcome:
        """Revoke one's own, or all of them as somebody who keeps the accounts."""
        by, now = User.objects.get(username=wish.by), database_now()
        own = rows if by.has_perm("auth.change_user") else rows.filter(user=by)
        left = len(rows) - len(own)
        faults = (f"{many(left, self.opts)} of others: an administrator revokes those.",) if left else ()
        return Outcome(f"{many(sum(row.revoke(now) for row in own), self.opts)} revoked.", faults)
