"""The log of a build: a file without a name that grows while another thread reads it."""

import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from builder.contract import LOG_LIMIT

# Errors stand at a log's end: of one that is too long, that much of its end is kept.
_TAIL = 64 << 10
_CUT = b"\n[piwheels: the log is too long; what follows is its end]\n"


class Log:
    """What a build prints, and what we say about it; never more than LOG_LIMIT bytes.

    One thread writes.  What has been written never changes, so another may read it at any time.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by __exit__
        self._tail = b""
        self._is_cut = False
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, chunk: bytes) -> None:
        """Add what a program printed; what does not fit waits to be the end, or is dropped."""
        room = LOG_LIMIT - _TAIL - len(_CUT) - self.size
        if not self._is_cut and len(chunk) <= room:
            self._append(chunk)
            return
        if not self._is_cut:
            self._append(chunk[:room])
            self._append(_CUT)
            self._is_cut = True
            chunk = chunk[room:]
        self._tail = (self._tail + chunk)[-_TAIL:]

    def note(self, text: str) -> None:
        """Add a line of our own."""
        self.write(f"[piwheels: {text}]\n".encode(errors="replace"))

    def end(self) -> None:
        """Write what was kept of the end; the log must not be written to any more."""
        self._append(self._tail)
        self._tail = b""

    def read(self, offset: int, length: int) -> bytes:
        """Return at most that many bytes from there on."""
        return os.pread(self._file.fileno(), length, offset)

    def _append(self, chunk: bytes) -> None:
        """Write to the file, wherever that ends."""
        while chunk:
            written = os.pwrite(self._file.fileno(), chunk, self.size)
            self.size += written
            chunk = chunk[written:]
