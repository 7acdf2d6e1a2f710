"""What two logs say differently.  Needs no Django.

Two lines are the same if their signs are (`log_pages.signs`).  Lines that each log has once are found first,
in an order that both have (as in patience diff); between two of those the shortest way from the one to the
other is looked for, for as long as it is short.  So the time that takes grows with the logs' length and not
with its square, whatever they say.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from builds.log_pages.lines import Line

# How many lines of each log are compared, its last ones.
MOST = 5_000
# How many equal lines are shown around others.
CONTEXT = 3
# How many runs of lines one difference has; what goes on beyond them is the next.
MOST_RUNS = 20
# How many differences the shortest way between two places may have before it is looked for no more, and how
# many steps all of them together may take.
_WAY, _STEPS = 100, 120_000


@dataclass(frozen=True)
class Run:
    """Lines that follow each other and are in both logs, in the first alone, or in the second alone.

    Those in both are given as the second has them; `at` is the number of their first line in each log.
    """

    kind: str  # "both", "first" or "second"
    lines: list[Line]
    at: tuple[int, int]


@dataclass(frozen=True)
class Difference:
    """Where two logs differ: lines of the one, the other, and both around them."""

    runs: list[Run]


def compare(
    first: Sequence[Line], second: Sequence[Line], signs: tuple[list[str], list[str]]
) -> list[Difference]:
    """Return where two logs differ, by the signs of their lines."""
    return list(_grouped(first, second, _matches(*signs)))


def _matches(a: list[str], b: list[str]) -> list[tuple[int, int]]:
    """Return which lines are the same in both, in their order."""
    steps = [_STEPS]
    found: list[tuple[int, int]] = []
    before = (0, 0)
    for anchor in [*_anchors(a, b), (len(a), len(b))]:
        found += _between(a, b, before, anchor, steps)
        if anchor[0] < len(a):
            found.append(anchor)
        before = (anchor[0] + 1, anchor[1] + 1)
    return found


def _anchors(a: list[str], b: list[str]) -> list[tuple[int, int]]:
    """Return the longest row of lines that each log has once, in the order of both."""
    counts_a, counts_b = Counter(a), Counter(b)
    places = {line: number for number, line in enumerate(b) if counts_b[line] == 1}
    pairs = [(i, places[line]) for i, line in enumerate(a) if counts_a[line] == 1 and line in places]
    # The longest increasing row, by the smallest end that a row of each length can have.
    ends: list[int] = []
    at_end: list[int] = []
    came_from: list[int] = []
    for number, (_, j) in enumerate(pairs):
        length = bisect_left(ends, j)
        came_from.append(at_end[length - 1] if length else -1)
        if length == len(ends):
            ends.append(j)
            at_end.append(number)
        else:
            ends[length], at_end[length] = j, number
    row: list[tuple[int, int]] = []
    number = at_end[-1] if at_end else -1
    while number >= 0:
        row.append(pairs[number])
        number = came_from[number]
    return row[::-1]


def _between(
    a: list[str], b: list[str], start: tuple[int, int], stop: tuple[int, int], steps: list[int]
) -> list[tuple[int, int]]:
    """Return which lines between two places are the same in both."""
    (i, j), (i_stop, j_stop) = start, stop
    head: list[tuple[int, int]] = []
    while i < i_stop and j < j_stop and a[i] == b[j]:
        head.append((i, j))
        i, j = i + 1, j + 1
    tail: list[tuple[int, int]] = []
    while i < i_stop and j < j_stop and a[i_stop - 1] == b[j_stop - 1]:
        i_stop, j_stop = i_stop - 1, j_stop - 1
        tail.append((i_stop, j_stop))
    middle = _shortest(a[i:i_stop], b[j:j_stop], steps) if i < i_stop and j < j_stop else []
    return [*head, *((i + x, j + y) for x, y in middle), *reversed(tail)]


def _shortest(a: list[str], b: list[str], steps: list[int]) -> list[tuple[int, int]]:
    """Return what is the same on the shortest way from one text to the other (Myers' algorithm); or nothing.

    Nothing if the way is too long, or `steps`, of which it takes some, are used up.
    """
    furthest = {1: 0}
    history: list[dict[int, int]] = []
    for length in range(min(len(a) + len(b), _WAY) + 1):
        history.append(dict(furthest))
        for k in range(-length, length + 1, 2):
            steps[0] -= 1
            down = k == -length or (k != length and furthest[k - 1] < furthest[k + 1])
            x = furthest[k + 1] if down else furthest[k - 1] + 1
            while x < len(a) and x - k < len(b) and a[x] == b[x - k]:
                x += 1
                steps[0] -= 1
            furthest[k] = x
            if x >= len(a) and x - k >= len(b):
                return _walked_back(history, len(a), len(b))
        if steps[0] < 0:
            break
    return []


def _walked_back(history: list[dict[int, int]], x: int, y: int) -> list[tuple[int, int]]:
    """Return the diagonals of the way that was found, in their order."""
    same: list[tuple[int, int]] = []
    for length in range(len(history) - 1, -1, -1):
        furthest, k = history[length], x - y
        down = k == -length or (k != length and furthest[k - 1] < furthest[k + 1])
        before_k = k + 1 if down else k - 1
        before_x = furthest[before_k] if length else 0
        before_y = before_x - before_k if length else 0
        while x > before_x and y > before_y:
            x, y = x - 1, y - 1
            same.append((x, y))
        x, y = before_x, before_y
    return same[::-1]


def _grouped(
    first: Sequence[Line], second: Sequence[Line], matches: list[tuple[int, int]]
) -> Iterator[Difference]:
    """Yield what is between the lines that are the same; what is close to each other is one difference."""
    runs: list[Run] = []
    i = j = 0
    same = 0  # how many lines before (i, j) are the same, without a break
    for i_next, j_next in [*matches, (len(first), len(second))]:
        if (i, j) != (i_next, j_next):
            context = second[j - min(same, CONTEXT) : j]
            if runs and (same > 2 * CONTEXT or (same and len(runs) > MOST_RUNS)):
                # The lines after the difference before.
                after = second[j - same : j - same + min(same, CONTEXT)]
                yield Difference([*runs, _both(after, i - same, j - same)])
                runs = []
            elif runs and same:
                context = second[j - same : j]
            if context:
                runs.append(_both(context, i - len(context), j - len(context)))
            runs += [Run("first", list(first[i:i_next]), (i, j))] if i < i_next else []
            runs += [Run("second", list(second[j:j_next]), (i_next, j))] if j < j_next else []
            same = 0
        same += 1
        i, j = i_next + 1, j_next + 1
    if runs:
        same -= 1  # The end of both is no line.
        after = second[len(second) - same : len(second) - same + CONTEXT] if same else []
        yield Difference([*runs, _both(after, len(first) - same, len(second) - same)] if after else runs)


def _both(lines: Sequence[Line], i: int, j: int) -> Run:
    return Run("both", list(lines), (i, j))
