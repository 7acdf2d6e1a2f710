"""Will it all install? What a Pi gets of a requirements or lock file that somebody pastes or uploads."""

import time

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from piwheels_site import limits
from piwheels_site.asked import asked_target, offered_targets, sent_text
from simple.check import Checked, by_verdict, check
from simple.explain import SETUPS, CannotRun, Setup
from simple.machines import BY_KEY, MODELS
from simple.requirements import MOST_BYTES, CannotRead, read

# A longer text does not travel a second time: the page of bundles takes the file itself.
HANDED_ON = 100 << 10
# Of what one client may ask of the API; it is as much work here as there.
COST = limits.COSTS["check"]


# Nothing is kept of what is sent, and nobody is signed in here: there is nothing to be forged.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def check_page(request: HttpRequest) -> HttpResponse:
    """Show the form, and below it what becomes of the file that was sent with it."""
    targets = offered_targets()
    asked = request.POST if request.method == "POST" else request.GET
    model = BY_KEY.get(asked.get("model", ""))
    setup = Setup(asked["setup"]) if asked.get("setup") in SETUPS else Setup.PIP
    target = asked_target(asked.get("os", ""), targets, model)
    context: dict[str, object] = {
        "targets": targets,
        "models": MODELS,
        "setups": SETUPS,
        "target": target,
        "model": model,
        "setup": setup,
        "told": SETUPS[setup],
        "most_mib": MOST_BYTES >> 20,
        "text": "",
    }
    status = 200
    if request.method == "POST" and (wait_s := limits.wait_s(request, COST, time.time())):
        context["problem"] = limits.words(wait_s)
        status = 429
    elif request.method == "POST":
        try:
            text = sent_text(request)
            # What came as a file does not come back in the form.
            context["text"] = asked.get("text", "")
            context |= _shown(check(read(text), target, model, setup)) | _handed_on(text)
        except (CannotRead, CannotRun) as error:
            context["problem"], status = str(error), 400
    return render(request, "pages/check.html", context, status=status)


def _handed_on(text: str) -> dict[str, object]:
    """Return what the buttons below an answer hand on: to be asked for, and to be packed."""
    return {
        "requests_a_day": settings.PIWHEELS_REQUESTS_A_DAY,
        "bundles_a_day": settings.PIWHEELS_BUNDLES_A_DAY,
        "handed_on": text if len(text.encode(errors="replace")) <= HANDED_ON else "",
    }


def _shown(checked: Checked) -> dict[str, object]:
    """Return what the template says of an answer."""
    return {
        "checked": checked,
        "verdicts": [(verdict, lines) for verdict, lines in by_verdict(checked).items()],
        "bad": len(checked.lines) - checked.good,
        # What is more than anybody may ask for on a day would be sent in vain.
        "missing": checked.missing[: settings.PIWHEELS_REQUESTS_A_DAY],
        "missing_count": len(checked.missing),
    }
