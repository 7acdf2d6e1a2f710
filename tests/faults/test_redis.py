"""A Redis that comes and goes, forgets, remembers what is over, is full, or is asked by all at once."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.exceptions import OutOfMemoryError
from redis.retry import Retry

from builder import contract
from deploy import redis
from tests.chaos import KILL, Killer, Size
from tests.faults.conftest import be_patient

pytestmark = [pytest.mark.whole, pytest.mark.faults]

COMES_AND_GOES = Size(
    packages=3,
    builds=40,
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
    reader.check(downloads=len(world.names))
    assert world.operators.ask("unbuilt") == []
    published = world.published()
    assert len(published) == len(set(published))
    record_property("kills", killer.kills)
    record_property("builds", len(published))


# A ring that nobody answered is repeated after 30 seconds, by a tick that comes each 5; the rest is for a
# builder to take it.
REPEATED_S = 45


def rings(world):
    """Return Redis as an operator sees it, on its own socket."""
    return Redis(unix_socket_path=str(redis.socket(world.farm.var)))


@contextmanager
def rung_for_nobody(world):
    """Have each builder given a build whose ring waits in Redis; give Redis, and bring the builders back."""
    for name in world.farm.builders:
        world.farm.kill(name)
    for name in world.names:
        world.release(name)
    queues = [contract.queue_for(name) for name in world.farm.builders]
    with rings(world) as server:
        world.farm.wait_until(lambda: all(server.llen(queue) for queue in queues))
        yield server
    for name in world.farm.builders:
        world.farm.bring_back(name)


def check_that_all_is_built_once(world):
    """Fail unless each version was built, at the first attempt, and nobody published a file twice."""
    assert world.operators.ask("unbuilt") == []
    assert {(build["state"], build["losses"]) for build in world.farm.builds()} == {("succeeded", 0)}
    published = world.published()
    assert len(published) == len(set(published))
    assert world.wrong() == []


def test_T05_a_redis_that_was_emptied_has_its_rings_repeated_in_time(world, record_property):
    be_patient(world)
    before = len(world.published())
    with rung_for_nobody(world) as server:
        server.flushall()
        emptied = time.monotonic()

    world.farm.wait_until(lambda: len(world.published()) >= before + len(world.farm.builders), REPEATED_S)
    record_property("seconds until all were rung for again", time.monotonic() - emptied)
    world.farm.wait_until(world.is_calm)
    check_that_all_is_built_once(world)


def test_T05_a_redis_with_old_data_has_nothing_built_twice_and_its_rings_repeated_in_time(world):
    be_patient(world)
    before, dump = len(world.published()), world.farm.var / "dump.rdb"
    with rung_for_nobody(world) as server:
        # A backup, with rings and with ticks for a worker that is not there.
        world.farm.kill("worker")
        world.farm.wait_until(lambda: server.llen("server") > 0)
        server.save()
        old = dump.read_bytes()
        world.farm.bring_back("worker")
    world.farm.wait_until(lambda: len(world.published()) == before + len(world.names))
    world.farm.wait_until(world.is_calm)

    with rung_for_nobody(world):
        world.farm.kill("redis")
        dump.write_bytes(old)
        world.farm.bring_back("redis")
        with rings(world) as restored:
            # What is over is rung for, and what is to be built is not.
            assert all(restored.llen(contract.queue_for(name)) == 1 for name in world.farm.builders)
        put_back = time.monotonic()

    wanted = before + len(world.names) + len(world.farm.builders)
    world.farm.wait_until(lambda: len(world.published()) >= wanted, REPEATED_S)
    assert time.monotonic() - put_back < REPEATED_S + 5
    world.farm.wait_until(world.is_calm)
    check_that_all_is_built_once(world)


@contextmanager
def emptied_all_the_time(world):
    """Empty Redis fifty times a second; give how often there was something in it."""
    ended, found = threading.Event(), []

    def empty():
        with rings(world) as server:
            while not ended.wait(0.02):
                found.append(server.dbsize())
                server.flushall()

    emptier = threading.Thread(target=empty)
    emptier.start()
    try:
        yield found
    finally:
        ended.set()
        emptier.join()


def test_T05_a_redis_that_is_emptied_all_the_time_loses_no_build(world, record_property):
    with world.reader("simple", 1) as reader:
        with emptied_all_the_time(world) as found:
            for _ in range(20):
                for name in world.names:
                    world.release(name)
                time.sleep(1)
        world.farm.wait_until(lambda: world.is_calm() and not world.operators.ask("unbuilt"), seconds=180)

    assert any(found)
    reader.check(downloads=len(world.names))
    assert world.wrong() == []
    published = world.published()
    assert len(published) == len(set(published))
    record_property("times emptied of something", sum(map(bool, found)))
    record_property("builds", len(published))


def fill(server, key):
    """Leave more there than it may have, as something does that is never read; connections keep theirs."""
    for _ in range(40):
        server.rpush(key, b"x" * (1 << 19))
    server.config_set("maxmemory", 16 << 20)


def test_T16_a_redis_without_memory_loses_no_build(world):
    with rings(world) as server:
        before = len(world.published())
        fill(server, "never-read")
        with pytest.raises(OutOfMemoryError):
            server.lpush("anything", "at all")
        for name in world.names:
            world.release(name)
        time.sleep(10)
        assert len(world.published()) == before

        server.delete("never-read")

        def is_published():
            # A worker that takes a message just then ends.
            world.farm.revive()
            return len(world.published()) == before + len(world.names)

        world.farm.wait_until(is_published)
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
    # Two minutes until nobody is waited for, and then 70 builds for the builders that there are.
    world.farm.wait_until(world.is_calm, seconds=300)
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
