"""Bundles for a Pi without a network: the form, the page of each with how far it is, and its zip."""

import os
from dataclasses import dataclass
from http import HTTPStatus

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from packages.clock import database_now
from piwheels_site.asked import asked_target, offered_targets, sent_text
from simple import clients
from simple.bundle.asking import MOST_BYTES, Question, Refused, ask
from simple.bundle.work import is_ready, zip_path
from simple.explain import CannotRun
from simple.files import serve_published
from simple.machines import BY_KEY, MODELS
from simple.models import Bundle
from simple.requirements import CannotRead
from simple.tree import Published


# The form has a token of whoever sees it, so no cache may keep it.
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def bundle_form(request: HttpRequest) -> HttpResponse:
    """Show the form, or take what is asked with it."""
    asked = request.POST if request.method == "POST" else request.GET
    context = _form(asked.get("os", ""), asked.get("model", ""))
    context |= {"text": asked.get("text", "")[:MOST_BYTES], "installed": asked.get("installed", "")}
    if request.method != "POST":
        return render(request, "pages/bundle.html", context)
    try:
        question = Question(
            wanted=sent_text(request).replace("\r\n", "\n").strip(),
            installed=asked.get("installed", "").replace("\r\n", "\n").strip(),
            target=context["target"],  # type: ignore[arg-type]
            model=context["model"],  # type: ignore[arg-type]
        )
        return redirect(ask(question, clients.address(request), database_now()).path)
    except (CannotRead, CannotRun) as error:
        context["problem"], status = str(error), HTTPStatus.BAD_REQUEST.value
    except Refused as refusal:
        context["problem"], status = str(refusal), refusal.status
    return render(request, "pages/bundle.html", context, status=status)


@never_cache
@require_safe
def bundle_page(request: HttpRequest, key: str) -> HttpResponse:
    """Show how far a bundle is, or what is in it; htmx asks for the part that changes."""
    bundle = get_object_or_404(Bundle.objects.select_related("target"), key=key)
    now = database_now()
    if "HX-Request" in request.headers:
        if bundle.is_open:
            return render(request, "pages/_bundle_progress.html", _progress(bundle))
        # The rest of the page is another one, too.
        return HttpResponse(status=HTTPStatus.NO_CONTENT, headers={"HX-Refresh": "true"})
    context = {
        **_form(bundle.target.key, bundle.model),
        **_progress(bundle),
        "text": bundle.wanted,
        "installed": bundle.installed,
        "is_ready": is_ready(bundle, now),
    }
    return render(request, "pages/bundle_page.html", context)


@require_safe
def bundle_zip(request: HttpRequest, key: str, filename: str) -> HttpResponseBase:
    """Serve the zip, whole or in part."""
    bundle = get_object_or_404(Bundle, key=key)
    if filename != bundle.filename or not is_ready(bundle, database_now()):
        raise Http404
    try:
        file = zip_path(bundle.digest).open("rb")
    except FileNotFoundError as error:
        raise Http404 from error
    told = os.fstat(file.fileno())
    response = serve_published(request, _Zip(file, told.st_size, int(told.st_mtime), bundle.digest))
    response.headers["Cache-Control"] = "private"
    # Packed once more on the way, it would be no smaller, and no download could go on where it broke off.
    request.META["HTTP_ACCEPT_ENCODING"] = "identity"
    if response.status_code in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        response.headers["Content-Type"] = "application/zip"
    return response


@dataclass(frozen=True)
class _Zip(Published):
    """A zip, which has the same bytes whenever it is made."""

    digest: str

    @property
    def etag(self) -> str:
        """The same for the same bytes, so that a download can go on after the zip was made anew."""
        return f'"{self.digest}"'


def _form(target: str, model: str) -> dict[str, object]:
    """Return what the form is made of, with what is chosen in it."""
    targets = offered_targets()
    chosen = BY_KEY.get(model)
    return {
        "targets": targets,
        "models": MODELS,
        "target": asked_target(target, targets, chosen),
        "model": chosen,
        "most_bytes": settings.PIWHEELS_BUNDLE_BYTES,
        "most_packages": settings.PIWHEELS_BUNDLE_PACKAGES,
        "kept_s": settings.PIWHEELS_BUNDLES_KEPT_S,
        "most_mib": MOST_BYTES >> 20,
        "limit": settings.PIWHEELS_BUNDLES_A_DAY,
    }


def _progress(bundle: Bundle) -> dict[str, object]:
    """Return what is said of a bundle, and of its way."""
    return {"bundle": bundle, "before": bundle.before, "now": database_now()}
