"""Ask for a package to be built: a form of one button, and what happens next."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.timezone import now
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from builds.models import Target
from packages.models import Dirty, Package
from piwheels_site import clients
from piwheels_site.naming import canonical_or_404
from simple import asking
from simple.asking import Answer, Wish

STATUS = {Answer.TOO_MANY: 429, Answer.FULL: 503, Answer.CLOSED: 403}


# The form has a token of whoever sees it, so no cache may keep it.
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def request_build(request: HttpRequest, name: str) -> HttpResponse:
    """Show the form, or take the request."""
    if name != canonical_or_404(name):
        return redirect("request", canonical_or_404(name), permanent=True)
    targets = Target.objects.active()
    answer = None
    if request.method == "POST":
        chosen = targets.filter(key=request.POST.get("target", "")).first()
        answer = asking.ask(Wish(name, chosen), clients.address(request), now())
    context = {
        "name": name,
        "package": Package.objects.filter(name=name).first(),
        "targets": targets,
        "answer": answer.name if answer else "",
        "is_marked": Dirty.objects.filter(name=name).exists(),
        "limit": settings.PIWHEELS_REQUESTS_A_DAY,
    }
    return render(request, "request.html", context, status=STATUS.get(answer, 200) if answer else 200)
