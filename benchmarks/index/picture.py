"""Draws how many answers a second each server gave, as a picture for the README."""

from collections.abc import Mapping
from math import log10
from pathlib import Path

from benchmarks import svg

# In pixels: the picture's width, where bars begin, how high one is, and what lies between two questions.
WIDTH, LEFT, RIGHT = 720, 200, 640
BAR, BETWEEN, TOP = 13, 10, 44
# In answers a second: where the scale begins and ends.
FEWEST, MOST = 1, 100_000
COLOURS = {
    "nginx, static": "#999999",
    "ours, nginx in front": "#c1121f",
    "ours, gunicorn alone": "#f4a261",
    "devpi": "#2a6f97",
    "pypiserver": "#89c2d9",
}


def draw(rates: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """Write the bars of these rates: by what was asked for, and by server."""
    path.write_text(drawn(rates), encoding="utf-8")


def drawn(rates: Mapping[str, Mapping[str, float]]) -> str:
    """Return the bars of these rates as SVG, on a logarithmic scale."""
    y, parts = TOP, []
    for what, by_server in rates.items():
        bars = [(server, by_server[server]) for server in COLOURS if by_server.get(server)]
        parts.append(svg.text(LEFT - 8, y + BAR * len(bars) / 2 + 4, what, "end"))
        for server, rate in bars:
            parts += [
                svg.bar(LEFT, y, _x(rate) - LEFT, BAR - 1, COLOURS[server]),
                svg.text(_x(rate) + 4, y + BAR - 1, f"{rate:,.0f}", "start"),
            ]
            y += BAR
        y += BETWEEN
    return svg.picture(WIDTH, y + 24, [*_scale(y), *_legend(), *parts])


def _x(rate: float) -> float:
    """Return where a rate is; one that is lower than the scale has the shortest bar."""
    share = log10(max(rate, FEWEST) / FEWEST) / log10(MOST / FEWEST)
    return round(LEFT + 1 + (RIGHT - LEFT) * share, 1)


def _scale(bottom: float) -> list[str]:
    """Return a line for each power of ten."""
    parts = []
    for power in range(round(log10(FEWEST)), round(log10(MOST)) + 1):
        x = _x(10**power)
        parts += [
            svg.line(x, TOP - 6, x, bottom, "#ddd"),
            svg.text(x, bottom + 14, f"{10**power:,}", "middle"),
        ]
    return [*parts, svg.text(LEFT - 8, bottom + 14, "answers a second", "end")]


def _legend() -> list[str]:
    """Return which colour is whose."""
    parts, x = [], 16.0
    for server, colour in COLOURS.items():
        parts += [svg.bar(x, 12, 12, 12, colour), svg.text(x + 17, 22, server, "start")]
        x += 30 + 6.6 * len(server)
    return parts
