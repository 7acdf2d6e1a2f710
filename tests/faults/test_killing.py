"""`kill -9` of each part of a farm, all the time: no build is lost or done twice, and no reader is wrong."""

import time

import pytest

from tests.chaos import FREEZE, KILL, MAIM, PAUSE, Killer, Size, world_of

pytestmark = pytest.mark.whole

SERVERS = ("web", "worker", "beat", "beat-2", "redis", "postgresql", "nginx")
# What these have started, they start again when it is killed.
PARENTS = ("web", "nginx", "postgresql")
ONCE = [*((name, KILL) for name in SERVERS), *((name, MAIM) for name in PARENTS), ("builder", FREEZE)]

SHORT = Size(
    packages=4,
    builds=100,
    pause_s=0.05,
    round=[*ONCE, ("builder", PAUSE)],
    rounds=1,
    between_s=(0.2, 1.0),
    web_processes=1,
    second_beat=True,
)
# Half of what befalls a farm costs it the start of a Python, as these do.
FULL = Size(
    packages=15,
    builds=500,
    pause_s=0.1,
    round=[
        *ONCE,
        *(("builder", KILL), ("builder", KILL), ("builder", FREEZE), ("builder", PAUSE)),
        *(("redis", KILL), ("nginx", KILL), ("nginx", MAIM), ("postgresql", KILL)),
        *(("postgresql", MAIM), ("postgresql", MAIM), ("postgresql", MAIM), ("web", MAIM)),
    ],
    rounds=32,
    between_s=(0.3, 1.0),
    builders=4,
    second_beat=True,
)


@pytest.mark.parametrize(
    ("size", "seed"),
    [
        pytest.param(SHORT, 1, id="short"),
        *(pytest.param(FULL, seed, id=f"full-{seed}", marks=pytest.mark.faults) for seed in (1, 2, 3)),
    ],
)
def test_T01_T03_T04_T17_whatever_is_killed_no_build_is_lost_or_done_twice(size, seed, record_property):
    began = time.monotonic()
    with world_of(size, seed) as world:
        world.begin()
        with world.reader("simple", 1) as first, world.reader("simple-platform", 2) as second:
            with Killer(world, seed) as killer:
                world.go_on(killer)
            world.farm.wait_until(world.is_calm, 300)
            # Who was four times the victim needs a person.
            again = world.operators.ask("rebuild_lost")
            world.farm.wait_until(world.is_calm, 300)
        unbuilt, published, publishes = world.operators.ask("unbuilt"), world.published(), world.publishes()
        twice, unfulfilled = world.operators.ask("twice_built"), world.unfulfilled()
        wrong = world.wrong()

    assert killer.faults == []
    assert wrong == []
    for reader in (first, second):
        reader.check(downloads=size.packages)
    assert unbuilt == []
    # Each version is built once, and once more for each rebuild that an operator was promised.
    assert twice == []
    assert unfulfilled == []
    assert world.wishes
    # A file that two builders published would be a build that was done twice.
    assert len(published) == len(set(published))
    assert len(published) >= size.builds
    assert killer.done[f"builder {PAUSE}"] >= size.rounds
    assert killer.kills >= size.rounds * sum(what != PAUSE for _, what in size.round)
    assert min(first.pairs, second.pairs) > 10
    assert first.late + second.late > 0
    told = {
        "kills": killer.kills,
        "builds": len(published),
        "publishes": publishes,
        "rebuilt by hand": again,
        "versions rebuilt on a wish": len(world.wishes),
        "pages": first.pages + second.pages,
        "files": first.downloads + second.downloads,
        "seconds": round(time.monotonic() - began),
    }
    for name, number in told.items():
        record_property(name, number)
    print(told, dict(killer.done))
