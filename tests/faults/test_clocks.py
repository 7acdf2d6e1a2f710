"""Clocks that are wrong, or jump."""

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
import requests

from tests import sdists, services
from tests.chaos import World
from tests.fake_pypi import FakePyPI
from tests.farm import Farm

pytestmark = [pytest.mark.whole, pytest.mark.faults]

HOUR = 3600


@pytest.fixture(scope="module", autouse=True)
def _faketime():
    try:
        services.install(["faketime"])
    except services.CannotInstall as problem:
        pytest.skip(str(problem))


def faked(clock: Path) -> dict[str, str]:
    """Return the environment of processes that live at the time that a file says."""
    return {
        "LD_PRELOAD": "/usr/$LIB/faketime/libfaketime.so.1",
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


class Misdated(Farm):
    """A farm whose builder lives at another time."""

    @property
    def clock(self) -> Path:
        """The file that says how far from ours it is."""
        return self.var / "builders-clock"

    def environment(self, name: str) -> dict[str, str]:
        own = super().environment(name)
        return own | faked(self.clock) if name == "builder" else own


@pytest.mark.parametrize("shift", ["+2h", "-30d", "1970-01-02 00:00:00"])
def test_T09_a_builder_whose_clock_becomes_wrong_ends_its_build_and_gets_none_until_it_is_right(
    tmp_path, database, shift
):
    with FakePyPI() as upstream:
        upstream.add_sdist("early", "1.0", sdists.slow_sdist("early", "1.0", 6))
        farm = Misdated(tmp_path, upstream.simple_url, "early", "late", database=database)
        farm.clock.write_text("+0\n")
        with farm:
            farm.wait_until(lambda: farm.states("early") == ["building"], seconds=240)
            farm.clock.write_text(f"{shift}\n")
            farm.wait_until(lambda: farm.states("early") == ["succeeded"], seconds=240)
            upstream.add_sdist("late", "1.0", sdists.slow_sdist("late", "1.0", 0.5))
            farm.wait_until(lambda: "Its clock is" in (farm.var / "builder.log").read_text())
            farm.wait_until(lambda: farm.states("late") == ["queued"])
            # Long enough for a lease by the wrong clock to be over.
            time.sleep(12)
            assert farm.states("late") == ["queued"]

            farm.clock.write_text("+0\n")

            farm.wait_until(lambda: farm.states("late") == ["succeeded"], seconds=240)
            assert [build["state"] for build in farm.builds()] == ["succeeded"] * 2


def jumps(world: World) -> Iterator[float]:
    """Have the clock of web, worker and beat jump, and give by how many seconds."""
    clock = world.farm.var / "clock"
    for hours in (0, 1, -1, 0, 24, -24, 0):
        clock.write_text(f"{hours * HOUR:+d}\n")
        yield hours * HOUR


def ahead_s(world: World) -> float:
    """Return by how many seconds the web server's clock is ahead of ours."""
    answer = requests.options(f"{world.farm.address}/simple/", timeout=10)
    return parsedate_to_datetime(answer.headers["date"]).timestamp() - time.time()


def test_T10_clocks_of_the_server_that_jump_lose_no_build(world):
    (world.farm.var / "clock").write_text("+0\n")
    world.farm.env |= faked(world.farm.var / "clock")
    for name in ("web", "worker", "beat"):
        world.farm.kill(name)
        world.farm.bring_back(name)
    with world.reader("simple", 1) as reader:
        for seconds in jumps(world):
            world.farm.wait_until(lambda wanted=seconds: abs(ahead_s(world) - wanted) < 60)
            for name in world.names:
                world.release(name)
            world.farm.wait_until(lambda: world.is_calm() and not world.operators.ask("unbuilt"), seconds=180)
    for name in faked(world.farm.var):
        del world.farm.env[name]

    published = world.published()
    assert len(published) == len(set(published))
    assert world.operators.ask("unbuilt") == []
    assert [each for each in reader.wrong if "Last-Modified" not in each] == []
