"""How fast the lines of a log become counts in the database, and what memory that takes.

The log is made from a seed: nine of ten lines are downloads of wheels, by many kinds of clients from many
addresses, and most of a few wheels, as it is everywhere; the rest is what else a server is asked for, some of
it meant badly.  `DOWNLOAD_LINES` in the environment makes it another length.
"""

import json
import os
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone

from benchmarks.figures import Figure, show
from benchmarks.servers import cpu_s
from builds.builders.host import host_target
from builds.models import Build, Wheel
from packages.models import Package, Version
from simple import downloads, retention
from simple.log_files import LogFile
from simple.logs import LogCounter
from simple.models import Log

LINES = int(os.environ.get("DOWNLOAD_LINES", "1000000"))
PACKAGES, WHEELS = 2_000, 10
ADDRESSES = 1 << 16
DAYS = 2


def main() -> int:
    """Measure and print."""
    call_command("migrate", interactive=False, verbosity=0)
    wheels = publish()
    retention.tidy(timezone.now(), for_s=60)
    path = Path(settings.VAR) / "access.json.log"
    with path.open("wb") as file:
        file.writelines(lines(random.Random(5), wheels))
    me = psutil.Process()
    database = next(child for child in me.children() if child.name() == "postgres")
    ours, theirs = _cpu_s([me]), _cpu_s([database, *database.children(recursive=True)])
    quarter_mib, seconds = count(path, me)
    ours = _cpu_s([me]) - ours
    theirs = _cpu_s([database, *database.children(recursive=True)]) - theirs
    show(
        Figure("lines of the log", LINES, "lines"),
        Figure("lines counted", LINES / seconds, "lines/s", "11,000 or more"),
        Figure("processor time of Python", ours / LINES * 1e6, "us/line"),
        Figure("processor time of PostgreSQL", theirs / LINES * 1e6, "us/line"),
        Figure("memory after a quarter", quarter_mib, "MiB"),
        Figure("memory at the end", me.memory_info().rss / 2**20, "MiB", "the same"),
    )
    row = Log.objects.get()
    show(Figure("downloads, each client's of a wheel once a day", row.downloads, ""))
    return 0 if row.lines == LINES and row.downloads == downloads.total() > LINES // 2 else 1


def count(path: Path, me: psutil.Process) -> tuple[float, float]:
    """Count a log; return the memory after a quarter of it, in MiB, and how many seconds all took."""
    counter = LogCounter()
    quarter_mib, done = 0.0, 0
    began = time.monotonic()
    with LogFile(path, is_over=True) as file:
        log = counter.open_row(file)
        while some := counter.count_some(log, file, now=timezone.now()):
            done += some
            if not quarter_mib and done >= LINES // 4:
                quarter_mib = me.memory_info().rss / 2**20
    return quarter_mib, time.monotonic() - began


def publish() -> list[str]:
    """Create wheels without files behind them; return their addresses."""
    target = host_target()
    names = [f"package-{number}" for number in range(PACKAGES)]
    packages = Package.objects.bulk_create(Package(name=name, display_name=name) for name in names)
    versions = Version.objects.bulk_create(
        Version(package=package, number="1.0", canonical="1") for package in packages
    )
    builds = Build.objects.bulk_create(
        Build(version=version, target=target, state=Build.State.SUCCEEDED, finished_at=timezone.now())
        for version in versions
    )
    wheels = Wheel.objects.bulk_create(
        Wheel(
            build=build,
            package=build.version.package,
            version=build.version,
            filename=f"{_stem(build)}-{number}-cp313-cp313-linux_armv7l.whl",
            size=10_000,
            sha256=f"{build.pk:064x}",
            metadata_sha256=f"{build.pk:064x}",
        )
        for build in builds
        for number in range(WHEELS)
    )
    return [f"/simple/{wheel.package.name}/{wheel.filename}" for wheel in wheels]


def _stem(build: Build) -> str:
    """Return how the names of a build's wheels begin."""
    return f"{build.version.package.name.replace('-', '_')}-{build.version.number}"


def lines(chance: random.Random, wheels: list[str]) -> Iterator[bytes]:
    """Return the lines of a log."""
    kinds = agents(chance)
    began = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS - 1)
    for number in range(LINES):
        at = began + timedelta(seconds=DAYS * 86400 * number // LINES)
        uri, status, agent = wheels[popular(chance, len(wheels))], "200", kinds[popular(chance, len(kinds))]
        if chance.random() < 0.1:
            uri, status, agent = something_else(chance, uri, agent)
        client = chance.randrange(ADDRESSES)
        line = {
            "time": f"{at:%Y-%m-%dT%H:%M:%S}+00:00",
            "msec": f"{at.timestamp():.3f}",
            "method": "GET",
            "uri": uri,
            "status": status,
            "bytes": "10000",
            "agent": agent,
            "address": f"10.0.{client >> 8}.{client & 255}",
            "range": "",
            "request_id": f"{number:032x}",
        }
        yield json.dumps(line, separators=(",", ":")).encode() + b"\n"


def popular(chance: random.Random, count: int) -> int:
    """Return one of so many numbers, the small ones far more often."""
    return (
        min(int(chance.paretovariate(0.5)) - 1, count - 1)
        if chance.random() < 0.5
        else chance.randrange(count)
    )


def something_else(chance: random.Random, uri: str, agent: str) -> tuple[str, str, str]:
    """Return another request than for a wheel."""
    return chance.choice(
        [
            (uri.rpartition("/")[0] + "/", "200", agent),
            (f"{uri}.metadata", "200", agent),
            (uri, "304", agent),
            (f"/simple/package-{chance.randrange(PACKAGES)}/", "404", agent),
            (f"/simple/nothing-{chance.randrange(10**6)}/", "404", agent),
            (uri, "200", f"pip/{chance.randrange(10**6)} " + '{"cpu":' * 10),
            (uri.replace("package", "made-up"), "200", agent),
            ("/../../etc/passwd", "400", "\0" * 50),
        ]
    )


def agents(chance: random.Random) -> list[str]:
    """Return what some thousand kinds of clients say of themselves."""
    return [
        f"pip/{pip} "
        + json.dumps(
            {
                "ci": None,
                "cpu": cpu,
                "distro": {
                    "id": "x",
                    "libc": {"lib": "glibc", "version": "2.36"},
                    "name": os_name,
                    "version": v,
                },
                "implementation": {"name": "CPython", "version": python},
                "installer": {"name": "pip", "version": pip},
                "openssl_version": "OpenSSL 3.0.15 3 Sep 2024",
                "python": python,
                "setuptools_version": "66.1.1",
                "system": {"name": "Linux", "release": f"6.6.{chance.randrange(60)}+rpt-rpi-v7"},
            }
        )
        for pip in ("20.3.4", "22.3.1", "23.0.1", "24.0", "25.1.1", "26.3")
        for python in ("3.9.2", "3.11.2", "3.12.7", "3.13.5", "3.13.9")
        for cpu in ("armv6l", "armv7l", "aarch64")
        for os_name, v in (("Raspbian GNU/Linux", "12"), ("Debian GNU/Linux", "13"), ("Ubuntu", "24.04"))
        for _ in range(10)
    ]


def _cpu_s(processes: list[psutil.Process]) -> float:
    """Return how much processor time processes have taken."""
    return sum(cpu_s(process) for process in processes)
