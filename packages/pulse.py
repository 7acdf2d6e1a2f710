"""Does something now and then, while something else goes on."""

import time
from collections.abc import Callable


class Pulse:
    """Something that is done when this is called, if so many seconds have passed since the last time."""

    def __init__(self, every_s: float, deed: Callable[[], object]) -> None:
        self._every_s, self._deed = every_s, deed
        self._at = time.monotonic()

    def __call__(self) -> None:
        """Do it, or not yet."""
        if time.monotonic() - self._at > self._every_s:
            self._at = time.monotonic()
            self._deed()
