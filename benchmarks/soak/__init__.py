"""Whether a farm with ten times a farm's builders stays as it is for hours, and loses nothing meanwhile.

All of its services run on this machine: PostgreSQL, Redis, gunicorn, worker (which publishes), beat, nginx
in front and the reader of its log.  Builders are played (`slow_builders`) and finish 300 builds an hour each,
at random moments; a client reads pages and files all the time and compares what it gets with what pages say.

`SOAK_MINUTES` and `SOAK_BUILDERS` in the environment change length and size, 120 and 200 where they are not
given.  With `SOAK_PICTURE` it is drawn as `benchmarks/soak.svg`.
"""

import os
import time
from pathlib import Path

from benchmarks import sample
from benchmarks.figures import Figure, show
from benchmarks.soak import crew, picture, proof, tell
from benchmarks.soak.farm import Sample, SoakedFarm, Watcher, disk_bytes, own_cpu_s
from benchmarks.soak.trend import minutes
from builds.models import Builder
from packages.models import Package
from tests.readers import Reader

MINUTES = float(os.environ.get("SOAK_MINUTES", "120"))
BUILDERS = int(os.environ.get("SOAK_BUILDERS", "200"))
# Of one builder.
BUILDS_AN_HOUR = 300
# How long a build takes on average; what is left of 12 s is for its report and the next order.
HOLD_S = 11.7
# How much more there is to build than is built.
SPARE = 1.1
# In how many processes the builders are.
PROCESSES = 4
SAMPLE_S = 30.0
# How many looks at the farm pass between two lines that say how it goes on.
QUIET = 10
# Packages that somebody reads all the time.
READ = 100
# How long the last pages may take to be published.
PUBLISHED_S = 120


class SlowReader(Reader):
    """A client that leaves most of the machine to those whom it reads of."""

    PAUSE_S = 0.5


def main() -> int:
    """Soak, and print what came out."""
    farm = SoakedFarm()
    record = crew.Record()
    with farm:
        tokens = sample.enrol(BUILDERS)
        began = time.monotonic()
        wanted = BUILDERS * BUILDS_AN_HOUR * MINUTES / 60
        packages = farm.stock(int(SPARE * wanted) + 10 * BUILDERS)
        show(Figure(f"stocking {len(packages):,} packages of ten versions", time.monotonic() - began, "s"))
        reader = SlowReader(farm.nginx.url, packages[:: max(len(packages) // READ, 1)][:READ])
        job = crew.Job(farm.nginx.port, farm.socket, farm.var, 60 * MINUTES, HOLD_S)
        started = time.time()
        with crew.at_work(job, tokens, record, PROCESSES) as builders, reader:
            own_s = own_cpu_s()
            samples = watch(farm, builders, record)
            own_s = own_cpu_s() - own_s
        farm.wait_until(lambda: not Package.objects.to_show().exists(), PUBLISHED_S)
        wrong = [
            *proof.of_the_builders(record, PROCESSES),
            *(f"a reader found: {fault}" for fault in reader.wrong),
            *proof.of_the_rows(record),
            *proof.of_the_index(record, farm.nginx.port),
        ]
        files, used = disk_bytes(farm.var)
        logs = farm.logs() if wrong else ""
    waits, builds = minutes(record.waits, started, 60 * MINUTES), max(len(record.ended), 1)
    tell.tell(record, samples, waits, 60 * MINUTES, BUILDERS * BUILDS_AN_HOUR)
    show(
        Figure("the builders' own CPU", 1000 * record.cpu_s / builds, "ms/build"),
        Figure("the measurement's and the reader's own CPU", 1000 * own_s / builds, "ms/build"),
        Figure("pages read meanwhile", reader.pages, ""),
        Figure("files read meanwhile and compared", reader.downloads, ""),
        Figure("files on disk for a build", files / builds, ""),
        Figure("disk for a build, without the database", used / builds / 1024, "KiB"),
        Figure("what was lost, done twice or otherwise wrong", len(wrong), "", "0", not wrong),
    )
    print(logs, *wrong[:20], sep="\n")
    if "SOAK_PICTURE" in os.environ:
        picture.draw(samples, waits, Path(__file__).parent.with_name("soak.svg"))
    return 1 if wrong else 0


def watch(farm: SoakedFarm, builders: crew.Crew, record: crew.Record) -> list[Sample]:
    """Look at the farm all the time until the builders have come to their end; return what was seen."""
    watcher = Watcher(farm, list(Builder.objects.values_list("name", flat=True)))
    began = time.monotonic()
    samples = []
    while builders.is_at_work():
        at_s = time.monotonic() - began
        if at_s < 60 * MINUTES:
            samples.append(watcher.look(at_s, len(record.ended)))
            if len(samples) % QUIET == 0:
                tell.progress(samples[-1], record)
        while builders.is_at_work() and time.monotonic() < began + len(samples) * SAMPLE_S:
            time.sleep(0.2)
    watcher.close()
    return samples
