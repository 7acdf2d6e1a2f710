"""Power cuts under the whole farm: what was acknowledged is there, and what is there is whole."""

import os
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tests import services
from tests.chaos import Killer, Size, Staffed, World
from tests.fake_pypi import FakePyPI
from tests.faults.recorded_disk import RecordedDisk
from tests.operators import Operators

pytestmark = [pytest.mark.whole, pytest.mark.faults]

if os.geteuid():
    pytest.skip("To mount a disk needs root.", allow_module_level=True)

# Nobody is killed but by the cuts.
FARM = Size(
    packages=6, builds=60, pause_s=0.1, round=[], rounds=0, between_s=(0, 0), builders=2, web_processes=1
)
CUTS = 200
# After one of so many all of the farm is started again.
HEALED = 50
DISK_BYTES = 2 << 30
SEED = 1


class Enduring(Staffed):
    """A farm whose PostgreSQL has on the disk what it says, as in production."""

    POSTGRESQL = services.SMALL


class Recorded:
    """A farm of which all is on a recorded disk, and what its builders were told meanwhile."""

    def __init__(self, world: World, disk: RecordedDisk) -> None:
        self.world, self.farm, self.disk = world, world.farm, disk
        # By which moment somebody knew that a file is published.
        self.known: dict[str, int] = {}
        self.moments = range(0)
        self._ended = threading.Event()

    def run(self) -> None:
        """Publish until enough is built."""
        self.world.begin()
        # A database that was only just made (initdb --no-sync) need not outlive anything.
        self.disk.sync()
        first = self.disk.moment()
        listener = threading.Thread(target=self._listen, daemon=True)
        listener.start()
        with Killer(self.world, SEED) as idle:
            self.world.go_on(idle)
        self.farm.wait_until(self.world.is_calm, 300)
        self._ended.set()
        listener.join(30)
        assert not listener.is_alive()
        self.moments = range(first, self.disk.moment())

    def _listen(self) -> None:
        """Note what builders say, and a moment by which they had been told."""
        while not self._ended.wait(0.05):
            names = self.world.published()
            now = self.disk.moment()
            self.known |= {name: now for name in names if name not in self.known}

    def draw(self, chance: random.Random, number: int) -> list[int]:
        """Return moments at which the power goes, each after a write, in their order."""
        ends = [entry.end for entry in self.disk.entries() if entry.end in self.moments]
        return sorted(chance.sample(ends, number))

    @contextmanager
    def cut(self, moment: int, chance: random.Random) -> Iterator[None]:
        """Have the disk as it is after a cut, and PostgreSQL run on it."""
        with self.disk.after_cut(moment, chance):
            self.farm.start("postgresql")
            try:
                self.farm.wait_until(self.farm.postgres.answers)
                yield
            finally:
                # Without a word to those who are connected.
                self.farm.end("postgresql", signal.SIGQUIT)

    def acknowledged(self, moment: int) -> list[str]:
        """Return the files that somebody knew to be published before a moment."""
        return [name for name, at in self.known.items() if at <= moment]

    def lost(self, moment: int) -> list[str]:
        """Return what is lost after a cut at that moment, and should not be."""
        found: list[str] = self.world.operators.ask("lost", acknowledged=self.acknowledged(moment))
        return found

    def wrong_when_healed(self) -> list[str]:
        """Start all of it again, and wait until nothing is left to do; return what is wrong then."""
        others = [name for name in self.farm.commands() if name != "postgresql"]
        try:
            for name in others:
                self.farm.start(name)
            self.farm.wait_until(self.world.is_calm, 180)
            return [*self.world.wrong(), *self.world.operators.ask("unbuilt")]
        finally:
            for name in reversed(others):
                self.farm.end(name)


@pytest.fixture
def recorded(request):
    """Return what was recorded of a farm; a test may say of what size."""
    size = getattr(request, "param", FARM)
    with (
        services.scratch() as folder,
        RecordedDisk(folder / "disk", DISK_BYTES) as disk,
        FakePyPI() as upstream,
    ):
        var, log = disk.here / "farm", folder / "operators.log"
        var.mkdir()
        farm = Enduring(var, upstream.simple_url, size)
        with farm, Operators(farm.env, log) as operators:
            recorded = Recorded(World(size, upstream, farm, operators, random.Random(SEED)), disk)
            recorded.run()
        disk.end()
        # Of the first ones PostgreSQL would wait for the end, to end itself.
        with Operators(farm.env, log) as recorded.world.operators:
            yield recorded


def test_T14_what_was_acknowledged_before_a_power_cut_is_there_and_whole(recorded, record_property):
    chance = random.Random(SEED)
    wrong, healed = [], 0
    for number, moment in enumerate(recorded.draw(chance, CUTS), 1):
        with recorded.cut(moment, chance):
            found = recorded.lost(moment)
            if number % HEALED == 0:
                found += recorded.wrong_when_healed()
                healed += 1
        wrong += [f"cut {number} at {moment}: {fault}" for fault in found]

    assert wrong == []
    assert len(recorded.known) >= FARM.builds
    # Some were known at the first cuts already, and some only at the last.
    assert len(set(recorded.known.values())) > 10
    record_property("power cuts", CUTS)
    record_property("acknowledged files", len(recorded.known))
    record_property("farms started again", healed)


@pytest.mark.parametrize("recorded", [replace(FARM, builds=20, bug="nothing_synced")], indirect=True)
def test_T14_a_farm_that_does_not_wait_for_the_disk_is_found_out(recorded):
    chance = random.Random(SEED)
    found = []
    for moment in recorded.draw(chance, 20):
        with recorded.cut(moment, chance):
            found += recorded.lost(moment)

    assert [fault for fault in found if "is not stored" in fault]
    assert [fault for fault in found if "is not whole" in fault or "is not there" in fault]
