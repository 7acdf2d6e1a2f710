"""Who took the sample's wheels in the last 90 days: the rows that a tally would have left."""

import time
from bisect import bisect_right
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from itertools import accumulate
from random import Random

from builds.models import Wheel
from piwheels_site.sample.upstream import Project
from simple import demand, retention
from simple.agents import Agent
from simple.models import Client, Download, DownloadDay, Miss, PackageDownload

DAYS = 90
# Of what a farm of this size has a day; the most wanted package has a tenth of it.
_A_DAY = 9000

# How many of a hundred are such a client.
_AGENTS = {
    Agent("pip", "25.1", "3.13", "debian", "13", "armv7l"): 14,
    Agent("pip", "25.1", "3.13", "debian", "13", "aarch64"): 17,
    Agent("pip", "25.3", "3.13", "debian", "13", "aarch64"): 4,
    Agent("pip", "23.0", "3.11", "raspbian", "12", "armv7l"): 19,
    Agent("pip", "23.0", "3.11", "debian", "12", "aarch64"): 11,
    Agent("pip", "23.0", "3.11", "raspbian", "12", "armv6l"): 5,
    Agent("pip", "20.3", "3.9", "raspbian", "11", "armv7l"): 9,
    Agent("pip", "20.3", "3.9", "raspbian", "11", "armv6l"): 2,
    Agent("uv", "0.9", "3.13", "debian", "13", "aarch64"): 7,
    Agent("uv", "0.9", "3.12", "ubuntu", "24.04", "aarch64"): 2,
    Agent("uv", "0.9", "3.11", "debian", "12", "armv7l"): 2,
    Agent("poetry", "2.2", "3.11", "debian", "12", "aarch64"): 1,
    Agent("pdm", "2.26", "3.13", "debian", "13", "aarch64"): 1,
    Agent("browser"): 2,
    Agent("other", "", "", "linux", "", "x86_64"): 3,
    Agent(): 1,
}


def write(projects: list[Project], seed: int, now: datetime) -> None:
    """Write downloads and look-ups in vain, and have the farm's own tasks add them up."""
    chance = Random(f"{seed}/downloads")
    wheels: dict[int, list[int]] = defaultdict(list)
    listed = Wheel.objects.listed().order_by("-published_at", "pk").values_list("package", "pk")
    for package, wheel in listed:
        wheels[package].append(wheel)
    wanted = [project for project in projects if project.package.pk in wheels]
    _write_downloads(wanted, wheels, chance, now.date())
    _write_misses([each for each in projects if each.package.pk not in wheels], chance, now.date())
    retention.add_days_to_months(now.date(), time.monotonic() + 60)
    demand.count(now)


def _write_downloads(
    projects: list[Project], wheels: dict[int, list[int]], chance: Random, today: date
) -> None:
    """Write how often each wheel was taken on each day, and the sums of that."""
    clients = [Client.objects.get_or_create(**agent._asdict())[0].pk for agent in _AGENTS]
    steps = list(accumulate(_AGENTS.values()))
    counted: Counter[tuple[date, int, int]] = Counter()
    by_package: Counter[tuple[int, date]] = Counter()
    for back in range(DAYS):
        day = today - timedelta(days=back)
        for project in projects:
            total = int(_A_DAY * _share(project.rank) * _mood(day, back) * chance.lognormvariate(0, 0.15))
            rest = total
            for _ in range(8 if project.rank < 15 else 3):
                part = rest if rest < 4 else chance.randint(1, rest)
                # The newest are taken most.
                offered = wheels[project.package.pk]
                wheel = offered[min(int(chance.expovariate(0.7)), len(offered) - 1)]
                client = clients[bisect_right(steps, chance.random() * steps[-1])]
                counted[day, wheel, client] += part
                rest -= part
                if not rest:
                    break
            if total > rest:
                by_package[project.package.pk, day] += total - rest
    _add(counted, by_package)


def _share(rank: int) -> float:
    """Return which part of all downloads a package has: a few have most."""
    return 0.35 / (rank + 3)


def _mood(day: date, back: int) -> float:
    """Return how busy a day was: there are more from week to week, and Pis are for weekends."""
    return (1.25 - back / DAYS * 0.5) * (1.15 if day.weekday() >= 5 else 1.0) * (0.55 if back == 0 else 1.0)


def _add(counted: Counter[tuple[date, int, int]], by_package: Counter[tuple[int, date]]) -> None:
    """Write the rows."""
    Download.objects.bulk_create(
        (
            Download(day=day, wheel_id=wheel, client_id=client, count=count)
            for (day, wheel, client), count in counted.items()
            if count
        ),
        batch_size=2000,
    )
    PackageDownload.objects.bulk_create(
        (
            PackageDownload(package_id=package, day=day, count=count)
            for (package, day), count in by_package.items()
        ),
        batch_size=2000,
    )
    days: Counter[date] = Counter()
    for (_, day), count in by_package.items():
        days[day] += count
    DownloadDay.objects.bulk_create(DownloadDay(day=day, count=count) for day, count in days.items())


def _write_misses(projects: list[Project], chance: Random, today: date) -> None:
    """Write how often pip looked for what there is no wheel of."""
    Miss.objects.bulk_create(
        (
            Miss(
                package=project.package,
                day=today - timedelta(days=back),
                count=1 + int(_A_DAY * _share(project.rank) * chance.random()),
            )
            for project in projects
            for back in range(30)
        ),
        batch_size=2000,
    )
