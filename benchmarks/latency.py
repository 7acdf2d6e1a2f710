"""How long a release takes from upstream to the order of an idle builder in Redis.

The worker and beat are real, with the site's own times, and follow a fake PyPI on which releases come at
random moments.  There is an idle builder for each; nobody takes the builds up.  LATENCY_RELEASES in the
environment says how many releases come.
"""

import os
import random
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from django.utils import timezone
from redis import Redis

from benchmarks import sample
from benchmarks.door import rung
from benchmarks.figures import Figure, show
from benchmarks.servers import Servers
from builder import contract
from builds.models import Build, Builder
from deploy import redis
from packages.models import SyncCursor
from tests.fake_pypi import FakePyPI
from tests.fake_pypi_faults import Request

RELEASES = int(os.environ.get("LATENCY_RELEASES", "20"))
BETWEEN_S = (2.0, 15.0)
# How long to wait for the last order: twice the goal.
PATIENCE_S = 120
SEED = 1


class _Upstream(FakePyPI):
    """A fake PyPI that remembers when its journal was read."""

    def __init__(self) -> None:
        super().__init__()
        self.polled: list[float] = []

    def note(self, request: Request) -> None:
        if request.method == "POST":
            self.polled.append(time.monotonic())


def main() -> int:
    """Measure and print."""
    with _Upstream() as upstream, Servers("redis", "web", "worker", "beat") as farm:
        farm.end("beat")
        farm.end("worker")
        farm.env |= {
            "PIWHEELS_PYPI": upstream.simple_url,
            "PIWHEELS_WATCH": "all",
            "PIWHEELS_CLAIM_S": "3600",
        }
        sample.enrol(RELEASES)
        Builder.objects.update(heard_at=timezone.now())
        farm.start("worker")
        farm.start("beat")
        farm.wait_until(lambda: SyncCursor.current().journal == SyncCursor.Journal.XML_RPC)
        released: dict[str, float] = {}
        with _ordered(farm) as ordered:
            _release(upstream, released)
            farm.wait_until(lambda: len(ordered) >= RELEASES, PATIENCE_S)
    waits = [ordered[name] - at for name, at in released.items()]
    # The first look into the journal that could see a release.
    looks = {name: min(poll for poll in upstream.polled if poll > at) for name, at in released.items()}
    behind = [max(ordered[name] - looks[name], 0.0) for name in released]
    print(f"  {RELEASES} releases")
    show(
        Figure("from a release to the order, median", statistics.median(waits), "s"),
        Figure("the worst", max(waits), "s", "within 60 s"),
        Figure("from the poll that saw it to the order, median", statistics.median(behind), "s"),
        Figure("the worst", max(behind), "s", "within 5 s"),
    )
    return 0


def _release(upstream: FakePyPI, released: dict[str, float]) -> None:
    """Upload a source of a new project again and again, at random moments, and note when."""
    chance = random.Random(SEED)
    for number in range(RELEASES):
        time.sleep(chance.uniform(*BETWEEN_S))
        name = f"fresh-{number}"
        upstream.add_sdist(name, "1.0")
        released[name] = time.monotonic()
        # Each builder says so itself each minute.
        Builder.objects.update(heard_at=timezone.now())


@contextmanager
def _ordered(farm: Servers) -> Iterator[dict[str, float]]:
    """Note when the first order for each package is in Redis."""
    found: dict[str, float] = {}
    is_over = Event()
    queues = [contract.queue_for(name) for name in Builder.objects.values_list("name", flat=True)]

    def listen() -> None:
        with Redis(unix_socket_path=str(redis.socket(farm.var))) as orders:
            while not is_over.is_set():
                if ring := orders.brpop(queues, timeout=1):
                    heard = time.monotonic()
                    build, _ = rung(ring[1])
                    name = Build.objects.values_list("version__package__name", flat=True).get(pk=build)
                    found.setdefault(name, heard)

    thread = Thread(target=listen)
    thread.start()
    try:
        yield found
    finally:
        is_over.set()
        thread.join()
