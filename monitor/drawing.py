"""Draws figures in characters: how full something is, and how it was."""

from collections.abc import Sequence

_BLOCKS = " ▁▂▃▄▅▆▇█"


def bar(part: float | None, width: int) -> str:
    """Draw which part of something there is."""
    if part is None:
        return "·" * width
    full = round(min(max(part, 0.0), 1.0) * width)
    return "█" * full + "░" * (width - full)


def line(values: Sequence[float], width: int, least: float, most: float) -> str:
    """Draw the last values between two limits, the last one at the right."""
    shown = values[-width:]
    parts = [min(max((value - least) / (most - least), 0.0), 1.0) for value in shown]
    # What is there at all is seen.
    drawn = "".join(_BLOCKS[max(1, round(part * (len(_BLOCKS) - 1)))] for part in parts)
    return drawn.rjust(width)
