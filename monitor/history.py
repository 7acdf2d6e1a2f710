"""What was seen before: figures to draw, how much was downloaded, and who has just left."""

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass

from monitor.farm import FIGURES, Builder, Farm, Machine

# So many looks are drawn.
DRAWN = 100
# Who left stays in the list for so long, as in the original.
LEFT_S = 5.0
_HOUR_S = 3600.0
# A rate of less than this would jump about.
_LEAST_S = 60.0
# The server, among the names of builders.
SERVER = ""


@dataclass(frozen=True)
class Seen:
    """A builder of the list; one that has just left is still shown."""

    builder: Builder
    has_left: bool


class History:
    """Remembers the looks at one farm; times are those of a clock that only goes forward, in seconds."""

    def __init__(self) -> None:
        self._figures: dict[tuple[str, str], deque[float]] = defaultdict(lambda: deque(maxlen=DRAWN))
        self._downloads: deque[tuple[float, int]] = deque()
        self._last: dict[str, tuple[Builder, float]] = {}
        self._present: set[str] = set()

    def take(self, farm: Farm, now: float) -> None:
        """Remember one more look."""
        for builder in farm.builders:
            self._note(builder.name, builder.machine)
            self._last[builder.name] = (builder, now)
        self._present = {builder.name for builder in farm.builders}
        if farm.operators:
            self._note(SERVER, farm.operators.machine)
            self._count(farm.operators.downloads_today, now)

    def figures(self, name: str, figure: str) -> Sequence[float]:
        """Return what a figure of a machine was, the last value last."""
        return tuple(self._figures.get((name, figure), ()))

    def builders(self, now: float) -> list[Seen]:
        """Return who is there, and who was until some seconds ago, by target and name."""
        for name, (_, seen_at) in list(self._last.items()):
            if name not in self._present and now - seen_at >= LEFT_S:
                self._forget(name)
        rows = sorted((each for each, _ in self._last.values()), key=lambda each: (each.target, each.name))
        return [Seen(builder, builder.name not in self._present) for builder in rows]

    def downloads_an_hour(self) -> float | None:
        """Return how many downloads there are an hour, by what was seen; None as long as nobody can tell."""
        if not self._downloads:
            return None
        (began, first), (ended, last) = self._downloads[0], self._downloads[-1]
        return (last - first) / (ended - began) * _HOUR_S if ended - began >= _LEAST_S else None

    def downloads_in_last_hour(self) -> int | None:
        """Return how many there were in the last hour; None until somebody has watched for one."""
        if not self._downloads or self._downloads[-1][0] - self._downloads[0][0] < _HOUR_S:
            return None
        return self._downloads[-1][1] - self._downloads[0][1]

    def _note(self, name: str, machine: Machine) -> None:
        for figure in FIGURES:
            value = getattr(machine, figure)
            if value is not None:
                self._figures[name, figure].append(value)

    def _count(self, today: int, now: float) -> None:
        """Note how many downloads the day has by now; a new day begins anew."""
        if self._downloads and today < self._downloads[-1][1]:
            self._downloads.clear()
        self._downloads.append((now, today))
        # One that is an hour old is kept, so that there is a whole hour.
        while len(self._downloads) > 2 and now - self._downloads[1][0] >= _HOUR_S:
            self._downloads.popleft()

    def _forget(self, name: str) -> None:
        del self._last[name]
        for figure in FIGURES:
            self._figures.pop((name, figure), None)
