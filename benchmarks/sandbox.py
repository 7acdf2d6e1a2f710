"""What the sandbox costs a small build, and what an attempt does besides building.

The same sdist, which compiles for some seconds and requires nothing, goes in turns through a bare `pip wheel`
with the builder's own words and variables, through the builder's way from source to wheel at each level that
this machine has, and through a whole attempt.  What is more is that of a round; told is the median.
"""

import platform
import statistics
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from benchmarks.figures import Figure, processor_s, show
from benchmarks.servers import NOWHERE
from builder import pip_wheel, tools
from builder.bench import Bench, limits_for
from builder.build import build as carry_out
from builder.client import Client
from builder.contract import BuildOrder
from builder.log import Log
from builder.pip_wheel import Made
from builder.place import made
from builder.preflight import find
from builder.proxy import PackageProxy
from builder.rungs import CURRENT
from builder.sandbox import Box, Kind, Level
from builder.settings import Settings
from builder.tests.server import TOKEN, FakeServer
from tests.sdists import heavy_sdist
from tests.services import scratch

FUNCTIONS = 100
ROUNDS = 3
DISK_BYTES = 1 << 30
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armhf", "armv6l": "armhf"}


@dataclass(frozen=True)
class Cost:
    """What something took."""

    wall_s: float
    cpu_s: float


def main() -> int:
    """Measure and print."""
    with scratch() as folder, FakeServer() as server:
        order, kinds = make_order(server), levels(folder)
        rounds = [take_round(server, folder, order, kinds) for _ in range(ROUNDS)]
    show(
        Figure("bare `pip wheel`", statistics.median(each["pip"].wall_s for each in rounds), "s"),
        Figure(
            "bare `pip wheel`, processor time", statistics.median(each["pip"].cpu_s for each in rounds), "s"
        ),
    )
    for kind in kinds:
        tell(kind.level, rounds, "under 15 %")
    tell("whole attempt", rounds)
    return 0 if all(report["succeeded"] for report in server.reports) else 1


def take_round(server: FakeServer, folder: Path, order: BuildOrder, kinds: list[Kind]) -> dict[str, Cost]:
    """Build once in each way."""
    found = {}
    with bench(kinds[0], folder, order, server) as made_ready:
        found["pip"] = cost(lambda: run_pip(made_ready))
    for kind in kinds:
        with bench(kind, folder, order, server) as made_ready:
            found[str(kind.level)] = cost(lambda: build(made_ready))
    found["whole attempt"] = cost(lambda: attempt(server, folder, order, kinds[-1]))
    return found


def tell(name: str, rounds: list[dict[str, Cost]], goal: str = "") -> None:
    """Print what one way takes beyond a bare `pip wheel`."""
    pairs = [(each[name], each["pip"]) for each in rounds]
    wall = [100 * (way.wall_s / pip.wall_s - 1) for way, pip in pairs]
    cpu = [100 * (way.cpu_s / pip.cpu_s - 1) for way, pip in pairs]
    show(
        Figure(f"{name}, beyond pip", statistics.median(wall), "%", goal),
        Figure(f"{name}, beyond pip, processor time", statistics.median(cpu), "%", goal),
        Figure(f"{name}, beyond pip", statistics.median(way.wall_s - pip.wall_s for way, pip in pairs), "s"),
        Figure(
            f"{name}, beyond pip, processor time",
            statistics.median(way.cpu_s - pip.cpu_s for way, pip in pairs),
            "s",
        ),
    )


def make_order(server: FakeServer) -> BuildOrder:
    """Order the sdist for this machine."""
    name = sysconfig.get_platform()
    return server.order(
        "heavy-1.0.tar.gz",
        heavy_sdist("heavy", "1.0", FUNCTIONS),
        package="heavy",
        platform=name,
        platforms=(name.replace("-", "_").replace(".", "_"),),
        architecture=ARCHITECTURES[platform.machine()],
        abi=f"cp{sys.version_info.major}{sys.version_info.minor}",
        index=NOWHERE,
        time_limit_s=600.0,
        heartbeat_s=2.0,
    )


def levels(folder: Path) -> list[Kind]:
    """Return the sandboxes that this machine has, the lowest first; say what the others lack."""
    kinds = []
    for level in Level:
        kind = find(folder, at_most=level)
        if kind.level is level:
            kinds.append(kind)
        else:
            print(f"  no sandbox of the level {level} here: {' '.join(kind.lacks)}")
    return kinds


@contextmanager
def bench(kind: Kind, folder: Path, order: BuildOrder, server: FakeServer) -> Iterator[Bench]:
    """Make what a build works with, and put the source there."""
    with made(folder / "1-1") as place, Log(folder) as log:
        (place.source / order.filename).write_bytes(server.sources[order.filename])
        doorway = None if kind.level is Level.BARE else place.root / "index.sock"
        with PackageProxy([NOWHERE], socket=doorway) as proxy:
            box = Box(kind, place, readable=tools.readable(), doorway=doorway)
            limits = limits_for(order, folder, DISK_BYTES)
            yield Bench(order, kind, place, box, proxy, limits, log, Event())


def run_pip(bench: Bench) -> None:
    """Run `pip wheel` on the source as it is, without anything of ours around it."""
    subprocess.run(
        pip_wheel.command(bench, CURRENT, bench.place.source / bench.order.filename),
        env=pip_wheel.environment(bench),
        cwd=bench.place.home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=True,
    )


def build(bench: Bench) -> None:
    """Go from the source to the wheel as a builder does."""
    source = bench.place.source / bench.order.filename
    outcome = pip_wheel.build(bench, source, Made(CURRENT))
    if (outcome.ended, outcome.code) != ("exit", 0):
        raise RuntimeError(bench.log.read(0, 10_000).decode(errors="replace"))


def attempt(server: FakeServer, folder: Path, order: BuildOrder, kind: Kind) -> None:
    """Carry out the order from fetching the source to the report."""
    settings = Settings(server.url, "pi-07", TOKEN, "redis+socket:///nowhere/redis.sock", folder / "work")
    server.uploads.clear()
    with Client(settings) as client:
        carry_out(order, client, settings, kind)


def cost(deed: Callable[[], None]) -> Cost:
    """Do something and return what it took here and in the processes that it started."""
    began, used = time.perf_counter(), processor_s()
    deed()
    return Cost(time.perf_counter() - began, processor_s() - used)
