"""Upstream's wheels and their METADATA, fetched once and kept for a while, under the hashes of the wheels."""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from builds.files.stored import TEMPORARY
from packages import fetch
from packages.download import download
from packages.fetch import UpstreamUnavailable
from simple.bundle import metadata
from simple.index import UpstreamEntry


class NoRoom(Exception):
    """The disk of bundles has no room for more; the text says when to come again."""

    def __init__(self) -> None:
        super().__init__("There is no room for another bundle of this size now; ask again in some hours.")


@dataclass
class Pantry:
    """A folder of what was fetched; a file is in it whole or not at all."""

    folder: Path
    session: fetch.Session
    most_bytes: int  # of one wheel
    most_s: float  # for one wheel
    room: int  # bytes that may still be fetched; all of it counts
    pulse: Callable[[], None] = lambda: None

    def wheel(self, entry: UpstreamEntry) -> Path:
        """Return where a wheel is, and fetch it if it is not there; raises UpstreamUnavailable and NoRoom."""
        if entry.size is not None and entry.size > self.most_bytes:
            raise UpstreamUnavailable(
                f"{entry.filename} has {entry.size} bytes, {self.most_bytes} are the most."
            )
        return self._fetched(
            entry.sha256, entry.url, entry.sha256, size=entry.size or 1, limit=self.most_bytes
        )

    def missing(self, entry: UpstreamEntry) -> int:
        """Return how many bytes of a wheel are still to be fetched, as far as upstream says."""
        return 0 if (self.folder / entry.sha256).exists() else entry.size or 0

    def metadata(self, entry: UpstreamEntry) -> bytes:
        """Return the METADATA of a wheel; raises Unusable where it has none, and what `wheel` raises."""
        if entry.metadata_sha256:
            path = self._fetched(
                f"{entry.sha256}.metadata",
                f"{entry.url}.metadata",
                entry.metadata_sha256,
                size=1,
                limit=metadata.MOST_BYTES,
            )
            return path.read_bytes()
        with self.wheel(entry).open("rb") as file:
            return metadata.of_wheel(file, entry.filename)

    def _fetched(self, name: str, url: str, sha256: str, *, size: int, limit: int) -> Path:
        """Return where a file is, which has `size` bytes at least; fetched for as long as there is room."""
        path = self.folder / name
        # It is wanted again, so it stays for longer; `touch` would make an empty one of what is just removed.
        with suppress(FileNotFoundError):
            os.utime(path)
            return path
        if size > self.room:
            raise NoRoom
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=self.folder, prefix=TEMPORARY)
        try:
            with os.fdopen(descriptor, "wb") as file:
                self.room -= download(
                    self.session,
                    url,
                    file,
                    sha256=sha256,
                    limit=min(limit, self.room),
                    seconds=self.most_s,
                    pulse=self.pulse,
                )
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return path
