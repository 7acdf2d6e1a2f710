"""What follows by itself when an attempt ends badly, through the report and the sweep alone."""

from datetime import timedelta

import pytest

from builder.contract import CONTRACT, BadMessage, BuildReport
from builds import dispatch, queue, results
from builds.attached import Attached
from builds.files import logs
from builds.models import Build
from builds.tests.rows import NOON, make_build, make_builder, make_running_build, make_target, make_version

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

MINUTE = timedelta(minutes=1)
NOTHING = Attached(0, b"", None)


def fail(build, failure="", now=NOON, log=b"", **fields):
    """Report a build as failed; return the attempt that follows, if one does."""
    logs.append(build.pk, 0, log)
    told = {"succeeded": False, "reason": "It failed.", "duration_s": 1.0, "wheels": (), **fields}
    results.close(build, BuildReport(contract=CONTRACT, failure=failure, **told), NOTHING, now)
    build.refresh_from_db()
    return Build.objects.open().filter(version=build.version, target=build.target).first()


def run(build, builder, now=NOON):
    build.assign(builder, now)
    build.claim(builder, build.version.files.get(), now)
    return Build.objects.get(pk=build.pk)


def test_a_failure_of_the_package_is_explained_and_final():
    build, _ = make_running_build()

    follows = fail(build, log=b"a.c:1:10: fatal error: ffi.h: No such file or directory\n")

    assert follows is None
    assert (build.state, build.failure, build.failure_about) == ("failed", "missing-header", "ffi.h")


@pytest.mark.parametrize("failure", ["timeout", "stalled", "bad-source", "too-many-processes", "disk-full"])
def test_a_failure_that_the_builder_saw_is_final_too(failure):
    build, _ = make_running_build()

    assert fail(build, failure) is None
    assert build.failure == failure


def test_a_fault_of_the_builder_is_tried_again_after_growing_pauses_and_then_left_to_a_person():
    builder = make_builder()
    build, _ = make_running_build(builder)
    pauses = []

    while follows := fail(build, "builder-fault"):
        pauses.append((follows.losses, follows.not_before - NOON))
        build = run(follows, builder)

    assert pauses == [(1, MINUTE), (2, 10 * MINUTE), (3, 60 * MINUTE)]
    assert Build.objects.count() == 1 + Build.MAX_LOSSES


@pytest.mark.parametrize("failure", ["source-unreachable", "proxy-failed", "no-source"])
def test_while_upstream_is_away_a_build_is_tried_each_hour_for_a_day(failure):
    builder = make_builder()
    version = make_version()
    version.files.update(uploaded_at=NOON)
    build, _ = make_running_build(builder, version=version)
    now = NOON

    while follows := fail(build, failure, now):
        pause, now = follows.not_before - now, follows.not_before
        build = run(follows, builder, now)

    assert (pause, now - NOON > timedelta(hours=23)) == (60 * MINUTE, True)


def test_what_is_lost_here_counts_apart_from_what_upstream_kept_from_us():
    builder = make_builder()
    build, _ = make_running_build(builder)
    ends = [*["source-unreachable"] * 5, "builder-fault", "proxy-failed", *["builder-fault"] * 3]

    for end in ends:
        if follows := fail(build, end):
            build = run(follows, builder)

    assert Build.objects.filter(failure="builder-fault").count() == 1 + Build.MAX_LOSSES
    assert list(Build.objects.given_up()) == [Build.objects.get(attempt=10)]


def test_what_code_of_before_has_given_up_is_noted_by_what_tidies():
    lost = {"state": "lost", "losses": Build.MAX_LOSSES, "finished_at": NOON}
    given_up = make_build(make_version("1.0"), **lost)
    followed = make_build(make_version("2.0"), **lost)
    followed.again(losses=0, priority=0, why="")

    assert (Build.objects.note_given_up(), Build.objects.note_given_up()) == (1, 0)

    assert list(Build.objects.given_up()) == [given_up]


def test_what_must_wait_is_given_to_nobody_before_its_time(broker):
    build, _ = make_running_build(make_builder())
    follows = fail(build, "source-unreachable")
    make_builder("pi-08")

    assert dispatch.dispatch(NOON + timedelta(seconds=59)) == 0
    assert dispatch.dispatch(NOON + timedelta(seconds=61)) == 1

    follows.refresh_from_db()
    assert follows.builder.name == "pi-08"


def test_a_builder_that_lost_a_build_gets_the_next_one_instead():
    first, second = make_builder(), make_builder("pi-08")
    build, _ = make_running_build(first)
    follows = fail(build, "builder-fault")
    other = make_build(make_version("2.0"))
    Build.objects.update(not_before=None)

    assert queue.next_for(first.target, [first], NOON) == [(other, first)]
    assert (follows, second) in queue.next_for(first.target, [first, second], NOON)


def test_without_another_builder_the_same_one_tries_again():
    builder = make_builder()
    make_builder("pi-08", heard_at=NOON - timedelta(days=1))
    make_builder("pi-09", target=make_target("bookworm-armhf-cp311"))
    build, _ = make_running_build(builder)
    follows = fail(build, "upload-failed")
    Build.objects.update(not_before=None)

    assert queue.next_for(builder.target, [builder], NOON) == [(follows, builder)]


def test_a_builder_too_small_for_a_build_is_no_other():
    builder = make_builder(size="large")
    make_builder("pi-08", size="small")
    build, _ = make_running_build(builder, size="large")
    follows = fail(build, "builder-fault")
    Build.objects.update(not_before=None)

    assert queue.next_for(builder.target, [builder], NOON) == [(follows, builder)]


def test_a_lost_build_waits_a_minute_and_goes_elsewhere():
    build, _ = make_running_build()

    dispatch.close_lost(build.lease_until + MINUTE)

    follows = Build.objects.waiting().get()
    assert (follows.avoid, follows.not_before) == (build.builder, build.lease_until + 2 * MINUTE)
    build.refresh_from_db()
    assert build.failure == "builder-lost"


@pytest.mark.parametrize(
    ("failure", "why"),
    [
        ("out-of-memory", "It ran out of memory on a small builder."),
        ("timeout", "It took longer than it may on a small builder."),
    ],
)
def test_what_a_larger_builder_may_do_better_goes_to_the_next_larger_until_there_is_none(failure, why):
    small, large = make_builder(size="small"), make_builder("pi-08", size="large")
    build, _ = make_running_build(small)

    follows = fail(build, failure)

    assert (follows.size, follows.losses, follows.not_before) == ("large", 0, None)
    assert follows.why == why
    assert fail(run(follows, large), failure) is None


def test_what_a_large_builder_had_is_tried_on_none_that_is_smaller():
    make_builder("pi-09", size="medium")
    build, _ = make_running_build(make_builder(size="large"))

    assert build.size == "small"
    assert fail(build, "timeout") is None


def test_out_of_memory_is_final_where_no_builder_is_larger():
    build, _ = make_running_build(make_builder(size="small"))
    make_builder("pi-08", target=make_target("bookworm-armhf-cp311"), size="large")

    assert fail(build, log=b"c++: fatal error: Killed signal terminated program cc1plus\n") is None
    assert build.failure == "out-of-memory"


@pytest.mark.parametrize(("age", "again"), [(timedelta(hours=23), True), (timedelta(hours=25), False)])
def test_a_source_that_is_not_there_yet_is_waited_for_a_day(age, again):
    version = make_version()
    version.files.update(uploaded_at=NOON - age)
    build, _ = make_running_build(version=version)

    assert bool(fail(build, "no-source")) is again


@pytest.mark.parametrize(
    "fields",
    [
        {"cpu_s": -1.0},
        {"cpu_s": 1e300},
        {"duration_s": 1e300},
        {"peak_memory_bytes": -1},
        {"peak_memory_bytes": 1 << 62},
        {"sandbox": "perfect"},
        {"rung": "x" * 31},
        {"rung": "a\x1b[31m"},
    ],
)
def test_measurements_that_cannot_be_are_told_so_and_the_build_goes_on(fields):
    build, ticket = make_running_build()

    with pytest.raises(BadMessage):
        fail(build, **fields)

    assert build.renew(ticket, NOON)


def test_measurements_are_kept():
    build, _ = make_running_build()

    fail(build, cpu_s=2.5, peak_memory_bytes=1 << 30, sandbox="full", rung="setuptools<82")

    kept = (build.cpu_s, build.peak_memory_bytes, build.sandbox, build.rung)
    assert kept == (2.5, 1 << 30, "full", "setuptools<82")


def test_two_wheels_or_none_have_a_class():
    build, _ = make_running_build()

    fail(build, succeeded=True)

    assert build.failure == "no-wheel"
