"""Clocks that are wrong, or jump."""

import subprocess
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
import requests

from tests import sdists
from tests.chaos import World
from tests.fake_pypi import FakePyPI
from tests.farm import Farm

pytestmark = [pytest.mark.whole, pytest.mark.faults]

HOUR = 3600


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Return the library that shifts the clock of the process into which it is preloaded."""
    found = tmp_path_factory.mktemp("clock") / "shifted_clock.so"
    source = Path(__file__).with_name("shifted_clock.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-o", found, source], check=True)
    return found


def shifted(library: Path, clock: Path) -> dict[str, str]:
    """Return the environment of processes whose clock is ahead by as many seconds as a file says."""
    return {"LD_PRELOAD": str(library), "CLOCK_FILE": str(clock)}


class Misdated(Farm):
    """A farm whose builder lives at another time."""

    builders: dict[str, str]  # of its environment

    def environment(self, name: str) -> dict[str, str]:
        own = super().environment(name)
        return own | self.builders if name == "builder" else own


@pytest.mark.parametrize(
    "ahead_s",
    [
        pytest.param(2 * HOUR, id="+2h"),
        pytest.param(-30 * 24 * HOUR, id="-30d"),
        pytest.param(24 * HOUR - int(time.time()), id="1970"),
    ],
)
def test_T09_a_builder_whose_clock_becomes_wrong_ends_its_build_and_gets_none_until_it_is_right(
    tmp_path, database, library, ahead_s
):
    with FakePyPI() as upstream:
        upstream.add_sdist("early", "1.0", sdists.slow_sdist("early", "1.0", 6))
        farm = Misdated(tmp_path, upstream.simple_url, "early", "late", database=database)
        clock = tmp_path / "builders-clock"
        clock.write_text("0")
        farm.builders = shifted(library, clock)
        with farm:
            farm.wait_until(lambda: farm.states("early") == ["building"], seconds=240)
            clock.write_text(f"{ahead_s}")
            farm.wait_until(lambda: farm.states("early") == ["succeeded"], seconds=240)
            upstream.add_sdist("late", "1.0", sdists.slow_sdist("late", "1.0", 0.5))
            farm.wait_until(lambda: "Its clock is" in (farm.var / "builder.log").read_text())
            farm.wait_until(lambda: farm.states("late") == ["queued"])
            # Long enough for a lease by the wrong clock to be over.
            time.sleep(12)
            assert farm.states("late") == ["queued"]

            clock.write_text("0")

            farm.wait_until(lambda: farm.states("late") == ["succeeded"], seconds=240)
            assert [build["state"] for build in farm.builds()] == ["succeeded"] * 2


def jumps(clock: Path) -> Iterator[float]:
    """Have the clock of whoever lives by that file jump, and give by how many seconds."""
    for hours in (0, 1, -1, 0, 24, -24, 0):
        clock.write_text(f"{hours * HOUR}")
        yield hours * HOUR


def seconds_ahead(world: World) -> float:
    """Return by how many seconds the web server's clock is ahead of ours."""
    answer = requests.options(f"{world.farm.address}/simple/", timeout=10)
    return parsedate_to_datetime(answer.headers["date"]).timestamp() - time.time()


def test_T10_clocks_of_the_server_that_jump_lose_no_build(world, library):
    clock = world.farm.var / "clock"
    clock.write_text("0")
    world.farm.env |= shifted(library, clock)
    for name in ("web", "worker", "beat"):
        world.farm.kill(name)
        world.farm.bring_back(name)
    with world.reader("simple", 1) as reader:
        for seconds in jumps(clock):
            world.farm.wait_until(lambda wanted=seconds: abs(seconds_ahead(world) - wanted) < 60)
            for name in world.names:
                world.release(name)
            world.farm.wait_until(lambda: world.is_calm() and not world.operators.ask("unbuilt"), seconds=180)
    for name in shifted(library, clock):
        del world.farm.env[name]

    published = world.published()
    assert len(published) == len(set(published))
    assert world.operators.ask("unbuilt") == []
    reader.check(downloads=len(world.names))
