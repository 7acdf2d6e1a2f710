"""What an operator may want of a builder, and what that does."""

from datetime import timedelta

import pytest

from builds import dispatch
from builds.builders import enrolment
from builds.models import Build, Builder, Size
from builds.tests.rows import NOON, make_build, make_builder, make_running_build, make_version

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

AWAY = ["pause", "drain", "stop", "quarantine", "retire"]


@pytest.fixture(autouse=True)
def redis(broker):
    broker.flushdb()


@pytest.mark.parametrize("deed", AWAY)
def test_a_builder_that_is_taken_out_gets_nothing(deed):
    builder, build = make_builder(), make_build()

    getattr(builder, deed)("Dust.", NOON)

    assert dispatch.dispatch(NOON) == 0
    build.refresh_from_db()
    assert build.state == "queued"
    assert (builder.mode_reason, builder.mode_at) == ("Dust.", NOON)


@pytest.mark.parametrize("deed", AWAY[:-1])
def test_a_builder_that_is_resumed_gets_builds_at_once(deed):
    builder, _ = make_builder(), make_build()
    getattr(builder, deed)("Dust.", NOON)

    builder.resume("Clean.", NOON)

    assert dispatch.dispatch(NOON) == 1


@pytest.mark.parametrize("deed", AWAY[:-1])
def test_a_build_that_was_begun_goes_on(deed):
    build, ticket = make_running_build()

    getattr(build.builder, deed)("Dust.", NOON)

    assert build.renew(ticket, NOON + timedelta(seconds=5))


@pytest.mark.parametrize("deed", AWAY)
def test_a_build_that_was_not_begun_goes_back(deed):
    builder, build = make_builder(), make_build()
    dispatch.dispatch(NOON)

    getattr(builder, deed)("Dust.", NOON)

    build.refresh_from_db()
    assert (build.state, build.builder) == ("queued", None)
    assert not build.claim(builder, build.version.files.get(), NOON)


def test_a_builder_that_drains_is_drained_when_its_build_has_ended():
    build, _ = make_running_build()
    build.builder.drain("Dust.", NOON)
    before = build.builder.standing

    build.close(Build.State.SUCCEEDED, "", NOON)

    assert (before, build.builder.standing) == ("draining", "drained")


def test_a_builder_that_is_taken_out_for_good_leaves_its_build_to_others():
    build, ticket = make_running_build()
    other = make_builder("pi-08")

    build.builder.retire("Sold.", NOON)
    dispatch.take_back(build.builder, "Sold.", NOON)

    build.refresh_from_db()
    assert (build.state, build.reason) == ("lost", "Sold.")
    assert not build.renew(ticket, NOON)
    assert dispatch.dispatch(NOON) == 1
    again = Build.objects.assigned().get()
    assert (again.attempt, again.losses, again.builder) == (2, 0, other)
    assert build.builder.standing == "retired"


def test_a_retired_builder_that_is_enrolled_again_gets_builds():
    builder, _ = make_builder(), make_build()
    builder.retire("Sold.", NOON)

    enrolment.enrol(builder.name, builder.target, NOON)

    assert dispatch.dispatch(NOON) == 1


def test_a_new_token_does_not_resume_a_builder():
    builder = make_builder()
    builder.quarantine("Fails.", NOON)

    builder.enrol(builder.target, NOON)

    assert Builder.objects.get().mode == "quarantined"


@pytest.mark.parametrize(
    ("builder", "build", "fits"),
    [
        ("small", "small", True),
        ("small", "medium", False),
        ("small", "large", False),
        ("medium", "small", True),
        ("medium", "medium", True),
        ("medium", "large", False),
        ("large", "small", True),
        ("large", "large", True),
    ],
)
def test_a_build_waits_for_a_builder_with_the_memory(builder, build, fits):
    make_builder(size=builder)
    make_build(size=build)

    assert dispatch.dispatch(NOON) == fits


def test_small_builds_go_to_small_builders_and_leave_the_big_ones_free():
    make_builder("pi-01", size=Size.LARGE, heard_at=NOON - timedelta(seconds=9))
    make_builder("pi-02", size=Size.SMALL)
    make_build(make_version("1.0"), size="small", priority=50)
    make_build(make_version("2.0"), size="large", priority=10)

    assert dispatch.dispatch(NOON) == 2

    given = Build.objects.values_list("version__number", "builder__name")
    assert sorted(given) == [("1.0", "pi-02"), ("2.0", "pi-01")]
