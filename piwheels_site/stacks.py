"""Charts of several numbers over time, one upon the other, as SVG: from numbers to places in a picture.

Each layer has a colour and a pattern, so that nobody needs to see colours; the page has them once, in
`_patterns.html`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from piwheels_site.charts import GAP, HEIGHT, WIDTH
from piwheels_site.templatetags.said import counted

# More layers than patterns could not be told apart; what is beyond is one layer.
PATTERNS = 6
REST = "all others"


@dataclass(frozen=True)
class Layer:
    """One name's numbers over time, and where they are."""

    name: str
    total: int
    share: float  # of all layers, in percent
    fill: str
    path: str


@dataclass(frozen=True)
class Stack:
    """Several numbers over time, one upon the other, with all of them as a table."""

    title: str
    layers: list[Layer]
    rows: list[tuple[str, list[str]]]
    most: str  # how large the largest pile is, as it is said; "" where each is a whole

    @property
    def first(self) -> str:
        """The first period."""
        return self.rows[0][0]

    @property
    def last(self) -> str:
        """The last period."""
        return self.rows[-1][0]


def shares(
    title: str, periods: Sequence[str], found: Sequence[tuple[str, str, int]], rest: str = REST
) -> Stack:
    """Return the shares of each name in each period; the least of the names are one."""
    totals: Counter[str] = Counter()
    for _, name, count in found:
        totals[name] += count
    named = [name for name, _ in totals.most_common() if name != rest]
    kept = named[:PATTERNS] if len(named) <= PATTERNS and rest not in totals else named[: PATTERNS - 1]
    piles: dict[str, Counter[str]] = {period: Counter() for period in periods}
    for period, name, count in found:
        piles[period][name if name in kept else rest] += count
    names = kept if len(kept) == len(totals) else [*kept, rest]
    fills = {name: f"p{number}" for number, name in enumerate(names, 1)}
    return _stack(title, piles, fills, as_parts=True)


def piles(title: str, rows: Sequence[tuple[str, dict[str, int]]], fills: dict[str, str]) -> Stack:
    """Return numbers upon each other, in the order of their fills from the ground up."""
    return _stack(title, {period: Counter(values) for period, values in rows}, fills, as_parts=False)


def _stack(title: str, piles: dict[str, Counter[str]], fills: dict[str, str], *, as_parts: bool) -> Stack:
    most = max((pile.total() for pile in piles.values()), default=0)
    width = WIDTH / max(len(piles), 1)
    wide = width * (1 - GAP)
    paths: dict[str, list[str]] = {name: [] for name in fills}
    for number, pile in enumerate(piles.values()):
        whole, top = pile.total() if as_parts else most, HEIGHT
        for name in fills:
            if not pile[name]:
                continue
            height = HEIGHT * pile[name] / whole
            top -= height
            paths[name].append(f"M{number * width:.1f} {top:.1f}h{wide:.1f}v{height:.1f}h-{wide:.1f}z")
    totals = {name: sum(pile[name] for pile in piles.values()) for name in fills}
    whole = sum(totals.values())
    layers = [
        Layer(name, totals[name], 100 * totals[name] / whole if whole else 0.0, fill, "".join(paths[name]))
        for name, fill in fills.items()
    ]
    rows = [
        (period, [_said(pile[name], pile.total(), as_parts) for name in fills])
        for period, pile in piles.items()
    ]
    return Stack(title, layers if whole else [], rows, "" if as_parts else counted(most))


def _said(count: int, whole: int, as_parts: bool) -> str:
    if not as_parts:
        return counted(count)
    return f"{100 * count / whole:.1f} %" if count else "–"
