"""`python -m tests.faults.with_bug BUG MODULE WORDS...`: run a program of the farm with a bug.

No farm may have these, and a campaign that holds with one of them would hold with anything.
"""

import os
import runpy
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "piwheels_site.settings")
django.setup()

from builds.files import storage  # noqa: E402 - they look into the settings
from simple import folders  # noqa: E402
from simple.formats import Format  # noqa: E402
from simple.models import Shown  # noqa: E402

HASTE_S = 30.0


def database_before_file() -> None:
    """Record a wheel before its file is stored, and list what rows say without a look at the storage."""
    stored, linked = storage.store, folders.link

    def late(files: Mapping[str, BinaryIO]) -> None:
        kept = {name: BytesIO(file.read()) for name, file in files.items()}
        threading.Timer(3.0, stored, (kept,)).start()

    def trusting(name: str, sources: Mapping[str, Path]) -> set[str]:
        linked(name, sources)
        return set()

    storage.store, folders.link = late, trusting


def page_written_in_place() -> None:
    """Write pages where they are read, on a slow disk."""

    def in_place(self: folders.Writing, path: Path, content: bytes, format: Format) -> None:
        with path.open("wb", buffering=0) as file:
            file.write(content[: len(content) // 2])
            time.sleep(0.2)
            file.write(content[len(content) // 2 :])

    folders.Writing._write = in_place  # type: ignore[method-assign]


def replaceable_files() -> None:
    """Give the bytes of a rebuild to the name that it replaces, too."""
    linked = folders.link

    def replace(name: str, sources: Mapping[str, Path]) -> set[str]:
        names = {entry: _without_build_tag(entry) for entry in sources}
        rebuilt = {name: sources[entry] for entry, name in names.items() if name != entry}
        return linked(name, {entry: rebuilt.get(entry, source) for entry, source in sources.items()})

    folders.link = replace


def _without_build_tag(filename: str) -> str:
    """Return the name that a wheel has before it is built again."""
    parts = filename.split("-")
    return "-".join([*parts[:2], *parts[3:]]) if len(parts) == 6 else filename


def nothing_synced() -> None:
    """Leave it to the disk when it writes what."""
    os.fsync = lambda fd: None


def files_go_after_seconds() -> None:
    """Take a file away half a minute after the last page that lists it, and not after a day."""
    Shown.LINGER = timedelta(seconds=HASTE_S)


# Those that readers notice ...
BUGS: dict[str, Callable[[], None]] = {
    bug.__name__: bug for bug in (database_before_file, page_written_in_place, replaceable_files)
}
# ... and the one that nobody does before the power goes.
CARELESS = {nothing_synced.__name__: nothing_synced}
# No bug, but what a test can wait for.
HASTE = {files_go_after_seconds.__name__: files_go_after_seconds}

if __name__ == "__main__":
    (BUGS | CARELESS | HASTE)[sys.argv[1]]()
    del sys.argv[1]
    runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
