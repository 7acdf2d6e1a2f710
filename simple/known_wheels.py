"""Tells which wheels of ours the names are that somebody was given files by."""

from collections.abc import Iterable

from builds.models import Wheel
from packages.batches import batches
from simple.log_lines import Served
from simple.tally import Taken

# Of a million wheels, those that are asked for again and again.
_MOST = 100_000


class KnownWheels:
    """Wheels by their names, as one process has come to know them; a name stays its wheel's for ever."""

    def __init__(self) -> None:
        # By the name of the file: its own key, its package's, and that package's name.
        self._wheels: dict[str, tuple[int, int, str]] = {}

    def taken(self, served: Iterable[Served]) -> list[Taken]:
        """Return the downloads of wheels that we have; asks once for all that are not known yet."""
        served = list(served)
        self._look_up({each.filename for each in served})
        taken = []
        for day, hour, project, filename, address, agent in served:
            wheel = self._wheels.get(filename)
            if wheel and wheel[2] == project:
                taken.append(Taken(day, hour, wheel[0], wheel[1], address, agent))
        return taken

    def _look_up(self, filenames: Iterable[str]) -> None:
        """Know the wheels of these names, as far as there are some."""
        if len(self._wheels) > _MOST:
            self._wheels.clear()
        for some in batches(name for name in filenames if name not in self._wheels):
            wheels = Wheel.objects.filter(filename__in=some).values_list(
                "filename", "pk", "package", "package__name"
            )
            self._wheels.update({filename: (pk, package, name) for filename, pk, package, name in wheels})
