"""What many measurements say together: of each minute, and of how something goes on.  No Django."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import linear_regression, median


@dataclass(frozen=True)
class Minute:
    """How long builders waited for their next orders in a minute, in seconds."""

    number: int
    builds: int
    median: float
    p99: float
    worst: float


def share(sorted_values: Sequence[float], part: float) -> float:
    """Return the value that such a part of all does not exceed; zero of none."""
    if not sorted_values:
        return 0.0
    return sorted_values[min(int(len(sorted_values) * part), len(sorted_values) - 1)]


def minutes(waits: Iterable[tuple[float, float]], began: float, seconds: float) -> list[Minute]:
    """Return each minute of some time in which somebody waited."""
    found: dict[int, list[float]] = defaultdict(list)
    for at, wait_s in waits:
        if at < began + seconds:
            found[int((at - began) // 60)].append(wait_s)
    return [
        Minute(number, len(some), median(some), share(sorted(some), 0.99), max(some))
        for number, some in sorted(found.items())
    ]


def tenth(count: int, number: int) -> slice:
    """Return which of so many measurements are the tenth of that number, from 1; it has one at least."""
    begin = count * (number - 1) // 10
    return slice(begin, max(count * number // 10, begin + 1))


@dataclass(frozen=True)
class Trend:
    """How a figure went on after the first tenth, in which all that is kept is loaded."""

    settled: float  # the median of the second tenth
    last: float  # of the last
    per_hour: float  # by the line that fits best


def trend(at_s: Sequence[float], values: Sequence[float]) -> Trend:
    """Return how a figure went on."""
    count = len(values)
    settled = count // 10
    slope = 0.0
    if count - settled > 1:
        slope = linear_regression(at_s[settled:], values[settled:]).slope
    return Trend(median(values[tenth(count, 2)]), median(values[tenth(count, 10)]), 3600 * slope)
