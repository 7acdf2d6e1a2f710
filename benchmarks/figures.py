"""How a measurement counts processor time, and prints what it found."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A cost per unit or a ratio, and what it should be."""

    what: str
    value: float
    unit: str
    goal: str = ""
    is_met: bool | None = None  # where the measurement itself can tell


def show(*figures: Figure) -> None:
    """Print figures, one per line."""
    for figure in figures:
        goal = f"  goal: {figure.goal}" if figure.goal else ""
        if figure.is_met is not None:
            goal += ", met" if figure.is_met else ", MISSED"
        print(f"  {figure.what:<52} {figure.value:>10.2f} {figure.unit:<12}{goal}".rstrip(), flush=True)


def processor_s() -> float:
    """Return the processor time of this program and those that it ran."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
