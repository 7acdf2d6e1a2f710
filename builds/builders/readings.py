"""What a builder says of its machine, as far as it can be true, for people to look at.

A hello is checked for its types alone (`builder.contract`): a sensor that is broken keeps nobody from
building, and a builder that lies gains nothing by it.  So what cannot be is left out here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from builds.log_text import clean

# The limits of the original's monitor, beyond which somebody should look.
HOT_C = 78.0
LOADED = 4.0
FULL = 0.9
SWAPPED = 0.5
# What no Pi can have: more than this was made up, or its sensor is broken.
_MOST_LOAD = 10_000.0
_COLDEST_C, _HOTTEST_C = -60.0, 150.0
# A hundred years.
_LONGEST_S = 3.2e9
# How much is shown of a text.
_LONGEST = 60


@dataclass(frozen=True)
class Reading:
    """One figure of a machine: its name, what is said of it, and how far a gauge of it goes."""

    name: str
    said: str
    share: int  # of the gauge, in percent
    alarm: str  # a word; "" when nothing is wrong
    value: float  # the figure itself; of memory, swap and disk the part that is in use, 0 to 1


@dataclass(frozen=True)
class Machine:
    """What a builder runs on, and how it is."""

    model: str
    software: str  # the version of the builder's own program
    readings: tuple[Reading, ...]
    os_release: str
    python: str
    sandbox: str
    up_s: float | None  # for how long its program runs
    clock_ahead_s: float | None  # by how much its clock is off


def machine(facts: Mapping[str, object]) -> Machine:
    """Return what can be true of what a builder said; of one that said nothing, nothing."""
    versions = facts.get("versions")
    software = versions.get("piwheels") if isinstance(versions, dict) else ""
    return Machine(
        model=_text(facts.get("model")),
        software=_text(software),
        readings=tuple(_readings(facts)),
        os_release=_text(facts.get("os_release")),
        python=_text(facts.get("python")),
        sandbox=_text(facts.get("sandbox")),
        # A builder of before it said so says 0.
        up_s=_number(facts.get("up_s"), 0.001, _LONGEST_S),
        clock_ahead_s=_number(facts.get("clock_ahead_s"), -_LONGEST_S, _LONGEST_S),
    )


def _readings(facts: Mapping[str, object]) -> Iterator[Reading]:
    """Yield the figures that there are; of memory, swap and disk, what is in use."""
    load = _number(facts.get("load"), 0.0, _MOST_LOAD)
    if load is not None:
        yield Reading("Load", f"{load:.1f}", _percent(load / LOADED), "high" if load > LOADED else "", load)
    heat_c = _number(facts.get("temperature_c"), _COLDEST_C, _HOTTEST_C)
    if heat_c is not None:
        # As the original's monitor draws it: what is below 40 °C is cool, whatever it is.
        share = _percent((heat_c - 40) / 40)
        yield Reading("Temperature", f"{heat_c:.0f} °C", share, "hot" if heat_c > HOT_C else "", heat_c)
    for name, key, most in (("Memory", "memory", FULL), ("Swap", "swap", SWAPPED), ("Disk", "disk", FULL)):
        used = _used(facts.get(f"{key}_bytes"), facts.get(f"{key}_free_bytes"))
        if used is not None:
            alarm = "much" if used > most else ""
            yield Reading(name, f"{_percent(used)} %", _percent(used), alarm, used)


def _used(total: object, free: object) -> float | None:
    """Return which part of something is in use; None where there is none, or more is free."""
    whole = _number(total, 1.0, float(1 << 62))
    rest = None if whole is None else _number(free, 0.0, whole)
    return None if whole is None or rest is None else 1 - rest / whole


def _number(value: object, least: float, most: float) -> float | None:
    """Return a number that can be true."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        return None
    return float(value)


def _percent(part: float) -> int:
    return round(100 * min(max(part, 0.0), 1.0))


def _text(value: object) -> str:
    return clean(value)[:_LONGEST].strip() if isinstance(value, str) else ""
