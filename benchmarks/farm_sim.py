"""Fifty builders when a new OS release comes: who waits for how long, and what the server has to do for it.

The server's code is the real one: plan, dispatch, orders through Redis, claims, leases, the plans that follow
a success.  Simulated are the clock, the builders, who take their orders from Redis and end after a time that
was drawn, and PyPI, whose packages are rows from the beginning and whose releases are rows as they come.
What builders bring is written as a row without its file; what a file costs, `server_cpu` measures.

    The old target has a wheel of every package.  At the first moment the new one is switched on: the backlog
    is every package whose wheel of the old target does not serve the new one.  An operator's campaign goes
    through the most wanted.  Meanwhile releases come in, for both targets.

The backlog is there at once, as `farm_rows` writes it; how long its plans would take is told apart.

`SIM_PACKAGES`, `SIM_BUILDERS`, `SIM_HOURS`, `SIM_RELEASES` (an hour) and `SIM_CAMPAIGN` in the environment
change its size.  It ends when the most wanted are built, or after those hours, or `SIM_MINUTES` of our own.
"""

import hashlib
import heapq
import math
import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
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

from benchmarks import farm_rows, sample
from benchmarks.door import rung
from benchmarks.figures import Figure, show
from builder.contract import queue_for
from builds import dispatch
from builds.files import moving
from builds.models import Build, Builder, Campaign, Size, Target, Wheel
from builds.planning import campaigns, plan, wishes
from packages.models import Package, Version
from tests import services

Result = TypeVar("Result")

PACKAGES = int(os.environ.get("SIM_PACKAGES", "20000"))
BUILDERS = int(os.environ.get("SIM_BUILDERS", "50"))
HOURS = float(os.environ.get("SIM_HOURS", "3"))
MINUTES = float(os.environ.get("SIM_MINUTES", "60"))
RELEASES = float(os.environ.get("SIM_RELEASES", "120"))
CAMPAIGN = int(os.environ.get("SIM_CAMPAIGN", str(min(10_000, PACKAGES // 10))))
OLD, NEW = "bookworm-armhf-cp311", "trixie-armhf-cp313"
# On the old target there are a fifth of the builders: it only has to keep up.
OLD_SHARE = 5
# Of builds, one in nine fails.
FAILS = 0.11
# How often beat has the server look at campaigns; at the rest of it once a second.
CAMPAIGN_S = 10.0
# How much of the most wanted is to be through for a line of its own.
PARTS = (0.5, 0.9, 0.99, 1.0)


@dataclass(order=True)
class Event:
    """Something that happens at a moment of the simulation, in seconds since its start."""

    at: float
    kind: str = field(compare=False)  # "end" of a build, or "release"
    build: int = field(compare=False, default=0)
    target: str = field(compare=False, default="")
    took_s: float = field(compare=False, default=0.0)


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
    campaigns_at: float = 0.0
    has_plans: bool = False  # whether a package asks for a plan
    has_news: bool = True  # whether a builder became free or a build was queued
    server_s: float = 0.0
    plan_s: float = 0.0
    busy_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    ended: Counter[str] = field(default_factory=Counter)
    begun_after: list[float] = field(default_factory=list)  # of releases
    ended_after: list[float] = field(default_factory=list)
    numbers: Counter[int] = field(default_factory=Counter)
    wanted: set[int] = field(default_factory=set)  # versions of the most wanted that wait for the new target
    most: int = 0  # how many those were
    through: dict[float, float] = field(default_factory=dict)  # when such a part of them was built

    @property
    def now(self) -> datetime:
        """The moment, as the server is told."""
        return self.start + timedelta(seconds=self.clock_s)

    def happen(self, after_s: float, kind: str, **fields: object) -> None:
        """Have something happen later."""
        heapq.heappush(self.events, Event(self.clock_s + after_s, kind, **fields))  # type: ignore[arg-type]


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
        campaign = begin(sim)
        print(f"  {PACKAGES} packages, {BUILDERS} builders, {RELEASES:.0f} releases an hour", flush=True)
        for hour in hours(sim):
            tell(sim, hour, campaign)
    return summarise(sim)


def begin(sim: Sim) -> Campaign:
    """Switch the new target on, and start a campaign for its most wanted packages."""
    Target.objects.filter(key__in=(OLD, NEW)).update(is_active=False)
    old, new = Target.objects.get(key=OLD), Target.objects.get(key=NEW)
    old.activate()
    enrol(sim, old, new)
    # Later on a storage in which none of the wheels is would pass for one that is not mounted.
    moving.require()
    began = time.monotonic()
    farm_rows.populate(PACKAGES, old, sim.now)
    show(Figure(f"writing {PACKAGES} packages", time.monotonic() - began, "s"))
    began = time.monotonic()
    new.activate()
    show(Figure("activating a target", time.monotonic() - began, "s"))
    sim.plan_s = farm_rows.plan_backlog(old, new, sim.now)
    campaign = start_campaign(new, sim)
    sim.wanted = waiting_of(campaign)
    sim.most = len(sim.wanted)
    sim.happen(sim.chance.expovariate(RELEASES / 3600), "release")
    return campaign


def enrol(sim: Sim, old: Target, new: Target) -> None:
    """Have builders for both targets."""
    sim.builders = Builder.objects.bulk_create(
        Builder(
            name=f"sim-{number}",
            # A single builder is for the new one.
            target=old if number % OLD_SHARE == 1 else new,
            token_hash=hashlib.sha256(str(number).encode()).hexdigest(),
            # Each says hello all the time, to the end; what that costs, `server_cpu` measures.
            heard_at=sim.now + timedelta(hours=HOURS + 1),
            size=Size.LARGE,
        )
        for number in range(BUILDERS)
    )


def start_campaign(target: Target, sim: Sim) -> Campaign:
    """Start a campaign as an operator does."""
    campaign = Campaign(
        name="the most wanted first", target=target, kind=Campaign.Kind.MOST_WANTED, count=CAMPAIGN
    )
    serve(sim, lambda: campaigns.begin(campaign, sim.now))
    return campaign


def waiting_of(campaign: Campaign) -> set[int]:
    """Return the versions of the packages of a campaign that wait for its target."""
    found = Build.objects.open().filter(target=campaign.target, version__package__in=campaign.todo)
    return set(found.values_list("version", flat=True))


def serve(sim: Sim, deed: Callable[[], Result]) -> Result:
    """Do what the server does, and count its processor time."""
    began = time.process_time()
    try:
        return deed()
    finally:
        sim.server_s += time.process_time() - began


def hours(sim: Sim) -> Iterator[int]:
    """Let time pass; stop after each hour."""
    until = time.monotonic() + MINUTES * 60
    for hour in range(1, math.ceil(HOURS) + 1):
        while sim.clock_s < hour * 3600:
            if not sim.wanted or time.monotonic() > until:
                return
            turn(sim)
        yield hour


def turn(sim: Sim) -> None:
    """Let the server look at what changed, let builders begin, and go on to what happens next."""
    if sim.has_plans:
        sim.has_news |= bool(serve(sim, lambda: plan.plan_changed(sim.now, limit=200)))
        sim.has_plans = False
    if sim.clock_s >= sim.campaigns_at:
        sim.has_news |= bool(serve(sim, lambda: campaigns.advance(sim.now)))
        sim.campaigns_at = sim.clock_s + CAMPAIGN_S
    if sim.has_news:
        sim.has_news = False
        if serve(sim, lambda: dispatch.dispatch(sim.now)):
            take_orders(sim)
    # Beat ticks once a second.
    sim.clock_s = max(math.ceil(sim.events[0].at), sim.clock_s + 1)
    while sim.events[0].at <= sim.clock_s:
        event = heapq.heappop(sim.events)
        if event.kind == "release":
            release(sim, event)
        else:
            end(sim, event)


def take_orders(sim: Sim) -> None:
    """Begin what the builders find on their queues."""
    for builder in sim.builders:
        while ring := sim.orders.rpop(queue_for(builder.name)):
            number, attempt = rung(str(ring))
            if version := serve(sim, partial(claim, sim, number, attempt, builder)):
                took_s = draw_s(sim)
                sim.happen(took_s, "end", build=number, target=builder.target.key, took_s=took_s)
                if version in sim.released:
                    sim.begun_after.append(sim.clock_s - sim.released[version])


def claim(sim: Sim, number: int, attempt: int, builder: Builder) -> int | None:
    """Claim a build as the builders' door does; return its version, None when it is not to be had."""
    build = Build.objects.given(number, attempt, builder)
    source = wishes.source_of(build) if build else None
    return build.version_id if build and source and build.claim(builder, source, sim.now) else None


def draw_s(sim: Sim) -> float:
    """Return how long a build takes."""
    return min(farm_rows.LONGEST_S, farm_rows.MEDIAN_S * sim.chance.lognormvariate(0, farm_rows.SPREAD))


def end(sim: Sim, event: Event) -> None:
    """End a build: most have a wheel by then."""
    build = Build.objects.select_related("version__package", "target").get(pk=event.build)
    sim.has_news = True
    sim.busy_s[event.target] += event.took_s
    fails = sim.chance.random() < FAILS
    serve(sim, lambda: record_failure(sim, build) if fails else record_wheel(sim, build))
    sim.ended[event.target] += 1
    if build.version_id in sim.released:
        sim.ended_after.append(event.at - sim.released[build.version_id])
    if event.target == NEW and build.version_id in sim.wanted:
        sim.wanted.remove(build.version_id)
        note_parts(sim)


def note_parts(sim: Sim) -> None:
    """Note when such a part of the most wanted was through."""
    for part in PARTS:
        if sim.most - len(sim.wanted) >= part * sim.most:
            sim.through.setdefault(part, sim.clock_s)


@transaction.atomic
def record_wheel(sim: Sim, build: Build) -> None:
    """Write what `publish` writes of a wheel."""
    package = build.version.package
    package.mark_changed()
    build.close(Build.State.SUCCEEDED, "", sim.now, duration_s=1.0)
    wheel_of(sim, build).save()
    if build.has_open_siblings():
        package.request_plan()
        sim.has_plans = True


def wheel_of(sim: Sim, build: Build) -> Wheel:
    """Return a wheel as a build brings it: the same package is pure each time."""
    name, number = build.version.package.name, build.version.number
    is_pure = farm_rows.is_pure(int(name.removeprefix("sim-")))
    tags = "py3-none-any" if is_pure else f"{build.target.abi}-{build.target.abi}-linux_armv7l"
    filename = f"{name.replace('-', '_')}-{number}-{tags}.whl"
    return Wheel(
        build=build,
        package=build.version.package,
        version=build.version,
        filename=filename,
        size=10_000,
        sha256=hashlib.sha256(filename.encode()).hexdigest(),
        metadata_sha256="0" * 64,
        published_at=sim.now,
    )


@transaction.atomic
def record_failure(sim: Sim, build: Build) -> None:
    """Write what `results` writes of a failure that is the package's own."""
    build.version.package.hold()
    build.close(Build.State.FAILED, "It does not compile.", sim.now, duration_s=1.0, failure="compile-error")
    build.version.package.mark_changed()


def release(sim: Sim, event: Event) -> None:
    """Have a new version of some package come out."""
    package_number = sim.chance.randrange(PACKAGES)
    sim.numbers[package_number] += 1
    package = Package.objects.get(name=f"sim-{package_number}")
    number = f"1.{sim.numbers[package_number]}"
    version = Version.objects.create(package=package, number=number, canonical=number, released_at=sim.now)
    sample.source(version).save()
    package.mark_changed()
    package.request_plan()
    sim.has_plans = True
    sim.released[version.pk] = event.at
    sim.happen(sim.chance.expovariate(RELEASES / 3600), "release")


def tell(sim: Sim, hour: int, campaign: Campaign) -> None:
    """Print what the hour was like."""
    # Where a release came, the version before it is no longer wanted.
    sim.wanted &= waiting_of(campaign)
    note_parts(sim)
    campaign.refresh_from_db()
    waiting = Counter(Build.objects.waiting().values_list("target__key", flat=True).iterator())
    begun_after = sim.begun_after or [0.0]
    print(
        f"  hour {hour}: {sum(sim.ended.values())} ended, {waiting[NEW]} wait for {NEW}, "
        f"{waiting[OLD]} for {OLD}; of the {sim.most} most wanted {len(sim.wanted)} are left; "
        f"campaign at {campaign.looked_at} of {campaign.total}, {campaign.state}; "
        f"releases begun after {median(begun_after):.0f} s, the slowest after {max(begun_after):.0f}",
        flush=True,
    )


def summarise(sim: Sim) -> int:
    """Print the figures; 1 when nothing was built."""
    ended, passed_h = sum(sim.ended.values()), sim.clock_s / 3600
    waiting = Build.objects.waiting().filter(target__key=NEW).count()
    show(
        Figure("simulated", passed_h, "h"),
        Figure(f"until all {PACKAGES} packages are planned", PACKAGES * sim.plan_s / 3600, "h of CPU"),
        *(
            Figure(f"until {part:.0%} of the {sim.most} most wanted are built", at / 3600, "h")
            for part, at in sorted(sim.through.items())
        ),
        Figure("of those are left", len(sim.wanted), ""),
        *figures_of_releases("from a release to the beginning of a build", sim.begun_after),
        *figures_of_releases("from a release to its end", sim.ended_after),
        *(
            Figure(f"builders of {key} idle", idle(sim, key) * 100, "%")
            for key in (NEW, OLD)
            if count_for(sim, key)
        ),
        Figure("builds ended", ended / passed_h, "/h"),
        Figure(f"of those for {NEW}", sim.ended[NEW] / passed_h, "/h"),
        Figure(f"builds that wait for {NEW}", waiting, ""),
        Figure("until none waits, at that rate", waiting / max(sim.ended[NEW], 1) * passed_h / 24, "days"),
        Figure("plan, dispatch, claim and closing", sim.server_s / max(ended, 1) * 1000, "ms/build"),
    )
    return 0 if ended else 1


def figures_of_releases(what: str, waits: list[float]) -> list[Figure]:
    """Return how long releases had to wait, if there were any."""
    if not waits:
        return []
    return [
        Figure(f"{what}, median of {len(waits)}", median(waits), "s"),
        Figure("the same for 99 of 100", quantile(waits, 0.99), "s"),
    ]


def idle(sim: Sim, key: str) -> float:
    """Return which part of the time the builders of a target had nothing to do."""
    running = sum(
        event.took_s - (event.at - sim.clock_s)
        for event in sim.events
        if event.kind == "end" and event.target == key
    )
    return max(0.0, 1 - (sim.busy_s[key] + running) / (sim.clock_s * count_for(sim, key)))


def count_for(sim: Sim, key: str) -> int:
    """Return how many builders a target has."""
    return sum(builder.target.key == key for builder in sim.builders)


def quantile(values: list[float], part: float) -> float:
    """Return the value below which that part of some values is."""
    return sorted(values)[int(part * (len(values) - 1))]
