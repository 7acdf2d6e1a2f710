"""Draws memory and the wait for orders over the time of a soak, as a picture for the README."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, log10
from pathlib import Path

from benchmarks import svg
from benchmarks.soak.farm import Sample
from benchmarks.soak.trend import Minute

# The picture, and in it the frames of both, in pixels; names are to the right of them.
WIDTH, HEIGHT = 720, 520
LEFT, RIGHT = 60, 590
MEMORY, WAIT = (30, 230), (290, 480)

COLOURS = ("#2a6f97", "#c1121f", "#588157", "#bc6c25", "#6d597a", "#577590", "#9c6644")
GOAL_S = 1.0
# What a label takes in height.
LABEL = 14
# The scale of the waits, which is logarithmic, in seconds; as much of it as is needed.
LEVELS_S = (0.01, 0.1, 1.0, 10.0, 100.0)

Curve = tuple[str, list[tuple[float, float]]]


@dataclass(frozen=True)
class _Frame:
    """Where minutes and values lie in the picture."""

    top: float
    bottom: float
    minutes: float
    share: Callable[[float], float]  # of the height that a value has

    def at(self, minute: float, value: float) -> tuple[float, float]:
        """Return where a value of a minute is."""
        x = LEFT + (RIGHT - LEFT) * minute / self.minutes
        part = min(max(self.share(value), 0.0), 1.0)
        return round(x, 1), round(self.bottom - (self.bottom - self.top) * part, 1)


def draw(samples: Sequence[Sample], waits: Sequence[Minute], path: Path) -> None:
    """Write the curves."""
    path.write_text(drawn(samples, waits), encoding="utf-8")


def drawn(samples: Sequence[Sample], waits: Sequence[Minute]) -> str:
    """Return the curves as SVG."""
    minutes = ceil(samples[-1].at_s / 60) or 1
    most = ceil(1.1 * max(value for sample in samples for value in sample.pss.values()) / 50) * 50
    memory = _Frame(*MEMORY, minutes, lambda mib: mib / most)
    levels = _levels_for(max((minute.worst for minute in waits), default=0.0))
    wait = _Frame(*WAIT, minutes, lambda s: log10(max(s, levels[0]) / levels[0]) / (len(levels) - 1))
    goal = wait.at(0, GOAL_S)[1]
    parts = [
        svg.text(LEFT, MEMORY[0] - 12, "memory of the servers, MiB (PSS)", "start"),
        *_levels(memory, [(most * step / 5, f"{most * step / 5:.0f}") for step in range(6)]),
        *_curves(memory, _memory(samples), " MiB"),
        svg.text(LEFT, WAIT[0] - 12, "from the end of a build to the next order, of each minute, s", "start"),
        *_levels(wait, [(level, f"{level:g}") for level in levels]),
        svg.line(LEFT, goal, RIGHT, goal, "#555", ' stroke-dasharray="6 4"'),
        svg.text(RIGHT, goal - 6, f"the goal: {GOAL_S:g} s", "end"),
        *_curves(wait, _waits(waits), " s"),
        *(part for frame in (memory, wait) for part in _ticks(frame)),
        svg.text((LEFT + RIGHT) / 2, HEIGHT - 6, "minutes", "middle"),
    ]
    return svg.picture(WIDTH, HEIGHT, parts)


def _memory(samples: Sequence[Sample]) -> list[Curve]:
    """Return a curve for each server."""
    return [
        (name, [(sample.at_s / 60, sample.pss[name]) for sample in samples if name in sample.pss])
        for name in samples[0].pss
    ]


def _waits(waits: Sequence[Minute]) -> list[Curve]:
    """Return the curves of the waits."""
    return [
        ("worst", [(minute.number + 0.5, minute.worst) for minute in waits]),
        ("99 of 100", [(minute.number + 0.5, minute.p99) for minute in waits]),
        ("median", [(minute.number + 0.5, minute.median) for minute in waits]),
    ]


def _levels_for(worst_s: float) -> Sequence[float]:
    """Return the levels of the scale up to the first that is above all waits; the goal is among them."""
    above = sum(level <= max(worst_s, GOAL_S) for level in LEVELS_S)
    return LEVELS_S[: above + 1]


def _levels(frame: _Frame, levels: Sequence[tuple[float, str]]) -> list[str]:
    """Return the lines of some values."""
    parts = []
    for value, name in levels:
        _, y = frame.at(0, value)
        parts += [svg.line(LEFT, y, RIGHT, y, "#ddd"), svg.text(LEFT - 8, y + 4, name, "end")]
    return parts


def _ticks(frame: _Frame) -> list[str]:
    """Return some minutes below a frame."""
    parts = []
    for step in range(7):
        x, _ = frame.at(frame.minutes * step / 6, 0)
        parts.append(svg.text(x, frame.bottom + 18, f"{frame.minutes * step / 6:.3g}", "middle"))
    return parts


def _curves(frame: _Frame, curves: Sequence[Curve], unit: str) -> list[str]:
    """Return curves with their names and last values beside them, none of these above another."""
    parts = []
    lowest = frame.bottom + 4 + LABEL
    ends = sorted(
        (frame.at(*curve[-1])[1], curve[-1][1], name, COLOURS[number % len(COLOURS)], curve)
        for number, (name, curve) in enumerate(curves)
        if curve
    )
    for y, value, name, colour, curve in reversed(ends):
        lowest = min(y + 4, lowest - LABEL)
        shown = f"{value:.0f}" if value >= 10 else f"{value:.2g}"
        parts.append(svg.polyline([frame.at(*each) for each in curve], colour, 1.5))
        parts.append(svg.text(RIGHT + 6, lowest, f"{name} {shown}{unit}", "start", colour))
    return parts
