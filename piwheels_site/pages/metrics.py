"""The farm's figures for Prometheus, and for nobody else."""

import hmac
from ipaddress import ip_address

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from piwheels_site import metrics

# Who sends one of these has somebody in front who passes strangers on.
_PASSED_ON = ("Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via")


@never_cache
@require_safe
def figures(request: HttpRequest) -> HttpResponse:
    """Give the figures to this machine, or to whoever has the token if there is one; to others nothing."""
    if not _may_read(request):
        raise Http404("There is no such page.")
    return HttpResponse(metrics.page(timezone.now()), content_type=CONTENT_TYPE_LATEST)


def _may_read(request: HttpRequest) -> bool:
    """Tell whether the figures are for whoever asks."""
    if token := settings.PIWHEELS_METRICS_TOKEN:
        given = request.headers.get("Authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {token}".encode())
    if any(header in request.headers for header in _PASSED_ON):
        return False
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
