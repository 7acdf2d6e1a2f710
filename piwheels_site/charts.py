"""Charts as SVG, in the colours of the page that they stand on: from numbers to places in a picture.

A chart is for the eye; each has its numbers in a table beneath, which `_bars.html` draws too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from piwheels_site.templatetags.said import counted

# In the picture's own units; the page scales it.
WIDTH, HEIGHT = 640.0, 120.0
GAP = 0.2


@dataclass(frozen=True)
class Bar:
    """One number of a series, and where its bar is."""

    name: str
    value: float
    said: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Bars:
    """A series of numbers over time as bars."""

    title: str
    bars: list[Bar]
    most: str  # the largest number, as it is said

    @property
    def first(self) -> str:
        """The name of the first number."""
        return self.bars[0].name if self.bars else ""

    @property
    def last(self) -> str:
        """The name of the last number."""
        return self.bars[-1].name if self.bars else ""


def bars(title: str, series: Sequence[tuple[str, float]]) -> Bars:
    """Return a chart of named numbers, from the left to the right; none may be below zero."""
    most = max((value for _, value in series), default=0)
    width = WIDTH / max(len(series), 1)
    placed = []
    for number, (name, value) in enumerate(series):
        height = HEIGHT * value / most if most else 0.0
        placed.append(
            Bar(
                name=name,
                value=value,
                said=_said(value),
                x=round(number * width, 2),
                y=round(HEIGHT - height, 2),
                width=round(width * (1 - GAP), 2),
                height=round(height, 2),
            )
        )
    return Bars(title, placed, _said(most))


def _said(value: float) -> str:
    return counted(int(value)) if value == int(value) else f"{value:.1f}"
