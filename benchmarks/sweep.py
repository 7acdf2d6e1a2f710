"""What it costs to compare all that we have with upstream's list, as a farm does six times a day.

SWEEP_PACKAGES in the environment says how many packages there are, a tenth of them first.  A thousandth of
them has an older serial than the list shows, and as many are not on the list at all.
"""

import json
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from threading import Thread

from django.core.management import call_command
from django.utils import timezone

from benchmarks.figures import Figure, show
from packages import fetch, plain_sql, reconcile
from packages.batches import batches
from packages.models import Dirty, Package, SyncCursor
from packages.pypi import PyPI

PACKAGES = int(os.environ.get("SWEEP_PACKAGES", "100000"))
# Of as many packages, one has changed and one is missing.
ODD = 1000
SERIAL = 1000


@dataclass(frozen=True)
class Sweep:
    """One comparison."""

    marked: int
    seconds: float
    cpu_s: float


def main() -> int:
    """Measure and print."""
    call_command("migrate", interactive=False, verbosity=0)
    is_right = True
    peaks = []
    for start, count in ((0, PACKAGES // 10), (PACKAGES // 10, PACKAGES)):
        _fill(range(start, count))
        first = _sweep(count)
        again = _sweep(count)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        # Of those that are missing some are looked up after each reading, and they wait already then.
        is_right &= first.marked == count // ODD + min(count // ODD, reconcile.LACKING) and not again.marked
        show(
            Figure(f"comparing {count} packages with the list", first.seconds, "s"),
            Figure("processor time of Python for each", first.cpu_s / count * 1e6, "us"),
            Figure("the same again, with nothing new", again.seconds, "s"),
            Figure("most memory so far", peaks[-1], "MiB", "" if len(peaks) == 1 else "near the last"),
        )
    return 0 if is_right else 1


def _fill(numbers: range) -> None:
    """Have these packages, too, and nothing marked."""
    Dirty.objects.all().delete()
    now = timezone.now()
    for some in batches(numbers):
        plain_sql.fill(
            Package,
            ("name", "display_name", "summary", "status", "status_reason", "skip_reason", "serial", "etag",
             "fetched_at", "generation", "plan_needed", "revision"),
            [
                (_name(number), _name(number), "", "active", "", "", SERIAL, "", now, 1, False, 1)
                for number in some
            ],
        )  # fmt: skip
    SyncCursor.current()
    SyncCursor.objects.update(
        serial=SERIAL + 1, listed_at=now, journal=SyncCursor.Journal.XML_RPC, polled_at=now
    )


def _sweep(count: int) -> Sweep:
    """Compare with a list that arrives while it is made."""
    with _upstream(count) as url, fetch.Session(1, url) as session:
        # The list is made by a thread beside it, which takes its part of the time on the clock.
        began, cpu = time.monotonic(), time.thread_time()
        marked = reconcile.reconcile(PyPI(url, session), ["all"], now=timezone.now())
        return Sweep(marked, time.monotonic() - began, time.thread_time() - cpu)


def _name(number: int) -> str:
    return f"sample-{number}"


def _lines(count: int) -> Iterator[str]:
    """Return the list as PyPI has it, less those that it lacks."""
    yield f'{{"meta": {{"api-version": "1.4", "_last-serial": {SERIAL + 1}}}, "projects": ['
    comma = ""
    for number in range(count):
        if number % ODD != 1:
            entry = {"name": _name(number), "_last-serial": SERIAL + (number % ODD == 0)}
            yield comma + json.dumps(entry)
            comma = ","
    yield "]}"


@contextmanager
def _upstream(count: int) -> Iterator[str]:
    """Serve the list of all projects and nothing else."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.pypi.simple.v1+json")
            self.end_headers()
            lines = _lines(count)
            while piece := "".join(islice(lines, 1000)):
                self.wfile.write(piece.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.1,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
