"""Puts canonical versions into the order of PEP 440, thousands at a time.  Needs no Django.

`packaging` parses a version into an object that knows much more; that takes four times as long, and a page of
a package with 5,000 versions would wait for it.
"""

import re
from functools import lru_cache
from typing import Any

# What `str(packaging.version.Version)` gives, and nothing else.
_CANONICAL = re.compile(
    r"(?:(\d+)!)?(\d+(?:\.\d+)*)(?:(a|b|rc)(\d+))?(?:\.post(\d+))?(?:\.dev(\d+))?(?:\+([a-z0-9.]+))?"
)

# Of a part that is not there: before all numbers, or after them.
_BEFORE, _AFTER = (-1, 0), (1, 0)
_PHASES = {"a": 0, "b": 1, "rc": 2}
_NO_PHASE = (3, 0)
_DEV_PHASE = (-1, 0)

Order = tuple[Any, ...]  # Any: its parts are compared, and nobody looks into them

LEGACY: Order = ()


# The same few thousand numbers are those of most versions.
@lru_cache(maxsize=16_384)
def order(canonical: str) -> Order:
    """Return what sorts as the version does; a legacy one, which has no canonical form, is below all."""
    if not (found := _CANONICAL.fullmatch(canonical)):
        return LEGACY
    epoch, release, phase, number, post, dev, local = found.groups()
    parts = [int(part) for part in release.split(".")]
    while len(parts) > 1 and parts[-1] == 0:
        parts.pop()
    return (
        int(epoch or 0),
        parts,
        _phase(phase, number, is_only_dev=dev is not None and post is None),
        (0, int(post)) if post is not None else _BEFORE,
        (0, int(dev)) if dev is not None else _AFTER,
        _local(local),
    )


def _phase(phase: str | None, number: str | None, *, is_only_dev: bool) -> tuple[int, int]:
    """Return the place of a pre-release: `1.0.dev1` is before `1.0a1`, that before `1.0`."""
    if phase is not None and number is not None:
        return _PHASES[phase], int(number)
    return _DEV_PHASE if is_only_dev else _NO_PHASE


def _local(local: str | None) -> list[tuple[int, int, str]]:
    """Return the place of what stands behind a plus: nothing is the least, and numbers are above words."""
    if local is None:
        return []
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in local.split(".")]
