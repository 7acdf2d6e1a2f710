"""Clocks that are wrong, or jump."""

import time
from collections.abc import Iterator

import pytest

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


class Misdated(Farm):
    """A farm whose builder lives at another time."""

    shift = "+0"

    def commands(self):
        commands = super().commands()
        return commands | {"builder": ["faketime", "-f", self.shift, *commands["builder"]]}


@pytest.mark.parametrize("shift", ["+2h", "-30d"])
def test_T09_a_builder_with_a_wrong_clock_builds_once(tmp_path, database, shift):
    names = ["early", "late"]
    with FakePyPI() as upstream:
        for name in names:
            upstream.add_sdist(name, "1.0", sdists.slow_sdist(name, "1.0", 0.5))
        farm = Misdated(tmp_path, upstream.simple_url, *names, database=database)
        farm.shift = shift
        with farm:
            farm.wait_until(lambda: farm.states(*names) == ["succeeded"] * 2, seconds=240)
            # Long enough for a lease by the wrong clock to be over.
            time.sleep(12)

            assert [build["state"] for build in farm.builds()] == ["succeeded"] * 2


def jumps(world: World) -> Iterator[float]:
    """Have the clock of web, worker and beat jump, and give by how many seconds."""
    clock = world.farm.var / "clock"
    for hours in (0, 1, -1, 0, 24, -24, 0):
        clock.write_text(f"{hours * HOUR:+d}\n")
        yield hours * HOUR


def test_T10_clocks_of_the_server_that_jump_lose_no_build(world):
    (world.farm.var / "clock").write_text("+0\n")
    faked = {
        "LD_PRELOAD": "/usr/lib/$LIB/faketime/libfaketime.so.1",
        "FAKETIME_TIMESTAMP_FILE": str(world.farm.var / "clock"),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    world.farm.env |= faked
    for name in ("web", "worker", "beat"):
        world.farm.kill(name)
        world.farm.bring_back(name)
    with world.reader("simple", 1) as reader:
        for _ in jumps(world):
            for name in world.names:
                world.release(name)
            world.farm.wait_until(lambda: world.is_calm() and not world.operators.ask("unbuilt"), seconds=180)
    for name in faked:
        del world.farm.env[name]

    published = world.published()
    assert len(published) == len(set(published))
    assert world.operators.ask("unbuilt") == []
    assert [each for each in reader.wrong if "Last-Modified" not in each] == []
