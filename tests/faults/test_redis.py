"""A Redis that comes and goes, is full, or is asked by all at once."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from builder import contract
from deploy import redis
from tests.chaos import KILL, Killer, Size

pytestmark = [pytest.mark.whole, pytest.mark.faults]

COMES_AND_GOES = Size(
    packages=3,
    publishes=60,
    pause_s=0.2,
    round=[("redis", KILL)],
    rounds=12,
    between_s=(4.0, 6.0),
    web_processes=1,
)


@pytest.mark.parametrize("world", [COMES_AND_GOES], indirect=True)
def test_T05_a_redis_that_keeps_nothing_and_is_killed_every_five_seconds_loses_no_build(
    world, record_property
):
    with world.reader("simple", 1) as reader:
        with Killer(world, 5) as killer:
            world.go_on(killer)
        world.farm.wait_until(world.is_calm)

    assert killer.faults == []
    assert world.wrong() == []
    assert reader.wrong == []
    assert world.operators.ask("unbuilt") == []
    published = world.published()
    assert len(published) == len(set(published))
    record_property("kills", killer.kills)
    record_property("builds", len(published))


def test_T16_a_redis_without_memory_loses_no_build(world):
    with Redis(unix_socket_path=str(redis.socket(world.farm.var))) as server:
        server.config_set("maxmemory", 1)
        with pytest.raises(RedisError):
            server.lpush("anything", "at all")
        before = len(world.published())
        for name in world.names:
            world.release(name)
        time.sleep(10)
        assert len(world.published()) == before

        server.config_set("maxmemory", 0)

        world.farm.wait_until(lambda: len(world.published()) == before + len(world.names))
    world.farm.wait_until(world.is_calm)
    assert world.wrong() == []
    assert world.operators.ask("unbuilt") == []


def test_T15_two_hundred_builders_that_come_back_at_once_have_their_orders_within_a_minute(world):
    names = [f"crowd-{number}" for number in range(200)]
    world.operators.ask("enrol_all", names=names)
    with ThreadPoolExecutor(len(names)) as pool:
        world.farm.kill("redis")
        waiting = [pool.submit(order_of, world.farm.var, name) for name in names]
        began = time.monotonic()
        world.farm.bring_back("redis")
        for number in range(70):
            world.upstream.add_sdist(f"crowd{number}", "1.0", b"Nobody builds this.")
        reached = [done.result() for done in waiting]

    # Builds there are for 70 of them; that nobody claims them is told from a loss of theirs.
    assert sum(reached) >= 60
    assert time.monotonic() - began < 90
    world.farm.wait_until(world.is_calm, seconds=180)
    assert world.operators.ask("unbuilt") == []


def order_of(var, builder):
    """Wait for an order as a builder does; return whether one came within a minute."""
    end = time.monotonic() + 60
    # The client's own patience is as long as the longest wait for an order, and it would try ten times.
    how = {"socket_timeout": 20, "retry": Retry(NoBackoff(), 0)}
    while time.monotonic() < end:
        try:
            with Redis(unix_socket_path=str(redis.socket(var)), **how) as server:
                if server.brpop([contract.queue_for(builder)], timeout=5):
                    return True
        except RedisError:
            time.sleep(0.2)
    return False
