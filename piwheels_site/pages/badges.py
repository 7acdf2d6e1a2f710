"""What a README can show of a package, and the Debian packages that wheels need, as text for a shell."""

import time
from hashlib import sha256

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.loader import render_to_string
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from packages.clock import database_now
from packages.models import Package
from packages.project import canonical
from piwheels_site import badge as drawing
from piwheels_site import limits
from piwheels_site.looking import look
from piwheels_site.naming import canonical_or_404

KEPT = "public, max-age=300"
# A shell's line should not be longer, and each costs some queries.
MOST_NAMES = 20


@require_safe
def badge(request: HttpRequest, name: str) -> HttpResponse:
    """Draw the badge of a package."""
    if name != canonical_or_404(name):
        return redirect("badge", canonical_or_404(name), permanent=True)
    package = get_object_or_404(Package, name=name)
    looked = look(package, package.versions.newest_first(), [], database_now())
    body = render_to_string("pages/badge.svg", {"badge": drawing.badge(looked.answers)}).encode()
    etag = f'"{sha256(body).hexdigest()[:32]}"'
    response = HttpResponse(body, content_type="image/svg+xml")
    response.headers["ETag"] = etag
    answer = get_conditional_response(request, etag, response=response) or response
    answer.headers["Cache-Control"] = KEPT
    answer.headers["Access-Control-Allow-Origin"] = "*"
    return answer


@require_safe
def apt_list(request: HttpRequest, os_release: str, names: str) -> HttpResponse:
    """Answer which Debian packages these packages' wheels need on an OS release, on one line.

    A shell takes the words of an answer for names of packages, so all that is no such line is 404, of which
    `curl -f` prints nothing.
    """
    wanted = [canonical(name) for name in names.split(",")[: MOST_NAMES + 1]]
    if not all(wanted) or len(wanted) > MOST_NAMES:
        return _none(f"Name up to {MOST_NAMES} packages, with commas between them.")
    packages = {package.name: package for package in Package.objects.filter(name__in=wanted)}
    if missing := [name for name in wanted if name not in packages]:
        return _none(f"There is no {', '.join(missing)} here.")
    # Each is looked at as by a request of its own.
    if wait_s := limits.wait_s(request, len(packages), time.time()):
        return limits.refusal(wait_s)
    now = database_now()
    found: set[str] = set()
    for name in sorted(packages):
        looked = look(packages[name], packages[name].versions.newest_first(), [], now)
        mine = [answer for answer in looked.answers if answer.target.os_release == os_release]
        if not mine:
            return _none("Nothing is built for that release.")
        found.update(apt for answer in mine for apt in answer.apt)
    return _plain(f"{' '.join(sorted(found))}\n", 200)


def _none(why: str) -> HttpResponse:
    """Say why there is no such line."""
    return _plain(f"{why}\n", 404)


def _plain(text: str, status: int) -> HttpResponse:
    """Return a text for a shell."""
    response = HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response
