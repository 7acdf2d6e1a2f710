"""Shows on a terminal how far something has come; anywhere else it says nothing."""

import sys
import time
from types import TracebackType
from typing import Self, TextIO

WIDTH = 30
# How often the line is written anew.
EVERY_S = 0.2


class ProgressBar:
    """A line on a terminal, as `[######......] 1234/5678  290/s  1:23:45 left`."""

    def __init__(self, total: int, out: TextIO | None = None) -> None:
        self.total = total
        self.done = 0
        self.text = ""
        self.out = sys.stderr if out is None else out
        self.began = time.monotonic()
        self._shown_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.out.isatty():
            self.out.write("\r\033[K")
            self.out.flush()

    def advance(self, count: int) -> None:
        """Note that more is done."""
        self.done += count
        self._write()

    def show(self, text: str) -> None:
        """Show what is being done."""
        self.text = text
        self._write()

    def line(self, passed_s: float) -> str:
        """Return the line after so many seconds."""
        share = self.done / self.total if self.total else 1.0
        filled = round(WIDTH * min(share, 1.0))
        parts = [f"[{'#' * filled}{'.' * (WIDTH - filled)}] {self.done}/{self.total}"]
        if self.done and passed_s > 0:
            rate = self.done / passed_s
            left_s = round(max(self.total - self.done, 0) / rate)
            parts += [f"{rate:.0f}/s", f"{left_s // 3600}:{left_s // 60 % 60:02}:{left_s % 60:02} left"]
        return "  ".join([*parts, self.text] if self.text else parts)

    def _write(self) -> None:
        now = time.monotonic()
        if self.out.isatty() and now - self._shown_at >= EVERY_S:
            self._shown_at = now
            self.out.write(f"\r\033[K{self.line(now - self.began)}")
            self.out.flush()
