"""The farm that is soaked: all of its services as in production, with enough to build, and how it is now."""

import math
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import psutil
from django.db import connection
from django.utils import timezone
from redis import Redis

from benchmarks import sample
from benchmarks.farm_rows import refresh_statistics
from benchmarks.servers import MIB, NOWHERE, Servers, cpu_s, memory_of, open_files
from builder.contract import queue_for
from builds.models import Build
from builds.planning import plan
from deploy import redis
from deploy.farm import MANAGE
from packages.models import Package
from tests.stack import Nginx

# How many packages are planned at a time.
PLANNED = 100


class SoakedFarm(Servers):
    """Web server, worker, beat, Redis, nginx in front and the reader of its log."""

    def __init__(self) -> None:
        super().__init__("redis", "web", "worker", "beat")
        public = self.var / "public"
        self.nginx = Nginx(self.var / "nginx", public, f"127.0.0.1:{self.port}", upstream=NOWHERE)
        self.nginx.configure()
        self.env |= {
            "WEB_CONCURRENCY": os.environ.get("WEB_CONCURRENCY", "2"),
            # All versions, so that pages grow and each wheel lets a package be planned that has many.
            "PIWHEELS_DEPTH": "0",
            "PIWHEELS_COUNT_DOWNLOADS": "no",
            "PIWHEELS_BEHIND_PROXY": "yes",
            # As a farm has them that is no miniature.
            "PIWHEELS_CLAIM_S": "300",
            "PIWHEELS_LEASE_S": "900",
        }

    def commands(self) -> dict[str, list[str]]:
        """Return the command lines of all."""
        downloads = [*MANAGE, "follow_downloads", str(self.nginx.access_log)]
        return {**super().commands(), "downloads": downloads, "nginx": self.nginx.command()}

    @property
    def socket(self) -> Path:
        """Where its Redis listens."""
        return redis.socket(self.var)

    def stock(self, builds: int) -> list[str]:
        """Have at least so many builds wait, of packages with ten versions each; return the packages."""
        # Without it nobody else plans meanwhile, who would only wait for the same packages.
        self.end("beat", signal.SIGTERM)
        sample.release(math.ceil(builds / sample.VERSIONS))
        while plan.plan_changed(timezone.now(), limit=PLANNED):
            pass
        refresh_statistics()
        names = list(Package.objects.values_list("name", flat=True))
        # PostgreSQL's end of it has kept 0.9 GB of what so many rows at once took, which no server asked for.
        connection.close()
        self.start("beat")
        return names


@dataclass(frozen=True)
class Sample:
    """What was to be seen at a moment; of servers by their names."""

    at_s: float  # since the beginning
    finished: int  # builds until then
    rss: dict[str, float]  # MiB; pages that processes share count once for each of them ...
    pss: dict[str, float]  # ... and here in equal parts
    shared: dict[str, float]  # of that, what they made to use together
    files: dict[str, int]  # that are open, sockets among them
    cpu_s: dict[str, float]  # since their start
    stolen_s: float  # of all cores since they run, by other machines on the same host
    queued: int  # builds that wait
    rings: int  # messages in the builders' queues
    ticks: int  # messages in the server's own queue
    database_mib: float

    @property
    def own(self) -> dict[str, float]:
        """PSS without what a server's processes made to use together."""
        return {name: mib - self.shared[name] for name, mib in self.pss.items()}


class Watcher:
    """Whoever looks at the farm now and then."""

    def __init__(self, farm: SoakedFarm, builders: list[str]) -> None:
        self._farm = farm
        self._queues = [queue_for(name) for name in builders]
        self._orders = Redis(unix_socket_path=str(farm.socket))

    def look(self, at_s: float, finished: int) -> Sample:
        """Return how the farm is now."""
        trees = self._farm.trees()
        memory = {name: memory_of(tree) for name, tree in trees.items()}
        rings, ticks = self._depths()
        return Sample(
            at_s=at_s,
            finished=finished,
            rss={name: each.rss for name, each in memory.items()},
            pss={name: each.pss for name, each in memory.items()},
            shared={name: each.shared for name, each in memory.items()},
            files={name: open_files(tree) for name, tree in trees.items()},
            cpu_s={name: sum(cpu_s(process) for process in tree) for name, tree in trees.items()},
            stolen_s=float(getattr(psutil.cpu_times(), "steal", 0.0)),
            queued=Build.objects.filter(state=Build.State.QUEUED).count(),
            rings=rings,
            ticks=ticks,
            database_mib=_database_bytes() / MIB,
        )

    def close(self) -> None:
        """Look no more."""
        self._orders.close()

    def _depths(self) -> tuple[int, int]:
        """Return how many messages wait for builders, and how many for the worker."""
        with self._orders.pipeline(transaction=False) as asked:
            for queue in [*self._queues, "server"]:
                asked.llen(queue)
            *rings, ticks = asked.execute()
        return sum(rings), ticks


def _database_bytes() -> int:
    """Return how much disk the database has."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        row = cursor.fetchone()
    assert row
    return int(row[0])


def own_cpu_s() -> float:
    """Return the processor time of who measures and reads, without the builders'."""
    times = psutil.Process().cpu_times()
    return float(times.user + times.system)


def disk_bytes(folder: Path) -> tuple[int, int]:
    """Return how many files there are below a folder and the disk that they take; links count once."""
    seen: set[int] = set()
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            status = (Path(path) / name).lstat()
            if status.st_ino not in seen:
                seen.add(status.st_ino)
                total += status.st_blocks * 512
    return len(seen), total
