"""Draws how a cost grows with the number of versions, as a picture for the README."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log10
from pathlib import Path

from benchmarks import svg

# The picture, and in it the frame of the curves, in pixels.
WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 60, 620, 30, 310
# Between the frame and the first and the last point, for their values.
INSIDE = 40

GOAL_MS = 50.0


@dataclass(frozen=True)
class Point:
    """What was measured with so many versions."""

    versions: int
    choosing_ms: float
    giving_ms: float  # choosing among it


def draw(points: Sequence[Point], path: Path) -> None:
    """Write the curves of these points, the smallest first."""
    path.write_text(drawn(points), encoding="utf-8")


def drawn(points: Sequence[Point]) -> str:
    """Return the curves of these points as SVG; the scale of the versions is logarithmic."""
    highest = max(GOAL_MS, *(max(point.choosing_ms, point.giving_ms) for point in points))
    most = ceil(1.1 * highest / 25) * 25
    frame = _Frame(points[0].versions, points[-1].versions, most)
    parts = [
        *(part for point in points for part in _tick(frame, point.versions)),
        *(part for step in range(6) for part in _level(frame, most * step / 5)),
        *_goal(frame),
        *_curve(frame, "#2a6f97", "choosing", [(each.versions, each.choosing_ms) for each in points]),
        *_curve(
            frame, "#c1121f", "choosing and giving out", [(each.versions, each.giving_ms) for each in points]
        ),
        svg.text((LEFT + RIGHT) / 2, HEIGHT - 8, "versions, each of which waits for three targets", "middle"),
        svg.text(LEFT, TOP - 12, "ms for 100 builds", "start"),
    ]
    return svg.picture(WIDTH, HEIGHT, parts)


@dataclass(frozen=True)
class _Frame:
    """Where numbers lie in the picture."""

    fewest: int
    most: int
    most_ms: float

    def x(self, versions: int) -> float:
        """Return where a number of versions is."""
        share = log10(versions / self.fewest) / (log10(self.most / self.fewest) or 1)
        return round(LEFT + INSIDE + (RIGHT - LEFT - 2 * INSIDE) * share, 1)

    def y(self, ms: float) -> float:
        """Return where a number of milliseconds is."""
        return round(BOTTOM - (BOTTOM - TOP) * ms / self.most_ms, 1)


def _tick(frame: _Frame, versions: int) -> list[str]:
    x = frame.x(versions)
    return [svg.line(x, TOP, x, BOTTOM, "#ddd"), svg.text(x, BOTTOM + 18, f"{versions:,}", "middle")]


def _level(frame: _Frame, ms: float) -> list[str]:
    y = frame.y(ms)
    return [svg.line(LEFT, y, RIGHT, y, "#ddd"), svg.text(LEFT - 8, y + 4, f"{ms:.0f}", "end")]


def _goal(frame: _Frame) -> list[str]:
    y = frame.y(GOAL_MS)
    line = svg.line(LEFT, y, RIGHT, y, "#555", ' stroke-dasharray="6 4"')
    return [line, svg.text(RIGHT, y - 6, f"the goal: {GOAL_MS:.0f} ms", "end")]


def _curve(frame: _Frame, colour: str, name: str, values: Sequence[tuple[int, float]]) -> list[str]:
    """Return one curve with its points, their values, and its name above its middle."""
    at = [(frame.x(versions), frame.y(ms)) for versions, ms in values]
    marks = [f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>' for x, y in at]
    labels = [
        svg.text(x, y + 18, f"{ms:.1f}", "middle", colour) for (x, y), (_, ms) in zip(at, values, strict=True)
    ]
    (x, y), (to_x, to_y) = at[0], at[min(1, len(at) - 1)]
    return [
        svg.polyline(at, colour),
        *marks,
        *labels,
        svg.text((x + to_x) / 2, (y + to_y) / 2 - 8, name, "middle", colour),
    ]
