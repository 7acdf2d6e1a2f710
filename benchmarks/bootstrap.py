"""How fast a farm gets to know all of an index, and whether its memory grows with it.

It does so by the command that an operator gives.  The index is a synthetic one in a process of its own,
which takes its part of the machine.  BOOTSTRAP_PROJECTS
in the environment says how many projects it has, with ten versions each on average.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil
from django.core.management import call_command

from benchmarks.figures import Figure, show
from benchmarks.servers import cpu_s, memory_of
from packages.models import Dirty, Package, SyncCursor, UpstreamFile, Version
from tests.catalogue import Catalogue

PROJECTS = int(os.environ.get("BOOTSTRAP_PROJECTS", "3000"))
VERSIONS = 10
SEED = 1
SAMPLE_S = 1


def main() -> int:
    """Measure and print."""
    call_command("migrate", interactive=False, verbosity=0)
    with index() as (url, process):
        others = cpu_s(process)
        began, before = time.monotonic(), os.times()
        memory = Memory()
        command = [sys.executable, "manage.py", "sync_pypi", "--all"]
        with subprocess.Popen(command, env={**os.environ, "PIWHEELS_PYPI": url}) as farm:
            memory.watch(farm)
        took_s, after = time.monotonic() - began, os.times()
        others = cpu_s(process) - others
    own = after.children_user + after.children_system - before.children_user - before.children_system
    versions = Version.objects.count()
    show(
        Figure(f"versions of {PROJECTS} projects", versions / took_s, "/s", "2,900 /s or more"),
        Figure("files", UpstreamFile.objects.count() / took_s, "/s"),
        Figure("our CPU time for a version, with our start", own / versions * 1000, "ms"),
        Figure("the synthetic index's CPU time for a version", others / versions * 1000, "ms"),
        Figure("memory of all our processes after a quarter", memory.after(0.25), "MiB"),
        Figure("memory at the end", memory.after(1), "MiB", "no more than after a quarter"),
    )
    return 0 if is_right() else 1


def is_right() -> bool:
    """Whether we have what the index has."""
    catalogue = Catalogue(SEED, PROJECTS, VERSIONS, is_hollow=True)
    projects = filter(None, map(catalogue.peek, catalogue))
    listed = [project for project in projects if project.status != "quarantined"]
    return (
        Package.objects.count() == len(listed)
        and Version.objects.count() == sum(len(project.versions) for project in listed)
        and UpstreamFile.objects.count() == sum(len(project.files) for project in listed)
        and not Dirty.objects.exists()
        and SyncCursor.current().serial == catalogue.last_serial
    )


@contextmanager
def index() -> Iterator[tuple[str, psutil.Process]]:
    """Run a synthetic index, and give its address."""
    words = ["--projects", str(PROJECTS), "--versions", str(VERSIONS), "--seed", str(SEED), "--port", "0"]
    command = [sys.executable, "manage.py", "fake_pypi", *words, "--events-per-second", "0", "--no-files"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        said = process.stdout.readline() if process.stdout else ""
        found = re.search(r"PIWHEELS_PYPI=(\S+)", said)
        if found is None:
            raise RuntimeError(f"The synthetic index says {said!r}.")
        yield found[1], psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()
        if process.stdout:
            process.stdout.close()


class Memory:
    """How much memory some processes had in the course of something; what they share counts once."""

    def __init__(self) -> None:
        self._samples: list[float] = []

    def after(self, part: float) -> float:
        """Return the most that there was until a part of the time had passed, in MiB."""
        return max(self._samples[: max(int(len(self._samples) * part), 1)], default=0)

    def watch(self, root: "subprocess.Popen[bytes]") -> None:
        """Take samples of a process and its children until it ends."""
        while True:
            process = psutil.Process(root.pid)
            self._samples.append(memory_of([process, *process.children(recursive=True)]).pss)
            with suppress(subprocess.TimeoutExpired):
                root.wait(SAMPLE_S)
                return
