"""The page on which somebody sets their second factor up, and changes it."""

from typing import Any

import django_otp
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django_otp.plugins.otp_static.models import StaticDevice

from packages import audit
from piwheels_site.operators import second_factor


def second_factor_page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Show how the second factor stands, or do what was asked of it."""
    user = User.objects.get(username=request.user.get_username())
    act = {"begin": _begin, "finish": _finish, "codes": _codes, "forget": _forget}.get(
        request.POST.get("deed", "") if request.method == "POST" else ""
    )
    return act(request, user, context) if act else _show(request, user, context)


def _show(request: HttpRequest, user: User, context: dict[str, Any], **more: Any) -> HttpResponse:
    """Show the page."""
    shown = {
        **context,
        "title": "Second factor",
        "device": second_factor.device_of(user),
        "codes_left": second_factor.codes_left(user),
        "is_required": settings.PIWHEELS_TWO_FACTOR,
        **more,
    }
    answer = TemplateResponse(request, "admin/second_factor.html", shown)
    add_never_cache_headers(answer)
    return answer


def _begin(request: HttpRequest, user: User, context: dict[str, Any]) -> HttpResponse:
    """Show a new secret."""
    return _show_secret(request, user, context, second_factor.begin(user))


def _show_secret(
    request: HttpRequest, user: User, context: dict[str, Any], device: Any, problem: str = ""
) -> HttpResponse:
    """Show the secret of an app that is being set up, and ask for its first code."""
    shown = {"picture": second_factor.picture(device), "secret": second_factor.secret(device)}
    return _show(request, user, context, problem=problem, **shown)


def _finish(request: HttpRequest, user: User, context: dict[str, Any]) -> HttpResponse:
    """Have the app count if its code is right, and show the recovery codes."""
    codes = second_factor.finish(user, "".join(request.POST.get("code", "").split()))
    if not codes:
        device = second_factor.pending_of(user) or second_factor.begin(user)
        problem = "That is not the code of this app: look at its clock, and give the code that it shows now."
        return _show_secret(request, user, context, device, problem)
    django_otp.login(request, second_factor.device_of(user))
    _note(user, "set up second factor", "The second factor was set up.")
    return _show(request, user, context, codes=codes)


def _codes(request: HttpRequest, user: User, context: dict[str, Any]) -> HttpResponse:
    """Show new recovery codes of whoever has a second factor."""
    if second_factor.device_of(user) is None:
        return _show(request, user, context)
    began_with = request.user.otp_device  # type: ignore[union-attr]  # of django-otp's middleware
    codes = second_factor.new_codes(user)
    if isinstance(began_with, StaticDevice):
        # The session would end with the codes that it began with, before the new ones are written down.
        django_otp.login(request, second_factor.codes_of(user))
    _note(user, "new recovery codes", "New recovery codes were given.")
    return _show(request, user, context, codes=codes)


def _forget(request: HttpRequest, user: User, context: dict[str, Any]) -> HttpResponse:
    """Go back to a password alone, where that is enough."""
    if settings.PIWHEELS_TWO_FACTOR:
        messages.warning(request, "Everybody needs a second factor here; another one may take its place.")
    else:
        second_factor.forget(user)
        _note(user, "forget second factor", "The second factor was switched off.")
    return HttpResponseRedirect(reverse("admin:second_factor"))


def _note(user: User, action: str, said: str) -> None:
    audit.note(user.pk, action, [user], model=User, said=said)
