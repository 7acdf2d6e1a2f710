"""How much CPU time of the servers a finished build takes, from the order to the index.

The servers are real; the builders are threads that take orders from Redis and speak to the server as a
builder does, but have a wheel at once.  "Net" is without what the servers take while there is nothing to do:
their ticks, which many builds share on a busy farm and few on a quiet one.
"""

import io
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event

import requests
from django.conf import settings
from redis import Redis

from benchmarks import sample
from benchmarks.door import described, rung, success
from benchmarks.figures import Figure, show
from benchmarks.sample_wheel import LOG, sample_wheel
from benchmarks.servers import Servers
from builder import contract
from builder.client import Client
from builder.facts import facts
from builder.settings import Settings
from builds.models import Build
from builds.tests.wheels import wheel_name
from deploy import redis
from packages.models import Package
from simple.formats import Format

BUILDERS = 20
BUILDS = 1000
GOAL = "under 15 ms"
# A builder gets one build a second at most, so the work takes about this long.
IDLE_S = BUILDS / BUILDERS


@dataclass(frozen=True)
class Use:
    """How much CPU time each server took, and how long that was on the clock."""

    seconds: float
    cpu_s: dict[str, float]


def main() -> int:
    """Measure and print."""
    with Servers("redis", "web", "worker", "beat") as farm:
        tokens = sample.enrol(BUILDERS)
        sample.release(BUILDS)
        farm.wait_until(lambda: not Package.objects.filter(plan_needed=True).exists())
        idle = use(farm, lambda: time.sleep(IDLE_S))
        work = use(farm, lambda: build_all(farm, tokens))
        published = use(farm, lambda: read_index(farm))
    print(f"  {BUILDS} builds by {BUILDERS} builders in {work.seconds:.0f} s")
    names = [name for name in work.cpu_s if name != "postgresql"]
    total = {name: work.cpu_s[name] + published.cpu_s[name] for name in work.cpu_s}
    rest = {name: idle.cpu_s[name] / idle.seconds * (work.seconds + published.seconds) for name in total}
    for name in [*names, "postgresql"]:
        per_build(name, [name], total, rest)
    per_build("all but the database", names, total, rest, GOAL)
    per_build("all", list(total), total, rest, GOAL)
    return 0 if Build.objects.filter(state=Build.State.SUCCEEDED).count() == BUILDS else 1


def use(farm: Servers, deed: Callable[[], object]) -> Use:
    """Return what the servers take while something is done."""
    before, began = farm.cpu_s(), time.monotonic()
    deed()
    seconds, after = time.monotonic() - began, farm.cpu_s()
    return Use(seconds=seconds, cpu_s={name: after[name] - before[name] for name in after})


def per_build(
    what: str, names: list[str], total: dict[str, float], rest: dict[str, float], goal: str = ""
) -> None:
    """Print what some of the servers took for each build, gross and net."""
    gross = sum(total[name] for name in names) / BUILDS * 1000
    net = gross - sum(rest[name] for name in names) / BUILDS * 1000
    show(Figure(f"{what}, net", net, "ms/build", goal), Figure(f"{what}, gross", gross, "ms/build"))


def build_all(farm: Servers, tokens: dict[str, str]) -> None:
    """Have builders build everything, and wait for the plans that follow."""
    ended = Event()
    done: SimpleQueue[BaseException | None] = SimpleQueue()
    with ThreadPoolExecutor(BUILDERS) as builders:
        for name, token in tokens.items():
            builders.submit(work_as, farm, name, token, ended, done)
        try:
            for _ in range(BUILDS):
                if fault := done.get(timeout=60):
                    raise fault
        finally:
            ended.set()
    farm.wait_until(lambda: not Package.objects.filter(plan_needed=True).exists())


def work_as(
    farm: Servers, name: str, token: str, ended: Event, done: "SimpleQueue[BaseException | None]"
) -> None:
    """Be a builder until all is built; tell of each build."""
    own = Settings(
        server=f"{farm.address}/", builder=name, token=token, orders_url="", work=settings.VAR / "work"
    )
    try:
        with Client(own) as client, Redis(unix_socket_path=str(redis.socket(farm.var))) as orders:
            client.hello(facts(settings.VAR))
            while not ended.is_set():
                if ring := orders.brpop([contract.queue_for(name)], timeout=1):
                    build(client, ring[1])
                    done.put(None)
    except BaseException as fault:
        done.put(fault)


def build(client: Client, ring: bytes) -> None:
    """Do what a builder does from the ring to the report, without building."""
    order = client.claim(*rung(ring))
    client.heartbeat(order, 0, LOG)
    filename = wheel_name(order.package, order.version)
    content = sample_wheel(order.package, order.version)
    wheel = described(filename, content)
    client.upload(order, filename, io.BytesIO(content), size=wheel.size, sha256=wheel.sha256)
    verdict = client.report(order, success(wheel))
    if verdict.state != Build.State.SUCCEEDED:
        raise RuntimeError(f"Build {order.build} is {verdict.state}: {verdict.reason}")


def read_index(farm: Servers) -> None:
    """Read the page of each package once, and find its wheel there."""
    with requests.Session() as session:
        session.headers["Accept"] = Format.JSON
        for name in Package.objects.values_list("name", flat=True):
            page = session.get(f"{farm.address}/simple/{name}/", timeout=60)
            if len(page.json()["files"]) != 1:
                raise RuntimeError(f"The index does not have the wheel of {name}.")
