"""Ask for packages to be built: a form of one button, and what happens next; or for all of a checked file."""

import time
from collections import defaultdict

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.timezone import now
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from builds.models import Target
from packages.models import Dirty, Package
from packages.project import canonical
from piwheels_site import limits
from piwheels_site.naming import canonical_or_404
from simple import asking, clients
from simple.asking import Answer, Wish

STATUS = {Answer.NOT_BUILT: 403, Answer.TOO_MANY: 429, Answer.FULL: 503, Answer.CLOSED: 403}
# Of what one client may ask of the API; it is as much work here as there.
COST = limits.COSTS["requests"]


# The form has a token of whoever sees it, so no cache may keep it.
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def request_build(request: HttpRequest, name: str) -> HttpResponse:
    """Show the form, or take the request."""
    if name != canonical_or_404(name):
        return redirect("request", canonical_or_404(name), permanent=True)
    if refusal := _too_much(request):
        return refusal
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
    return render(request, "pages/request.html", context, status=STATUS.get(answer, 200) if answer else 200)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def request_missing(request: HttpRequest) -> HttpResponse:
    """Take a request for each of several packages, as the page of a checked file has them."""
    names = [name for name in map(canonical, request.POST.getlist("name")) if name]
    if request.method != "POST" or not names:
        return redirect("check")
    if refusal := _too_much(request):
        return refusal
    target = Target.objects.active().filter(key=request.POST.get("target", "")).first()
    answers = asking.ask_all(names, target, clients.address(request), now())
    found: dict[Answer, list[str]] = defaultdict(list)
    for name, answer in answers.items():
        found[answer].append(name)
    context = {
        "answers": [(answer.name, found[answer]) for answer in Answer if answer in found],
        "target": target,
        "limit": settings.PIWHEELS_REQUESTS_A_DAY,
    }
    is_counted = Answer.COUNTED in found or Answer.AGAIN in found
    status = 200 if is_counted else STATUS[next(iter(found))]
    return render(request, "pages/request_missing.html", context, status=status)


def _too_much(request: HttpRequest) -> HttpResponse | None:
    """Count what is asked for, and refuse a client that asks for much at a time; None for any other."""
    wait_s = limits.wait_s(request, COST, time.time()) if request.method == "POST" else 0
    return limits.refusal(wait_s) if wait_s else None
