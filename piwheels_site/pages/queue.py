"""The page of the queue: how long it is for each target, what is next, and where a package stands."""

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from builds.figures import waiting
from builds.models import Counting
from packages.clock import database_now

# What is next is looked at this often, in seconds, however many people read.
LOOKED_AT_EVERY = 3
# The longest name that may be asked for; upstream has none that is longer.
MOST_NAME = 200


@require_safe
def queue(request: HttpRequest) -> HttpResponse:
    """Show what waits; with `?package=`, where that package stands."""
    now = database_now()
    name = request.GET.get("package", "").replace("\0", "").strip()[:MOST_NAME]
    queues = cache.get_or_set("queues", lambda: waiting.queues(now), LOOKED_AT_EVERY) or []
    context = {
        "queues": queues,
        "ready": sum(each.ready for each in queues),
        "campaigns": cache.get_or_set("queue-campaigns", waiting.campaigns, LOOKED_AT_EVERY),
        "counted_at": Counting.objects.filter(pk=Counting.Thing.QUEUE).values_list("at", flat=True).first(),
        "name": name,
        "standing": waiting.of_package(name, now) if name else None,
        "now": now,
    }
    return render(request, "pages/queue.html", context)
