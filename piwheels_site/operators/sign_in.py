"""How operators sign in: a password, the second factor of whoever has one, and a limit of attempts."""

import time
from typing import Any, ClassVar

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from piwheels_site import knocks, limits
from piwheels_site.operators import second_factor


class SignInForm(AdminAuthenticationForm):
    """Django's form, with a code; who has failed too often waits, whatever they know."""

    # The same whatever was wrong: another word about the code alone would say that the password is right.
    error_messages: ClassVar = {  # type: ignore[misc]  # so is Django's own
        **AdminAuthenticationForm.error_messages,
        "invalid_login": (
            "Name, password or code is not right. Of who has a second factor, the code is what the app shows"
            " now, or a recovery code not used before."
        ),
    }
    code = forms.CharField(
        required=False,
        max_length=40,
        label="Code of your app, or a recovery code",
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code"}),
    )

    def clean(self) -> dict[str, Any]:
        """Sign in, or count the failure."""
        name, now = str(self.cleaned_data.get("username", "")), time.time()
        request = self.request or HttpRequest()
        if wait_s := limits.sign_in_wait_s(request, name, now):
            raise ValidationError(f"Too many attempts failed. Try again in {wait_s // 60 + 1} minutes.")
        try:
            cleaned: dict[str, Any] = super().clean()
            self._check_second_factor(self.get_user())
        except ValidationError:
            limits.count_failed_sign_in(request, name, now)
            knocks.tell(request, "a password or code")
            raise
        return cleaned

    def _check_second_factor(self, user: User | None) -> None:
        """Take a code of whoever has a second factor; the session notes that it was given."""
        if user is None or second_factor.device_of(user) is None:
            return
        device = second_factor.verify(user, self.cleaned_data.get("code", ""))
        if device is None:
            # Without it the user is none, so that nobody signs in who looks at it alone.
            self.user_cache = None
            raise self.get_invalid_login_error()
        user.otp_device = device  # type: ignore[attr-defined]  # django-otp reads it when the session begins
