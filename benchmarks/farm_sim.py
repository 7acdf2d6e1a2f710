"""Fifty builders when a new OS release comes: who waits for how long, and what the server has to do for it.

The server's code is the real one: plan, dispatch, orders through Redis, claims, leases, the plans that follow
a success.  Simulated are the clock, the builders, who take their orders from Redis and end after a time that
was drawn, and PyPI, whose packages are rows from the beginning and whose releases are rows as they come.
What builders bring is written as a row without its file; what a file costs, `server_cpu` measures.

    The old target has a wheel of every package.  At the first moment the new one is switched on: the backlog
    is every package whose wheel of the old target does not serve the new one.  An operator's campaign goes
    through the most wanted.  Meanwhile releases come in, for both targets.

`SIM_PACKAGES`, `SIM_BUILDERS`, `SIM_HOURS` and `SIM_RELEASES` (an hour) in the environment change its size.
"""

import base64
import hashlib
import heapq
import json
import math
import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from statistics import median
from typing import TypeVar

from django.conf import settings
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone
from redis import Redis

from benchmarks.figures import Figure, show
from builder.contract import queue_for
from builds import campaigns, dispatch, plan, wishes
from builds.models import Build, Builder, Campaign, Demand, Size, Target, Wheel
from packages.models import Package, UpstreamFile, Version
from tests import services

Result = TypeVar("Result")

PACKAGES = int(os.environ.get("SIM_PACKAGES", "20000"))
BUILDERS = int(os.environ.get("SIM_BUILDERS", "50"))
HOURS = float(os.environ.get("SIM_HOURS", "3"))
RELEASES = float(os.environ.get("SIM_RELEASES", "120"))
OLD, NEW = "bookworm-armhf-cp311", "trixie-armhf-cp313"
# On the old target there are a fifth of the builders: it only has to keep up.
OLD_SHARE = 5
# Of every wheel on the first piwheels, two thirds are pure; of builds, one in nine fails.
PURE, FAILS = 0.66, 0.11
# Seconds on a Pi: half of all builds take less than the first; the logarithm is normal with the second.
MEDIAN_S, SPREAD = 40.0, 1.4
LONGEST_S = 3 * 3600.0
# How often the server looks when nothing happens, and how long it takes until it looks when something does.
TICK_S = 10.0
CAMPAIGN = 1000
BATCH = 2000


@dataclass(order=True)
class Event:
    """Something that happens at a moment of the simulation, in seconds since its start."""

    at: float
    kind: str = field(compare=False)  # "end" of a build, or "release"
    build: int = field(compare=False, default=0)


@dataclass
class Sim:
    """The state of a simulation."""

    start: datetime
    orders: Redis
    builders: list[Builder] = field(default_factory=list)
    released: dict[int, float] = field(default_factory=dict)  # when a version came out
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    events: list[Event] = field(default_factory=list)
    clock_s: float = 0.0
    server_s: float = 0.0
    busy_s: float = 0.0
    ended: Counter[str] = field(default_factory=Counter)
    waits: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    numbers: Counter[int] = field(default_factory=Counter)

    @property
    def now(self) -> datetime:
        """The moment, as the server is told."""
        return self.start + timedelta(seconds=self.clock_s)

    def happen(self, after_s: float, kind: str, build: int = 0) -> None:
        """Have something happen later."""
        heapq.heappush(self.events, Event(self.clock_s + after_s, kind, build))


def main() -> int:
    """Simulate and print a line for each hour."""
    call_command("migrate", interactive=False, verbosity=0)
    # The newest version of each package is what the first days are about.
    settings.PIWHEELS_DEPTH = 1
    with services.scratch() as folder, services.private_redis(folder) as broker:
        settings.PIWHEELS_ORDERS_URL = broker
        sim = Sim(
            timezone.now(),
            Redis(unix_socket_path=broker.removeprefix("redis+socket://"), decode_responses=True),
        )
        populate(sim)
        print(f"  {PACKAGES} packages, {BUILDERS} builders, {RELEASES:.0f} releases an hour")
        campaign = begin(sim)
        for hour in hours(sim):
            tell(sim, hour, campaign)
    return summarise(sim)


def populate(sim: Sim) -> None:
    """Write what there is: packages with a version, and the old target's wheel of each."""
    old = Target.objects.get(key=OLD)
    Target.objects.filter(key__in=(OLD, NEW)).update(is_active=False)
    old.activate()
    new = Target.objects.get(key=NEW)
    sim.builders = Builder.objects.bulk_create(
        Builder(
            name=f"sim-{number}",
            target=new if number % OLD_SHARE else old,
            token_hash=hashlib.sha256(str(number).encode()).hexdigest(),
            heard_at=sim.now,
            size=Size.LARGE,
        )
        for number in range(BUILDERS)
    )
    for first in range(0, PACKAGES, BATCH):
        some = Package.objects.bulk_create(
            Package(name=f"sim-{number}", display_name=f"sim-{number}", plan_needed=False, fetched_at=sim.now)
            for number in range(first, min(first + BATCH, PACKAGES))
        )
        released = sim.start - timedelta(days=400)
        versions = write_versions((package, "1.0", released) for package in some)
        builds = Build.objects.bulk_create(
            Build(
                version=version,
                target=old,
                state=Build.State.SUCCEEDED,
                finished_at=released,
                duration_s=draw_s(sim),
            )
            for version in versions
        )
        Wheel.objects.bulk_create(
            wheel_of(sim, build, version) for build, version in zip(builds, versions, strict=True)
        )
        # As on any index, few are wanted much and most hardly at all.
        Demand.objects.bulk_create(
            Demand(package=package, downloads=int(sim.chance.paretovariate(0.6))) for package in some
        )


def write_versions(wanted: Iterable[tuple[Package, str, datetime]]) -> list[Version]:
    """Write versions, each with a source."""
    versions = Version.objects.bulk_create(
        Version(package=package, number=number, canonical=number, released_at=at)
        for package, number, at in wanted
    )
    UpstreamFile.objects.bulk_create(
        UpstreamFile(
            version=version,
            filename=f"{version.package.name}-{version.number}.tar.gz",
            kind=UpstreamFile.Kind.SOURCE,
            url=f"http://127.0.0.1:9/{version.package.name}-{version.number}.tar.gz",
            sha256=hashlib.sha256(f"{version.package.name} {version.number}".encode()).hexdigest(),
            size=10_000,
            uploaded_at=version.released_at,
        )
        for version in versions
    )
    return versions


def wheel_of(sim: Sim, build: Build, version: Version) -> Wheel:
    """Return a wheel as a build brings it: the same package is pure each time."""
    name = version.package.name
    is_pure = random.Random(name).random() < PURE
    tags = "py3-none-any" if is_pure else f"{build.target.abi}-{build.target.abi}-linux_armv7l"
    filename = f"{name.replace('-', '_')}-{version.number}-{tags}.whl"
    return Wheel(
        build=build,
        package=version.package,
        version=version,
        filename=filename,
        size=10_000,
        sha256=hashlib.sha256(filename.encode()).hexdigest(),
        metadata_sha256="0" * 64,
        published_at=sim.now,
    )


def draw_s(sim: Sim) -> float:
    """Return how long a build takes."""
    return min(LONGEST_S, MEDIAN_S * sim.chance.lognormvariate(0, SPREAD))


def begin(sim: Sim) -> Campaign:
    """Switch the new target on, and start a campaign for its most wanted packages."""
    new = Target.objects.get(key=NEW)
    sim.happen(sim.chance.expovariate(RELEASES / 3600), "release")
    serve(sim, new.activate)
    return serve(sim, lambda: start_campaign(new, sim))


def start_campaign(target: Target, sim: Sim) -> Campaign:
    """Start a campaign as an operator does."""
    campaign = Campaign(
        name="the most wanted first", target=target, kind=Campaign.Kind.MOST_WANTED, count=CAMPAIGN
    )
    campaigns.begin(campaign, sim.now)
    return campaign


def serve(sim: Sim, deed: Callable[[], Result]) -> Result:
    """Do what the server does, and count its processor time."""
    began = time.process_time()
    try:
        return deed()
    finally:
        sim.server_s += time.process_time() - began


def hours(sim: Sim) -> Iterator[int]:
    """Let time pass; stop after each hour."""
    for hour in range(1, math.ceil(HOURS) + 1):
        while sim.clock_s < hour * 3600:
            turn(sim)
        yield hour


def turn(sim: Sim) -> None:
    """Let the server look, let builders begin what they were told of, and go on to what happens next."""
    # Each builder says hello all the time; what that costs, `server_cpu` measures.
    Builder.objects.update(heard_at=sim.now)
    serve(sim, lambda: campaigns.advance(sim.now))
    serve(sim, lambda: plan.plan_changed(sim.now, limit=200))
    serve(sim, lambda: dispatch.dispatch(sim.now))
    take_orders(sim)
    next_at = min(sim.events[0].at, sim.clock_s + TICK_S)
    # Beat ticks once a second.
    sim.clock_s = max(next_at, sim.clock_s + 1)
    while sim.events[0].at <= sim.clock_s:
        event = heapq.heappop(sim.events)
        if event.kind == "release":
            release(sim)
        else:
            end(sim, event)


def take_orders(sim: Sim) -> None:
    """Begin what the builders find on their queues."""
    for builder in sim.builders:
        while ring := sim.orders.rpop(queue_for(builder.name)):
            (number, attempt), *_ = json.loads(base64.b64decode(json.loads(str(ring))["body"]))
            if serve(sim, partial(claim, sim, number, attempt, builder)):
                took_s = draw_s(sim)
                sim.busy_s += took_s
                sim.happen(took_s, "end", number)


def claim(sim: Sim, number: int, attempt: int, builder: Builder) -> bool:
    """Claim a build as the builders' door does; False when it is not to be had."""
    build = Build.objects.given(number, attempt, builder)
    source = wishes.source_of(build) if build else None
    return bool(build and source and build.claim(builder, source, sim.now))


def end(sim: Sim, event: Event) -> None:
    """End a build: most have a wheel by then."""
    build = Build.objects.select_related("version__package", "target").get(pk=event.build)
    fails = sim.chance.random() < FAILS
    serve(sim, lambda: record_failure(sim, build) if fails else record_wheel(sim, build))
    sim.ended["failed" if fails else "succeeded"] += 1
    released = sim.released.get(build.version_id)
    if released is not None:
        sim.waits[build.target.key].append(sim.clock_s - released)


@transaction.atomic
def record_wheel(sim: Sim, build: Build) -> None:
    """Write what `publish` writes of a wheel."""
    build.version.package.mark_changed()
    build.close(Build.State.SUCCEEDED, "", sim.now, duration_s=1.0)
    wheel_of(sim, build, build.version).save()
    if build.has_open_siblings():
        build.version.package.request_plan()


@transaction.atomic
def record_failure(sim: Sim, build: Build) -> None:
    """Write what `results` writes of a failure that is the package's own."""
    build.version.package.hold()
    build.close(Build.State.FAILED, "It does not compile.", sim.now, duration_s=1.0, failure="compile-error")
    build.version.package.mark_changed()


def release(sim: Sim) -> None:
    """Have a new version of some package come out."""
    number = sim.chance.randrange(PACKAGES)
    sim.numbers[number] += 1
    package = Package.objects.get(name=f"sim-{number}")
    (version,) = write_versions([(package, f"1.{sim.numbers[number]}", sim.now)])
    package.request_plan()
    sim.released[version.pk] = sim.clock_s
    sim.happen(sim.chance.expovariate(RELEASES / 3600), "release")


def tell(sim: Sim, hour: int, campaign: Campaign) -> None:
    """Print what the hour was like."""
    campaign.refresh_from_db()
    waiting = Counter(Build.objects.waiting().values_list("target__key", flat=True))
    waits = "; ".join(
        f"{key}: {median(some) / 60:.1f} min, worst {max(some) / 60:.1f}"
        for key, some in sorted(sim.waits.items())
    )
    print(
        f"  hour {hour}: {sum(sim.ended.values())} ended, {waiting[NEW]} wait for {NEW}, "
        f"{waiting[OLD]} for {OLD}; campaign at {campaign.looked_at} of {campaign.total}; "
        f"from a release to the end of its build {waits}",
        flush=True,
    )


def summarise(sim: Sim) -> int:
    """Print the figures; 1 when releases waited for the backlog."""
    ended = sum(sim.ended.values())
    releases = [wait for some in sim.waits.values() for wait in some]
    waiting = Build.objects.waiting().filter(target__key=NEW).count()
    rate = ended / (sim.clock_s / 3600)
    show(
        Figure("from a release to the end of its build, median", median(releases) / 60, "min"),
        Figure("the same for 19 of 20", quantile(releases, 0.95) / 60, "min"),
        Figure("builders at work", min(1.0, sim.busy_s / sim.clock_s / BUILDERS) * 100, "%"),
        Figure("builds ended", rate, "/h"),
        Figure(f"until nothing waits for {NEW}", waiting / rate / 24, "days"),
        Figure("plan, dispatch, claim and closing, with all ticks", sim.server_s / ended * 1000, "ms/build"),
    )
    return 0


def quantile(values: list[float], part: float) -> float:
    """Return the value below which that part of some values is."""
    return sorted(values)[int(part * (len(values) - 1))]
