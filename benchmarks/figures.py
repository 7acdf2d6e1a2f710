"""How a measurement prints what it found."""

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
