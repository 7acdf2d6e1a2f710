"""How much of a disk a build has taken, found out without a walk through its files where that will do.

A statvfs costs nothing, and counts what everybody writes; only when that looks too much, the build's own
files are counted.
"""

import os
import stat
import subprocess
from collections.abc import Iterable
from pathlib import Path

_WALK_S = 60.0


class Disk:
    """The file system of a build's folder, since the build began."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._device = folder.stat().st_dev
        self._before = self._used()
        # What somebody else has written meanwhile.
        self._others = {"bytes": 0.0, "inodes": 0.0}

    def is_over(self, *, size: int | None, inodes: int | None, pids: Iterable[int]) -> bool:
        """Tell whether the build, whose processes are `pids`, has taken more than that."""
        used = self._used()
        for kind, most in (("bytes", size), ("inodes", inodes)):
            grown = used[kind] - self._before[kind]
            if most is None or grown - self._others[kind] <= most:
                continue
            # A build can hide files from us; that twice its quota has gone since it began is proof enough.
            if grown - self._others[kind] > 2 * most or (own := self._own(kind, pids)) > most:
                return True
            # So that the next walk comes only when the build itself may have reached its quota.
            self._others[kind] = grown - own
        return False

    def _used(self) -> dict[str, int]:
        """Return how many bytes and inodes of the file system are in use."""
        status = os.statvfs(self._folder)
        return {
            "bytes": (status.f_blocks - status.f_bfree) * status.f_frsize,
            "inodes": status.f_files - status.f_ffree,
        }

    def _own(self, kind: str, pids: Iterable[int]) -> float:
        """Return how much of it lies in the build's folder, or is held open without a name."""
        # du and not os.walk: of coreutils, it goes to any depth.
        how = ["--block-size=1"] if kind == "bytes" else ["--inodes"]
        try:
            counted = subprocess.run(
                ["du", "-s", "-x", *how, "--", str(self._folder)],
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_WALK_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return float("inf")
        # Files come and go while du counts, which it complains about; closed folders hide what is in them.
        if b"Permission denied" in counted.stderr or not counted.stdout:
            return float("inf")
        return int(counted.stdout.split()[0]) + sum(self._nameless(pids).values()) * (kind == "bytes")

    def _nameless(self, pids: Iterable[int]) -> dict[int, int]:
        """Return the inodes and sizes of deleted files that these processes have open."""
        found = {}
        for pid in pids:
            try:
                for entry in Path(f"/proc/{pid}/fd").iterdir():
                    status = entry.stat()
                    if stat.S_ISREG(status.st_mode) and not status.st_nlink and status.st_dev == self._device:
                        found[status.st_ino] = status.st_blocks * 512
            except OSError:
                # It has ended, or closed the file.
                continue
        return found
