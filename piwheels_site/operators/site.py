"""The operators' site: Django's admin with its own sign-in, and what needs a decision on the first screen."""

from typing import Any

from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect

from packages import audit
from packages.clock import database_now
from piwheels_site import attention, limits
from piwheels_site.operators import second_factor
from piwheels_site.operators.second_factor_page import second_factor_page
from piwheels_site.operators.sign_in import SignInForm


class FarmSite(AdminSite):
    """The admin of a farm."""

    site_title = site_header = "Operators"
    index_title = "What needs a decision"
    index_template = "admin/attention.html"
    login_form = SignInForm
    login_template = "admin/sign_in.html"
    # Half of a small screen, on each page, and the lists are on the first one.
    enable_nav_sidebar = False

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Add the page of the second factor, which is there before one may see any other."""
        page = csrf_protect(never_cache(self.second_factor))
        return [path("second-factor/", page, name="second_factor"), *super().get_urls()]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Show what needs a decision, and then all lists."""
        now = database_now()
        shown = {"matters": attention.found(now), "now": now}
        return super().index(request, {**shown, **(extra_context or {})})

    def has_permission(self, request: HttpRequest) -> bool:
        """Let nobody in by a password alone who has a second factor, or should have one."""
        return super().has_permission(request) and (_is_verified(request) or not _is_needed(request))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Sign in; who must have a second factor and has none sets it up first."""
        if super().has_permission(request) and not self.has_permission(request) and _may_set_up(request):
            return HttpResponseRedirect(reverse("admin:second_factor"))
        response = super().login(request, extra_context)
        if request.method == "POST" and isinstance(response, HttpResponseRedirect):
            limits.remember_browser(response, request.user.get_username())
        return response

    # Django's types know of the page alone, and not that it redirects once the password is another.
    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """Change one's own password, and note that."""
        response = super().password_change(request, extra_context)
        if request.method == "POST" and isinstance(response, HttpResponseRedirect):
            user = User.objects.get(username=request.user.get_username())
            said = "The password was changed."
            audit.note(user.pk, "change own password", [user], model=User, said=said)
        return response

    def second_factor(self, request: HttpRequest) -> HttpResponse:
        """Show the page of one's own second factor."""
        if not super().has_permission(request) or not _may_set_up(request):
            return HttpResponseRedirect(f"{reverse('admin:login')}?next={reverse('admin:second_factor')}")
        return second_factor_page(request, self.each_context(request))


def _is_verified(request: HttpRequest) -> bool:
    """Tell whether the second factor was given when this session began."""
    return bool(request.user.is_verified())  # type: ignore[union-attr]  # of django-otp's middleware


def _is_needed(request: HttpRequest) -> bool:
    """Tell whether a password alone is not enough; asked once for each request."""
    if settings.PIWHEELS_TWO_FACTOR:
        return True
    known = vars(request)
    if "has_second_factor" not in known:
        known["has_second_factor"] = second_factor.device_of(request.user) is not None  # type: ignore[arg-type]
    return bool(known["has_second_factor"])


def _may_set_up(request: HttpRequest) -> bool:
    """Tell whether somebody may set up their second factor: the first, or another with the one they have."""
    return _is_verified(request) or second_factor.device_of(request.user) is None  # type: ignore[arg-type]
