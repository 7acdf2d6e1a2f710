"""How long after an operator's "cancel" no process of a build is left, on a real farm.

The build is several processes, some in sessions of their own, that hear no SIGTERM and print nothing.  The
clock runs from before the cancel in the database, so the wait for the build's next heartbeat is in it.
"""

import os
import statistics
import time

import psutil
from django.conf import settings

from benchmarks.figures import Figure, show
from builds.models import Build
from packages.clock import database_now
from tests.fake_pypi import FakePyPI
from tests.farm import PATIENCE, Farm
from tests.sdists import deaf_sdist

TIMES = 10
PROCESSES = 6
MARK = "piwheels-bench-deaf"
PATIENCE_S = 60.0
# So that cancels come at any moment between two heartbeats.
STEP_S = 0.23
GLANCE_S = 0.01


def main() -> int:
    """Measure and print."""
    with FakePyPI() as upstream:
        for number in range(TIMES):
            version = f"{number}.0"
            upstream.add_sdist("deaf", version, deaf_sdist("deaf", version, PROCESSES, MARK))
        with farm(upstream) as running:
            taken = [cancel(running, number * STEP_S) for number in range(TIMES)]
    show(
        Figure("cancel to no process left, median", statistics.median(taken), "s"),
        Figure("cancel to no process left, longest", max(taken), "s", "under 5 s"),
    )
    return 0 if not marked() else 1


def farm(upstream: FakePyPI) -> Farm:
    """Return a farm with the patience of a real one, but for its looks at upstream."""
    running = Farm(settings.VAR, upstream.simple_url, "deaf", database=os.environ["DATABASE_URL"])
    for setting in PATIENCE.keys() - {"PIWHEELS_REFRESH_S"}:
        del running.env[setting]
    return running


def cancel(farm: Farm, pause_s: float) -> float:
    """Cancel the build that runs, that long after it is all there; return how long it took to end."""
    farm.wait_until(lambda: len(marked()) == PROCESSES, PATIENCE_S)
    time.sleep(pause_s)
    # All that runs for the build: its wardens, bubblewrap, the doorway and pip, too.
    of_build = psutil.Process(farm.processes["builder"].pid).children(recursive=True)
    build = Build.objects.assigned().get()
    began = time.monotonic()
    if not build.cancel("Enough.", database_now()):
        raise RuntimeError("The build had ended by itself.")
    while any(is_alive(process) for process in of_build):
        if time.monotonic() - began > PATIENCE_S:
            raise RuntimeError(f"Some processes live on: {of_build}")
        time.sleep(GLANCE_S)
    return time.monotonic() - began


def is_alive(process: psutil.Process) -> bool:
    """Tell whether a process is there and not merely in the table."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def marked() -> list[psutil.Process]:
    """Return the build's own processes."""
    found = psutil.process_iter(["cmdline"])
    return [process for process in found if MARK in (process.info["cmdline"] or [])]
