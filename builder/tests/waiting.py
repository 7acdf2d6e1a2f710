"""Waits for what others do, however slow the machine is."""

import time
from collections.abc import Callable
from typing import TypeVar

import requests

Answer = TypeVar("Answer")

# Only a test that fails takes that long.
PATIENCE_S = 90.0
# Who asks more often takes time from those that are waited for.
_PAUSE_S = 0.2


def until(condition: Callable[[], Answer], patience_s: float = PATIENCE_S) -> Answer:
    """Return what the condition says, once that is true; fail after a while.

    A server that does not answer yet is one for which it is not true.
    """
    end, pause_s = time.monotonic() + patience_s, 0.01
    while time.monotonic() < end:
        try:
            if answer := condition():
                return answer
        except requests.RequestException:
            pass
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _PAUSE_S)
    raise AssertionError(f"It did not come true in {patience_s:.0f} s.")
