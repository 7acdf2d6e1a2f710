"""Fifty real packages from the real PyPI: what is recorded of each, what is to be built, and why.

They are popular on the first piwheels, or odd: versions that PEP 440 does not know, yanked releases, wheels
alone, thousands of versions.  Each is asked for by its name, once.  Needs PyPI.  With
`WATCH_LIST=docs/watch-list.md` in the environment, the table is written there, too.
"""

import os
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.utils import timezone

from benchmarks.figures import Figure, show
from builds.models import Build, Target
from builds.planning import plan, wishes
from packages import sync
from packages.clock import database_now
from packages.models import Package, UpstreamFile
from packages.pypi import UpstreamUnavailable

# An old system and a new one, for the Pis with 32 bits, and the new one with 64.
TARGETS = ("bookworm-armhf-cp311", "trixie-armhf-cp313", "trixie-arm64-cp313")

PACKAGES = {
    "numpy": "popular",
    "pandas": "popular",
    "scipy": "popular, needs a Fortran compiler",
    "opencv-python": "popular, hours to build",
    "pillow": "popular, many apt packages",
    "matplotlib": "popular",
    "cryptography": "popular, Rust",
    "cffi": "popular",
    "pyyaml": "popular",
    "markupsafe": "popular",
    "lxml": "popular",
    "psutil": "popular, abi3",
    "aiohttp": "popular",
    "multidict": "popular",
    "frozenlist": "popular",
    "grpcio": "popular, long to build",
    "protobuf": "popular, abi3",
    "tensorflow": "wheels only",
    "torch": "wheels only",
    "scikit-learn": "popular",
    "h5py": "popular",
    "pyzmq": "popular",
    "rpi-gpio": "for the Pi, no wheels",
    "spidev": "for the Pi, no wheels",
    "rpi-ws281x": "for the Pi",
    "pigpio": "for the Pi",
    "gpiozero": "for the Pi, pure",
    "smbus2": "pure",
    "adafruit-blinka": "for the Pi, hundreds of versions",
    "homeassistant": "a huge history",
    "zeroconf": "popular with Home Assistant",
    "orjson": "Rust",
    "pydantic-core": "Rust",
    "uvloop": "C and libuv",
    "gevent": "C, long to build",
    "greenlet": "C++",
    "sqlalchemy": "an optional extension",
    "regex": "C",
    "cython": "a pure wheel beside others",
    "wrapt": "an optional extension",
    "attrs": "a yanked release, pure",
    "boto3": "a huge history, pure",
    "botocore": "a huge history, pure",
    "pytz": "legacy versions",
    "docopt": "no wheel at all",
    "demjson": "cannot be built today",
    "pycrypto": "abandoned, no wheels",
    "mysqlclient": "needs headers",
    "dbus-python": "needs headers, no wheels",
    "psycopg2": "needs headers",
}


@dataclass(frozen=True)
class Row:
    """What is recorded of a package, and what is wanted of it."""

    name: str
    versions: int
    without_files: int
    legacy: int
    yanked: int
    with_source: int
    wheels: int
    queued: Counter[str]
    first: str
    seconds: float

    @property
    def line(self) -> str:
        """The row as Markdown."""
        queued = " | ".join(str(self.queued[key]) for key in TARGETS)
        return (
            f"| {self.name} | {PACKAGES[self.name]} | {self.versions} | {self.without_files} | {self.legacy} "
            f"| {self.yanked} | {self.with_source} | {self.wheels} | {queued} | {self.first} |"
        )


def main() -> int:
    """Look all of them up, plan their builds and print the table."""
    call_command("migrate", interactive=False, verbosity=0)
    # All versions, where a farm of one machine wants the newest few.
    settings.PIWHEELS_DEPTH = 0
    for target in Target.objects.filter(key__in=TARGETS):
        target.activate()
    rows, failed = [], []
    for name in PACKAGES:
        try:
            rows.append(take(name))
        except UpstreamUnavailable as error:
            failed.append(f"{name}: {error}")
    table = "\n".join(
        [
            "| package | kind | versions | without files | legacy | yanked | with a source "
            "| wheels upstream | "
            + " | ".join(f"queued, {key}" for key in TARGETS)
            + " | the first of them, and why it stands there |",
            "| --- " * (9 + len(TARGETS)) + "|",
            *(row.line for row in rows),
        ]
    )
    print(table)
    for complaint in failed:
        print(f"  {complaint}")
    seconds = sum(row.seconds for row in rows)
    versions = sum(row.versions for row in rows)
    show(
        Figure(f"{len(rows)} packages with {versions} versions, looked up and planned", seconds, "s"),
        Figure("versions per second, one look-up after the other", versions / seconds, "/s"),
    )
    if path := os.environ.get("WATCH_LIST"):
        write(Path(path), table)
    return 1 if failed else 0


def take(name: str) -> Row:
    """Look a package up, plan its builds, and return what there is then."""
    began = time.monotonic()
    package = sync.look_up(sync.upstream(), name, now=timezone.now())
    if package is None:
        raise UpstreamUnavailable("there is no such package upstream.")
    plan.plan(package, database_now())
    seconds = time.monotonic() - began
    versions = list(package.versions.listed())
    files = UpstreamFile.objects.listed().filter(version__package=package)
    with_files = set(files.values_list("version", flat=True))
    waiting = Build.objects.waiting().filter(version__package=package)
    first = waiting.select_related("version", "target").first()
    return Row(
        name=name,
        versions=len(versions),
        without_files=sum(version.pk not in with_files for version in versions),
        legacy=sum(not version.canonical for version in versions),
        yanked=sum(version.yanked for version in versions),
        with_source=len(set(files.sources().values_list("version", flat=True))),
        wheels=files.filter(kind=UpstreamFile.Kind.WHEEL).count(),
        queued=Counter(waiting.values_list("target__key", flat=True)),
        first=f"{first.version.number}: {first.why}" if first else why_nothing(package),
        seconds=seconds,
    )


def why_nothing(package: Package) -> str:
    """Say why nothing of a package is to be built."""
    pythons = {target.python for target in Target.objects.active()}
    if not any(wishes.candidates(package, pythons).values()):
        return "nothing: no version has a source that could be built for these Pythons"
    return "nothing: upstream's own wheels serve every version that these Pythons may have"


def write(path: Path, table: str) -> None:
    """Write the table, with what must be known of it."""
    path.write_text(
        "# Fifty real packages\n\n"
        f"Made by `python -m benchmarks watch_list` on {datetime.now(UTC):%d %B %Y}, from the real PyPI. All "
        "versions are wanted (`PIWHEELS_DEPTH=0`), by the policy `gaps`: only what upstream has no wheel of "
        "that serves every machine of the target.\n\n"
        f"{table}\n"
    )
