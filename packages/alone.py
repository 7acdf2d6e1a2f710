"""Keeps what is slow from taking all of a worker's threads, tick after tick."""

from collections.abc import Callable
from threading import Lock


def alone(held: Lock, run: Callable[[], int]) -> int:
    """Do what may run once at a time in this process; 0 if it runs, as its next tick is not far."""
    if not held.acquire(blocking=False):
        return 0
    try:
        return run()
    finally:
        held.release()
