"""`python -m benchmarks` takes every measurement but the long ones, `python -m benchmarks NAME` one of them.

A figure that misses its goal is printed like any other; the exit status is 1 only when something came out
wrong, such as a build that two clients were given.
"""

import os
import platform
import signal
import subprocess
import sys
from argparse import ArgumentParser
from datetime import UTC, datetime
from importlib import import_module

import django
from django.db import connections

from tests import services

NAMES = (
    *("server_cpu", "throughput", "claims", "queue", "farm_sim", "memory", "index", "bootstrap", "latency"),
    *("visible", "site", "sweep", "bundle", "downloads", "inspection", "sandbox", "cancel"),
    *("first_wheel", "watch_list"),
)
# Taken when they are named, as they take hours.
LONG = ("soak",)


def describe_machine() -> None:
    """Print the conditions: figures from a busy machine are worth less."""
    now, load = datetime.now(UTC), os.getloadavg()[0]
    python = f"Python {platform.python_version()}"
    print(f"  {now:%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, {python}, load {load:.2f}", flush=True)


def take(name: str) -> int:
    """Take one measurement, on a folder and a small server's PostgreSQL of its own that vanish with it."""
    print(f"\n{name}", flush=True)
    describe_machine()
    with services.scratch() as folder, services.postgres(folder, services.SMALL) as database:
        for setting in [key for key in os.environ if key.startswith(("PIWHEELS", "REDIS"))]:
            del os.environ[setting]
        os.environ |= {
            "DATABASE_URL": database,
            "PIWHEELS_VAR": str(folder / "var"),
            "LOG_LEVEL": "WARNING",
            "DJANGO_SETTINGS_MODULE": "piwheels_site.settings",
        }
        django.setup()
        try:
            return int(import_module(f"benchmarks.{name}").main())
        finally:
            # PostgreSQL ends only when nobody is connected any more.
            connections.close_all()


def take_apart(name: str) -> int:
    """Take one measurement in a process of its own, as Django can be set up only once."""
    child = subprocess.Popen([sys.executable, "-m", "benchmarks", name])
    try:
        return child.wait()
    except BaseException:
        child.terminate()
        child.wait()
        raise


def main() -> int:
    """Read the command line and measure."""
    # So that whoever is ended ends the servers that it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="?", choices=(*NAMES, *LONG))
    name = parser.parse_args().name
    try:
        services.install_missing()
    except services.CannotInstall as problem:
        print(problem, file=sys.stderr)
        return 2
    if name:
        return take(name)
    return max([take_apart(each) for each in NAMES])


if __name__ == "__main__":
    sys.exit(main())
