"""What it costs to choose and to give out the next 100 builds, and to tick, however many wait.

A database is filled to 100,000 versions and then to a million, each waiting for three targets; to as many as
QUEUE_VERSIONS says, if that is set, and then the growth is drawn as `benchmarks/queue-growth.svg`.  Of what
waits, the first tenth waits for a time, for larger builders, or is long: whoever looks at those one by one is
found out.

The fastest of some times is what it costs; the median has in it what else the machine does.
"""

import os
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from statistics import median

from django.conf import settings
from django.core.management import call_command
from django.db import transaction

from benchmarks import growth
from benchmarks.figures import Figure, show
from benchmarks.many_versions import FAILURE, fill, held, unlog
from builds import dispatch, queue
from builds.builders import quarantine
from builds.models import Build, Builder, Campaign, Demand, Size, Target
from builds.planning import campaigns, demand, plan, raising
from builds.planning.demand import Wanted
from builds.shown import position
from packages.clock import database_now
from piwheels_site import brokers
from tests import services

SIZES = (100_000, 1_000_000)
BUILDERS = 100
REPEATED = 30

# What beat asks for all the time, when there is nothing to do.
TICKS: dict[str, Callable[[datetime], object]] = {
    "builds.plan": lambda now: plan.plan_changed(now, limit=200),
    "builds.raise_classes": lambda _: raising.raise_classes(limit=5000),
    "builds.sweep": lambda now: dispatch.ring_again(now) + dispatch.close_lost(now),
    "builds.quarantine": quarantine.quarantine_bad,
    "builds.tidy": lambda _: dispatch.tidy(),
}


def main() -> int:
    """Measure and print."""
    asked = int(os.environ.get("QUEUE_VERSIONS", SIZES[-1]))
    sizes = sorted({size for size in SIZES if size < asked} | {asked})
    points, wrong = [], 0
    call_command("migrate", verbosity=0)
    unlog()
    with services.private_redis(settings.VAR / "redis") as settings.PIWHEELS_ORDERS_URL:
        target = enrol()
        for size in sizes:
            began = time.monotonic()
            fill(size)
            print(f"  {size:,} versions, filled in {time.monotonic() - began:.0f} s", flush=True)
            choosing, giving = measure_giving(size, target)
            wrong += Build.objects.assigned().exists()
            points.append(growth.Point(size, 1000 * min(choosing), 1000 * min(giving)))
            measure_pages(target)
            measure_ticks(target)
            measure_space(size)
    for what, first, last in (
        ("choosing", points[0].choosing_ms, points[-1].choosing_ms),
        ("choosing and giving out", points[0].giving_ms, points[-1].giving_ms),
    ):
        show(Figure(f"{what}, the largest to the smallest", last / first, "times", "under 2"))
    if "QUEUE_VERSIONS" in os.environ:
        growth.draw(points, Path(__file__).with_name("queue-growth.svg"))
    return 1 if wrong else 0


def enrol() -> Target:
    """Build for three targets, and have builders for the one that is returned."""
    targets = list(Target.objects.order_by("key")[:3])
    for target in targets:
        target.activate()
    Builder.objects.bulk_create(
        Builder(name=f"b-{n}", target=targets[0], token_hash=str(n), size=_size(n)) for n in range(BUILDERS)
    )
    return targets[0]


def _size(number: int) -> Size:
    """Return the size of a builder: most are small."""
    return Size.LARGE if number % 10 == 0 else Size.MEDIUM if number % 10 < 4 else Size.SMALL


def measure_giving(size: int, target: Target) -> tuple[list[float], list[float]]:
    """Print and return how many seconds choosing takes, and choosing and giving out."""
    Builder.objects.update(heard_at=database_now())
    choosing = repeated(lambda: choose(target))
    giving, busy = zip(*[give_out() for _ in range(1 + REPEATED)][1:], strict=True)
    show(
        Figure(f"choosing {BUILDERS} builds, {size:,} versions, the fastest", 1000 * min(choosing), "ms"),
        Figure("the same, the median", 1000 * median(choosing), "ms"),
        Figure("choosing them and giving them out, the fastest", 1000 * min(giving), "ms", "under 50"),
        Figure("the same, the median", 1000 * median(giving), "ms"),
        Figure("processor time of Python for that, the least", 1000 * min(busy), "ms"),
    )
    return choosing, list(giving)


def choose(target: Target) -> None:
    """Choose builds for all builders of a target, and leave them where they are."""
    now = database_now()
    with transaction.atomic():
        assert len(queue.next_for(target, dispatch.free(target, now), now)) == BUILDERS


def give_out() -> tuple[float, float]:
    """Give builds to all builders, with rings, and put them back.

    Return how many seconds giving them took, and how many of those Python was busy.
    """
    now = database_now()
    Builder.objects.update(heard_at=now)
    # As builders do, who get nothing before they have taken their last ring.
    with brokers.client(dispatch.bell()) as redis:
        redis.flushdb()
    began, busy = time.perf_counter(), time.process_time()
    given = dispatch.dispatch(now)
    took, busy = time.perf_counter() - began, time.process_time() - busy
    assert given == Build.objects.unassign() == BUILDERS
    return took, busy


def measure_pages(target: Target) -> None:
    """Print what the page of a build asks that waits behind many."""
    last = Build.objects.ready().filter(target=target, size=Size.SMALL, is_long=False)[20_000]
    took = min(repeated(lambda: position.of(last, database_now())))
    show(Figure("telling where a build stands that waits behind many", 1000 * took, "ms"))


def measure_ticks(target: Target) -> None:
    """Print what beat's ticks cost that have to do with builds."""
    for name, tick in TICKS.items():
        took = repeated(lambda tick=tick: tick(database_now()), times=5)  # type: ignore[misc]
        show(Figure(f"{name}, with nothing to do", 1000 * median(took), "ms"))
    now = database_now()
    campaign = Campaign(name=f"again {now}", target=target, kind=Campaign.Kind.FAILED, failure=FAILURE)
    show(
        Figure(
            "beginning a campaign for what failed", 1000 * once(lambda: campaigns.begin(campaign, now)), "ms"
        ),
        Figure("its first tick, 200 builds", 1000 * once(lambda: campaigns.advance(now)), "ms"),
    )
    campaign.cursor = Build.objects.order_by("-pk").values_list("pk", flat=True)[0] - 1
    campaign.advance(0, campaign.cursor)
    show(Figure("its last tick, with nothing to do", 1000 * once(lambda: campaigns.advance(now)), "ms"))
    campaigns.stop(campaign, "the measurement", now)
    wanted = dict(Demand.objects.values_list("package", "downloads"))
    counted = {key: Wanted(100_000 if key % 100 == 0 else count) for key, count in wanted.items()}
    span = range(max(counted) + 1)
    counting_s = once(lambda: demand.note(span, counted, demand.count_dependents()))
    show(Figure("simple.count_demand, one package in 100 anew", counting_s, "s"))


def measure_space(size: int) -> None:
    """Print what the database holds."""
    total, largest = held()
    show(Figure("database, per version with three builds", total / size, "bytes"))
    show(*[Figure(f"of that {name}", held / size, "bytes") for name, held in largest])


def once(measured: Callable[[], object]) -> float:
    """Return how many seconds something takes."""
    began = time.perf_counter()
    measured()
    return time.perf_counter() - began


def repeated(measured: Callable[[], object], times: int = REPEATED) -> list[float]:
    """Return how many seconds something takes, some times over; the first time warms up."""
    return [once(measured) for _ in range(1 + times)][1:]
