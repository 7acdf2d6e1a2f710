"""A calm farm for faults that are done to it one at a time."""

import pytest

from tests.chaos import Size, world_of

CALM = Size(
    packages=3, builds=0, pause_s=0.0, round=[], rounds=0, between_s=(0, 0), builders=2, web_processes=1
)


@pytest.fixture
def world(request):
    """Return a farm of three packages that has published something of each; a test may say of what size."""
    with world_of(getattr(request, "param", CALM), seed=1) as world:
        world.begin()
        yield world


# How long a farm waits in production, where those of tests have less patience.
USUAL = {"PIWHEELS_CLAIM_S": "300", "PIWHEELS_LEASE_S": "900", "PIWHEELS_RETRY_S": "60"}


def be_patient(world):
    """Have a farm wait as long as in production, so that no lease that runs out helps it."""
    world.farm.env |= USUAL
    for name in ("web", "worker"):
        world.farm.kill(name)
        world.farm.bring_back(name)
