"""Cuts what a statement cannot take at once into pieces that it can."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")

# SQLite takes 999 variables in a statement.
BATCH = 500


def batches(items: Iterable[Item], size: int = BATCH) -> Iterator[list[Item]]:
    """Return items in lists that one statement can take, or of that size."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
