"""What the frame of every page needs: the reader's colours, what everybody should know, and whom to tell."""

from django.conf import settings
from django.core.exceptions import TooManyFieldsSent
from django.http import HttpRequest
from django.utils import timezone

from piwheels_site.models import Notice

THEME = "theme"
THEMES = ("light", "dark")


def frame(request: HttpRequest) -> dict[str, object]:
    """Return it, for `base.html`."""
    now = timezone.now()
    return {
        "theme": theme_of(request),
        "notices": Notice.shown(now),
        "now": now,
        "search": _searched(request),
        "contact": settings.PIWHEELS_CONTACT,
    }


def theme_of(request: HttpRequest) -> str:
    """Return which colours a reader wants; empty for the system's."""
    theme = request.COOKIES.get(THEME, "")
    return theme if theme in THEMES else ""


def _searched(request: HttpRequest) -> str:
    """Return what was looked for; nothing of a query that is refused, as the refusal has a frame too."""
    try:
        return request.GET.get("q", "")[:200]
    except TooManyFieldsSent:
        return ""
