"""How long it takes to write a bundle of 50 wheels of 100 MB.

What is measured is the worker's part once it knows what goes in: reading the wheels, checking their hashes,
and writing the zip until the disk has it.  BUNDLE_WHEELS and BUNDLE_MB make it smaller.
"""

import hashlib
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.figures import Figure, show
from simple.bundle import archive
from simple.bundle.archive import Member

WHEELS = int(os.environ.get("BUNDLE_WHEELS", "50"))
MEGABYTES = int(os.environ.get("BUNDLE_MB", "100"))


def main() -> int:
    """Measure and print."""
    with TemporaryDirectory(dir=os.environ["PIWHEELS_VAR"]) as name:
        folder = Path(name)
        wheels = [_wheel(folder, number) for number in range(WHEELS)]
        _settle()
        began, used = time.monotonic(), time.process_time()
        size = archive.write(folder / "bundle.zip", "bundle", {"README.txt": "Read."}, wheels)
        took, processor = time.monotonic() - began, time.process_time() - used
    goal = "under 10 s" if (WHEELS, MEGABYTES) == (50, 100) else ""
    show(
        Figure(f"a bundle of {WHEELS} wheels of {MEGABYTES} MB", took, "s", goal),
        Figure("processor time of that", processor, "s"),
        Figure("bytes a second", size / took / 1e6, "MB/s", "over 500 MB/s"),
    )
    return 0


def _wheel(folder: Path, number: int) -> Member:
    """Write a wheel of random bytes and return it."""
    path = folder / f"p{number}-1.0-py3-none-any.whl"
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for _ in range(MEGABYTES):
            block = os.urandom(1_000_000)
            digest.update(block)
            file.write(block)
    return Member(path.name, path.stat().st_size, digest.hexdigest(), lambda: path.open("rb"))


def _settle() -> None:
    """Have the disk write what the preparation left, so that it is not measured."""
    os.sync()
