"""How soon a farm is well after the death of one of its parts, with the patience of production."""

import time

import pytest

from tests.faults.conftest import be_patient

pytestmark = [pytest.mark.whole, pytest.mark.faults]

# From the kill, with a start at once as by systemd, until what was released around it is published.
HEALED_S = 90


@pytest.mark.parametrize("part", ["web", "worker", "beat", "redis", "postgresql", "nginx"])
def test_T01_after_the_death_of_one_part_all_is_published_in_time(world, part, record_property):
    be_patient(world)
    before = len(world.published())
    for name in world.names:
        world.release(name)
    # Some of it is on its way by now.
    world.farm.wait_until(lambda: world.operators.ask("state")["builds"] or len(world.published()) > before)
    killed = time.monotonic()

    world.farm.kill(part)
    world.farm.bring_back(part)
    for name in world.names:
        world.release(name)

    world.farm.wait_until(lambda: len(set(world.published())) == before + 2 * len(world.names), HEALED_S)
    world.farm.wait_until(world.is_calm, HEALED_S)
    took_s = time.monotonic() - killed
    assert took_s < HEALED_S, took_s
    assert len(world.published()) == len(set(world.published()))
    assert world.operators.ask("unbuilt") == []
    assert world.wrong() == []
    record_property(f"seconds for {part}", took_s)
