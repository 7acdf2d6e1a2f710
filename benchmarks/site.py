"""How long each page takes in a farm of all of PyPI, on PostgreSQL, through Django's test client.

SITE_PACKAGES in the environment says how many packages there are, each with ten versions; there are as many
builds as packages.  Each page is asked for of many packages and builds, which differ each time, as a cache of
the database's would otherwise be all that is measured.  The pages are those of `tests/site_pages.py`.
"""

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median, quantiles

from django.core.cache import cache
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from benchmarks import site_rows
from benchmarks.figures import Figure, show
from benchmarks.many_versions import held, unlog
from builds.models import Build, Builder
from packages.models import Package
from tests.site_pages import PAGES, Page

PACKAGES = int(os.environ.get("SITE_PACKAGES", "100000"))
REPEATED = 60
SEED = 1
# One for all, as a new one makes the middleware anew, which takes longer than a page.
CLIENT = Client(headers={"host": "127.0.0.1"})


@dataclass(frozen=True)
class Answer:
    """How long an answer took, how much of it Python worked, and whether it was the one that was expected."""

    took_s: float
    cpu_s: float
    is_right: bool


def main() -> int:
    """Measure and print; 1 if a page was not as it should be."""
    call_command("migrate", verbosity=0)
    unlog()
    began = time.monotonic()
    site_rows.fill(PACKAGES, timezone.now())
    print(f"  {PACKAGES:,} packages, filled in {time.monotonic() - began:.0f} s", flush=True)
    show(Figure("database", held()[0] / 2**30, "GiB"))
    names = sample()
    awaited = [page for page in PAGES if page.goal_s]
    # What is loaded with the first page of all is not that page's.
    for page in awaited:
        ask(page, names)
    return int(not all([measure(page, names) for page in awaited]))


def measure(page: Page, names: Callable[[], dict[str, str]]) -> bool:
    """Print how long a page takes; False if it was not what it should be."""
    cache.clear()
    asked = [ask(page, names) for _ in range(REPEATED)]
    times = [1000 * answer.took_s for answer in asked]
    show(
        Figure(
            f"{page.path}, 95 of 100", quantiles(times, n=20)[-1], "ms", f"under {1000 * page.goal_s:.0f}"
        ),
        Figure("  Python's processor time, the median", 1000 * median(each.cpu_s for each in asked), "ms"),
        Figure("  the first one, with nothing cached", times[0], "ms"),
    )
    return all(answer.is_right for answer in asked)


def ask(page: Page, names: Callable[[], dict[str, str]]) -> Answer:
    """Ask for a page of something."""
    path = page.path.format(**names())
    began, cpu_began = time.perf_counter(), time.process_time()
    answer = CLIENT.get(path)
    took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
    if answer.status_code != page.status:
        print(f"  {path} was answered with {answer.status_code}, not {page.status}", flush=True)
    return Answer(took_s, cpu_s, answer.status_code == page.status)


def sample() -> Callable[[], dict[str, str]]:
    """Return what draws a package and builds each time anew."""
    chance = random.Random(SEED)
    packages = list(
        Package.objects.filter(wheels__isnull=False).order_by("pk").values_list("name", flat=True)[:5000]
    )
    unbuilt = list(
        Package.objects.filter(versions__builds=None).order_by("pk").values_list("name", flat=True)[:5000]
    )
    builds = {
        state: list(Build.objects.filter(state=state).order_by("pk").values_list("pk", flat=True)[:5000])
        for state in ("succeeded", "failed", "queued")
    }
    builds["building"] = [begin(builds["queued"].pop())]

    def draw() -> dict[str, str]:
        """Return a package and builds."""
        package = chance.choice(packages)
        drawn = {state: str(chance.choice(found)) for state, found in builds.items()}
        return {"package": package, "unbuilt": chance.choice(unbuilt), "prefix": package[:4], **drawn}

    return draw


def begin(build: int) -> int:
    """Have a build run."""
    waiting, now = Build.objects.select_related("target").get(pk=build), timezone.now()
    builder = Builder(name="pi-01", target=waiting.target, heard_at=now)
    builder.rekey()
    builder.save()
    waiting.take(builder, waiting.sources()[0], now)
    return build
