"""The operators' site: Django's admin, with what needs a decision on its first screen."""

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.template.response import TemplateResponse

from builds.clock import database_now
from piwheels_site import attention


class FarmSite(AdminSite):
    """The admin of a farm."""

    site_title = site_header = "Operators"
    index_title = "What needs a decision"
    index_template = "admin/attention.html"
    # Half of a small screen, on each page, and the lists are on the first one.
    enable_nav_sidebar = False

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Show what needs a decision, and then all lists."""
        now = database_now()
        shown = {"matters": attention.found(now), "now": now}
        return super().index(request, {**shown, **(extra_context or {})})
