"""How many finished builds a second the servers take, from the order to the index, and what that costs them.

The builders need no time to build: `instant_builders` plays them in a process of its own, which shares the
cores with the servers.  Meanwhile pages of the index are read, as they change; a build counts when its
report was answered, from which moment on its page shows the wheel, and all pages are looked at afterwards.
`THROUGHPUT_BUILDS` in the environment is how many builds; three thousand where it is not given.
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from statistics import median

import requests
from django.conf import settings

from benchmarks import sample
from benchmarks.figures import Figure, show
from benchmarks.servers import Servers
from builds.models import Build
from deploy import redis
from packages.models import Package
from simple.formats import Format

BUILDERS = 20
BUILDS = int(os.environ.get("THROUGHPUT_BUILDS", "3000"))


def main() -> int:
    """Measure and print."""
    farm = Servers("redis", "web", "worker", "beat")
    # As docker-compose.yml has it.
    farm.env["WEB_CONCURRENCY"] = os.environ.get("WEB_CONCURRENCY", "2")
    with farm:
        tokens = sample.enrol(BUILDERS)
        sample.release(BUILDS)
        farm.wait_until(
            lambda: not Package.objects.filter(plan_needed=True).exists(), seconds=60 + BUILDS / 20
        )
        names = list(Package.objects.order_by("pk").values_list("name", flat=True))
        versions = [(name, f"1.{sample.VERSIONS - 1}") for name in names]
        before, measured, after = play(farm, tokens, versions)
        time.sleep(2)
        rings = farm.logs() if measured["faults"] else ""
        missing = [name for name in names if not is_shown(farm, name)]
    print(rings, *measured["faults"], sep="\n")
    tell(measured, {name: after[name] - before[name] for name in after})
    done = Build.objects.filter(state=Build.State.SUCCEEDED).count()
    print(f"  {done} of {BUILDS} builds succeeded, {len(missing)} are missing in the index")
    return 0 if done == BUILDS and not missing and not measured["faults"] else 1


def play(
    farm: Servers, tokens: dict[str, str], versions: list[tuple[str, str]]
) -> tuple[dict[str, float], dict[str, list[float]], dict[str, float]]:
    """Have instant builders build these versions; return what they measured, between two looks at servers."""
    told = {
        "port": farm.port,
        "socket": str(redis.socket(farm.var)),
        "folder": str(settings.VAR),
        "tokens": tokens,
        "versions": versions,
    }
    command = [sys.executable, "-m", "benchmarks.instant_builders"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as builders:
        assert builders.stdin and builders.stdout
        builders.stdin.write(json.dumps(told) + "\n")
        builders.stdin.flush()
        builders.stdout.readline()
        before = farm.cpu_s()
        builders.stdin.write("go\n")
        builders.stdin.flush()
        measured = json.loads(builders.stdout.readline())
        return before, measured, farm.cpu_s()


def is_shown(farm: Servers, name: str) -> bool:
    """Tell whether the index has the wheel of a package."""
    headers = {"Accept": Format.JSON}
    page = requests.get(f"{farm.address}/simple/{name}/", headers=headers, timeout=60)
    return page.ok and len(page.json()["files"]) == 1


def tell(measured: dict[str, list[float]], cpu_s: dict[str, float]) -> None:
    """Print what came out."""
    first, finished = float(measured["began"]), measured["finished"]  # type: ignore[arg-type]
    count = len(finished)
    seconds = finished[-1] - first
    # The first second is the wait for a tick, and the last one is not whole.
    by_second = Counter(int(at - first) for at in finished)
    whole = [by_second[second] for second in range(1, int(seconds))]
    show(
        Figure("builds per second, from the first order to the last wheel", count / seconds, "1/s", "150"),
        Figure("the same in the least second", min(whole, default=0), "1/s"),
        Figure("the same in the median second", median(whole or [0]), "1/s"),
        Figure("a report, with wheel, log and next order: median", measured["took"][0] * 1000, "ms"),
        Figure("the same, 99 of 100", measured["took"][1] * 1000, "ms"),
        # Of all the cores: others' work takes its part.
        Figure("load", os.getloadavg()[0], ""),
        *(Figure(f"CPU of {name}", seconds / count * 1000, "ms/build") for name, seconds in cpu_s.items()),
    )
    servers = sum(seconds for name, seconds in cpu_s.items() if name != "postgresql")
    show(
        Figure("CPU of all but the database", servers / count * 1000, "ms/build", "under 10 ms"),
        Figure("CPU of all", sum(cpu_s.values()) / count * 1000, "ms/build"),
        Figure("CPU of the builders themselves", float(measured["cpu_s"]) / count * 1000, "ms/build"),  # type: ignore[arg-type]
        Figure("pages read meanwhile", float(measured["reads"]) / seconds, "1/s"),  # type: ignore[arg-type]
    )
