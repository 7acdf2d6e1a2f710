"""What the frame of every page needs: the reader's colours, and what everybody should know."""

from django.http import HttpRequest
from django.utils import timezone

from piwheels_site.models import Notice

THEME = "theme"
THEMES = ("light", "dark")


def frame(request: HttpRequest) -> dict[str, object]:
    """Return it, for `base.html`."""
    theme = request.COOKIES.get(THEME, "")
    now = timezone.now()
    return {
        "theme": theme if theme in THEMES else "",
        "notices": Notice.shown(now),
        "now": now,
        "search": request.GET.get("q", "")[:200],
    }
