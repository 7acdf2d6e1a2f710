from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from types import SimpleNamespace

import pytest
from django.db import connection, transaction
from redis import Redis

from builder.contract import queue_for
from builds import dispatch
from builds.files import incoming, logs
from builds.files.stored import MARK
from builds.models import Build, Builder
from builds.planning import retry
from builds.tests.rows import (
    NOON,
    make_build,
    make_builder,
    make_running_build,
    make_target,
    make_version,
    make_wheel,
)

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]


@pytest.fixture(autouse=True)
def redis(broker):
    """The broker, whose rings no builder takes by itself."""
    return broker


def test_a_free_builder_gets_the_next_build_and_a_ring(redis: Redis):
    build, builder = make_build(), make_builder()

    assert dispatch.dispatch(NOON) == 1

    build.refresh_from_db()
    assert (build.state, build.builder) == ("dispatched", builder)
    assert build.lease_until > NOON
    assert redis.llen(queue_for("pi-07")) == 1


def test_a_builder_that_was_turned_since_it_was_looked_at_gets_nothing():
    build, turned, other = make_build(), make_builder(), make_builder("pi-08")
    stale = Builder.objects.get(pk=turned.pk)
    turned.pause("It is dusted.", NOON)

    assert dispatch.assign([(build, stale)], NOON) == []
    assert dispatch.assign([(build, other)], NOON) == [(build, other)]


def test_a_builder_that_leaves_its_ring_is_deaf_and_none_is_while_redis_is_away(redis: Redis, settings):
    make_build()
    hears, leaves = make_builder("pi-08"), make_builder()
    redis.lpush(queue_for("pi-07"), "A ring.")

    assert dispatch.deaf([hears, leaves]) == {leaves}
    settings.PIWHEELS_ORDERS_URL = "redis+socket:///nowhere/redis.sock"
    dispatch.bell.cache_clear()
    while_away = dispatch.deaf([hears, leaves])
    dispatch.bell.cache_clear()

    assert while_away == set()


def test_what_waits_for_a_target_that_was_switched_off_is_given_to_nobody():
    build = make_build()
    make_builder()
    build.target.deactivate()

    assert dispatch.dispatch(NOON) == 0
    assert Build.objects.waiting().get() == build


def test_the_message_holds_two_numbers_and_nothing_else(redis: Redis):
    build = make_build()
    make_builder()
    dispatch.dispatch(NOON)

    import base64
    import json

    message = json.loads(redis.lindex(queue_for("pi-07"), 0))
    args, kwargs, _ = json.loads(base64.b64decode(message["body"]))

    assert (args, kwargs) == ([build.pk, 1], {})
    assert message["headers"]["task"] == "build"


def test_a_build_does_not_wait_for_a_time_that_a_clock_which_was_put_back_has_left():
    make_build(not_before=NOON + timedelta(days=1))
    make_builder()

    assert dispatch.dispatch(NOON) == 1


def test_a_busy_builder_gets_nothing_more():
    make_build(), make_build(make_version("2.0"))
    make_builder()

    assert (dispatch.dispatch(NOON), dispatch.dispatch(NOON)) == (1, 0)


@pytest.mark.parametrize("what", ["bytes", "files"])
@pytest.mark.parametrize("full", ["incoming", "files"])
def test_nobody_gets_anything_while_a_disk_has_no_room_for_what_they_would_bring(
    full, what, tmp_path, monkeypatch
):
    make_build()
    make_builder()
    rooms = {tmp_path / full: 10}
    for folder in ("incoming", "files"):
        (tmp_path / folder).mkdir(exist_ok=True)
    free = {"bytes": 900, "files": 900}

    def room(path, of):
        return rooms.get(path, 900) if of == what else free[of]

    monkeypatch.setattr(
        "shutil.disk_usage", lambda path: SimpleNamespace(total=1000, free=room(path, "bytes"))
    )
    monkeypatch.setattr(
        "os.statvfs", lambda path: SimpleNamespace(f_files=1000, f_favail=room(path, "files"))
    )

    while_full = dispatch.dispatch(NOON)
    rooms.clear()

    assert (while_full, dispatch.dispatch(NOON)) == (0, 1)


def test_nobody_gets_anything_while_the_storage_is_not_mounted(tmp_path):
    make_wheel()
    make_build(make_version("2.0"))
    make_builder("pi-08")
    (tmp_path / "files" / MARK).unlink()

    while_away = dispatch.dispatch(NOON)
    (tmp_path / "files" / MARK).touch()

    assert (while_away, dispatch.dispatch(NOON)) == (0, 1)


def test_a_builder_of_another_target_gets_nothing():
    make_build()
    make_builder(target=make_target("bookworm-armhf-cp311"))

    assert dispatch.dispatch(NOON) == 0


def test_when_redis_is_down_the_build_goes_on_waiting(settings):
    settings.PIWHEELS_ORDERS_URL = "redis+socket:///nowhere/redis.sock"
    dispatch.bell.cache_clear()
    build = make_build()
    make_builder()

    assert dispatch.dispatch(NOON) == 0
    dispatch.bell.cache_clear()

    build.refresh_from_db()
    assert (build.state, build.attempt) == ("queued", 1)


def test_what_was_not_rung_is_begun_by_nobody_and_given_out_by_the_next_tick(settings, redis: Redis):
    address = settings.PIWHEELS_ORDERS_URL
    settings.PIWHEELS_ORDERS_URL = "redis+socket:///nowhere/redis.sock"
    dispatch.bell.cache_clear()
    target = make_target()
    for number in range(3):
        make_build(make_version(f"1.{number}"), target)
        make_builder(f"pi-0{number}", target)

    assert dispatch.dispatch(NOON) == 0
    assert Build.objects.filter(state="queued", attempt=1, builder=None).count() == 3

    settings.PIWHEELS_ORDERS_URL = address
    dispatch.bell.cache_clear()
    assert dispatch.dispatch(NOON) == 3
    assert sorted(redis.keys("*")) == [queue_for(f"pi-0{number}").encode() for number in range(3)]


def test_giving_out_to_fifty_builders_costs_fourteen_queries(django_assert_num_queries):
    target = make_target()
    for number in range(50):
        make_build(make_version(f"1.{number}"), target)
        make_builder(f"pi-{number}", target)

    # Four of them are savepoints and their ends.
    with django_assert_num_queries(14):
        assert dispatch.dispatch(NOON) == 50


def test_a_builder_that_got_another_build_meanwhile_does_not_keep_the_others_from_theirs():
    """The database refuses the whole statement; what is left is given one by one."""
    target = make_target()
    builds = [make_build(make_version(f"1.{number}"), target) for number in range(4)]
    builders = [make_builder(f"pi-{number}", target) for number in range(3)]
    builds[3].assign(builders[1], NOON)

    given = dispatch.assign(list(zip(builds, builders, strict=False)), NOON)

    assert given == [(builds[0], builders[0]), (builds[2], builders[2])]
    assert Build.objects.get(pk=builds[1].pk).state == "queued"


@pytest.mark.django_db(transaction=True)
def test_dispatchers_at_the_same_time_give_each_build_once_and_each_builder_one():
    target = make_target()
    for number in range(40):
        make_build(make_version(f"1.{number}"), target)
    for number in range(30):
        make_builder(f"pi-{number}", target)
    at_once = Barrier(4)

    def run(_):
        at_once.wait(10)
        try:
            return dispatch.dispatch(NOON)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        given = list(pool.map(run, range(4)))

    assert sum(given) == 30
    assert Build.objects.assigned().values("builder").distinct().count() == 30


@pytest.mark.django_db(transaction=True)
def test_a_build_that_somebody_is_at_is_left_for_the_next_tick():
    """To wait for it while others are held could be to wait for each other."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time.")
    build, builder = make_build(), make_builder()
    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        Build.objects.select_for_update().get(pk=build.pk)

        def elsewhere():
            try:
                return dispatch.dispatch(NOON)
            finally:
                connection.close()

        assert pool.submit(elsewhere).result(10) == 0

    assert dispatch.dispatch(NOON) == 1
    assert builder.current_build() == build


def test_a_ring_that_nobody_answered_is_repeated(redis: Redis):
    make_build()
    make_builder()
    dispatch.dispatch(NOON)
    redis.flushdb()

    assert dispatch.ring_again(NOON + timedelta(seconds=29)) == 0
    assert dispatch.ring_again(NOON + timedelta(seconds=31)) == 1
    assert dispatch.ring_again(NOON + timedelta(seconds=32)) == 0

    assert redis.llen(queue_for("pi-07")) == 1


def test_what_a_clock_that_was_put_back_has_left_is_rung_for_again_and_taken_back(redis: Redis):
    build = make_build()
    make_builder()
    dispatch.dispatch(NOON)
    redis.flushdb()
    yesterday = NOON - timedelta(days=1)

    assert dispatch.ring_again(yesterday) == 1
    assert dispatch.close_lost(yesterday) == 1

    build.refresh_from_db()
    assert build.state == "lost"
    assert Build.objects.waiting().exists()


@pytest.mark.parametrize("fault", [ValueError("odd"), None])
def test_a_lost_build_that_cannot_be_closed_keeps_no_other_from_it(monkeypatch, caplog, fault):
    builds = [
        make_running_build(make_builder(f"pi-{n}"), version=make_version(f"1.{n}"))[0] for n in range(2)
    ]
    lose = Build.lose

    def faulty(self, now):
        if fault and self.pk == max(build.pk for build in builds):
            raise fault
        return lose(self, now)

    monkeypatch.setattr(Build, "lose", faulty)

    assert dispatch.close_lost(NOON + timedelta(hours=1)) == (1 if fault else 2)
    assert ("could not be closed" in caplog.text) == bool(fault)


@pytest.mark.django_db(transaction=True)
def test_builds_that_a_plan_is_at_are_woken_the_next_time():
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time.")
    busy, free = (make_build(make_version(f"1.{n}"), not_before=NOON) for n in range(2))

    def wake():
        try:
            return Build.objects.wake(NOON, 10)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        assert Build.objects.select_for_update().get(pk=busy.pk)
        assert pool.submit(wake).result(10) == 1

    free.refresh_from_db()
    assert free.not_before is None
    assert wake() == 1


def test_a_lost_build_is_queued_again_and_its_ticket_is_dead():
    build, ticket = make_running_build()
    late = build.lease_until + timedelta(seconds=1)

    assert dispatch.close_lost(late) == 1

    build.refresh_from_db()
    again = Build.objects.waiting().get()
    assert (build.state, again.attempt, again.losses) == ("lost", 2, 1)
    assert not build.renew(ticket, NOON)


@pytest.mark.parametrize("is_heard_first", [True, False])
def test_builders_that_nobody_could_hear_may_speak_before_their_builds_are_taken_back(
    monkeypatch, settings, is_heard_first
):
    monkeypatch.setattr(dispatch, "_swept", {"at": NOON})
    build, ticket = make_running_build(now=NOON)
    silent, _ = make_running_build(make_builder("pi-08"), version=make_version("2.0"))
    # The server was away for an hour.
    again = NOON + timedelta(hours=1)

    if is_heard_first:
        assert build.renew(ticket, again)
    assert dispatch.sweep(again) == 0
    assert build.renew(ticket, again + timedelta(seconds=20))
    wait = timedelta(seconds=settings.PIWHEELS_CLAIM_S)
    found = [dispatch.sweep(again + second) for second in spread(wait)]

    assert found[-1] == 1
    silent.refresh_from_db()
    build.refresh_from_db()
    assert (silent.state, build.state) == ("lost", "building")


def spread(wait):
    """The moments at which a server that works sweeps, until a wait is over."""
    return [timedelta(seconds=second) for second in range(5, int(wait.total_seconds()) + 6, 5)]


def test_what_is_heard_of_is_not_lost():
    build, _ = make_running_build()

    assert dispatch.close_lost(build.lease_until) == 0


def test_a_ring_that_still_lies_there_is_not_repeated(redis: Redis):
    for number in range(3):
        make_build(make_version(f"1.{number}"), make_target())
        make_builder(f"pi-0{number}", make_target())
    dispatch.dispatch(NOON)
    redis.delete(queue_for("pi-01"))

    repeated = [dispatch.ring_again(NOON + timedelta(seconds=31 * number)) for number in range(1, 5)]

    assert repeated == [1, 0, 0, 0]
    assert [redis.llen(queue_for(f"pi-0{number}")) for number in range(3)] == [1, 1, 1]


def test_rings_are_repeated_when_redis_answers_again(settings, redis: Redis):
    make_build()
    make_builder()
    dispatch.dispatch(NOON)
    redis.flushdb()
    address, settings.PIWHEELS_ORDERS_URL = settings.PIWHEELS_ORDERS_URL, "redis+socket:///nowhere/redis.sock"
    dispatch.bell.cache_clear()

    while_away = dispatch.ring_again(NOON + timedelta(seconds=31))
    settings.PIWHEELS_ORDERS_URL = address
    dispatch.bell.cache_clear()

    assert (while_away, dispatch.ring_again(NOON + timedelta(seconds=36))) == (0, 1)


def test_a_builder_that_took_no_ring_gets_no_build_until_it_has(redis: Redis):
    """It reaches us, and not Redis."""
    target = make_target()
    builder = make_builder(target=target)
    build = make_build(target=target)
    dispatch.dispatch(NOON)
    hour, late = timedelta(hours=1), NOON + timedelta(days=1)
    dispatch.close_lost(late)

    for hours in range(1, 10):
        builder.hear(late + hours * hour)
        assert dispatch.dispatch(late + hours * hour) == 0

    assert redis.llen(queue_for("pi-07")) == 1
    assert Build.objects.waiting().get().attempt == build.attempt + 1
    redis.delete(queue_for("pi-07"))
    assert dispatch.dispatch(late + 9 * hour) == 1


def test_who_took_no_ring_keeps_nobody_else_from_a_build(redis: Redis):
    target = make_target()
    deaf, other = make_builder("pi-01", target), make_builder("pi-02", target)
    make_build(target=target)
    redis.lpush(queue_for(deaf.name), "An old ring.")

    assert dispatch.dispatch(NOON) == 1
    assert Build.objects.assigned().get().builder == other


def lose_a_day(builder, now, redis, *, claims):
    """Let the builder be given a build, take its ring, begin it or not, and fall silent."""
    builder.hear(now)
    dispatch.dispatch(now)
    redis.delete(queue_for(builder.name))
    if claims:
        for build in Build.objects.assigned():
            build.claim(builder, build.version.files.get(), now)
    dispatch.close_lost(now + timedelta(hours=23))


def test_a_build_is_lost_and_queued_again_three_times_at_most(redis: Redis):
    make_build()
    builder = make_builder()

    for days in range(10):
        lose_a_day(builder, NOON + timedelta(days=days), redis, claims=True)

    assert Build.objects.filter(state="lost").count() == 1 + Build.MAX_LOSSES
    assert not Build.objects.open().exists()


def test_a_builder_that_never_begins_does_not_use_a_build_up(redis: Redis):
    make_build()
    builder = make_builder()

    for days in range(10):
        lose_a_day(builder, NOON + timedelta(days=days), redis, claims=False)

    assert Build.objects.waiting().get().losses == 0


def test_what_no_builder_ever_begins_waits_for_a_person_in_the_end(redis: Redis):
    make_build()
    builder = make_builder()

    for days in range(retry.UNBEGUN + Build.MAX_WAITS + 5):
        lose_a_day(builder, NOON + timedelta(days=days), redis, claims=False)

    assert Build.objects.filter(state="lost").count() == retry.UNBEGUN + Build.MAX_WAITS
    assert not Build.objects.open().exists()
    assert Build.objects.given_up().exists()


def test_two_dispatchers_and_two_sweepers_do_each_thing_once():
    make_build()
    make_builder()

    given = dispatch.dispatch(NOON) + dispatch.dispatch(NOON)
    late = NOON + timedelta(days=1)
    lost = dispatch.close_lost(late) + dispatch.close_lost(late)

    assert (given, lost) == (1, 1)
    assert Build.objects.count() == 2


def test_what_ended_builds_left_behind_is_kept_or_goes():
    build, _ = make_running_build()
    ended = make_build(make_version("2.0"), state="cancelled", finished_at=NOON)
    for each in (build, ended):
        incoming.folder(each.pk).mkdir(parents=True)
        logs.append(each.pk, 0, b"hello\n")

    assert dispatch.tidy() == 1

    assert incoming.builds() == logs.growing() == [build.pk]
    assert "".join(logs.lines(ended)) == "hello\n"


def test_a_log_that_cannot_be_stored_keeps_no_others(settings, caplog):
    stuck, other = (
        make_build(make_version(f"{number}.0"), state="cancelled", finished_at=NOON) for number in (1, 2)
    )
    logs.append(other.pk, 0, b"hello\n")
    # No file can be read here.
    (settings.PIWHEELS_INCOMING / "logs" / f"{stuck.pk}.log").mkdir()

    assert dispatch.tidy() == 1

    assert logs.growing() == [stuck.pk]
    assert f"The log of build {stuck.pk} cannot be stored" in caplog.text
