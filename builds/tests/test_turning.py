import pytest

from builds.builders.turning import Turn, turn
from builds.models import Build
from builds.tests.rows import NOON, make_build, make_builder, make_running_build

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]


@pytest.mark.parametrize(
    ("wanted", "mode", "ends"),
    [
        (Turn.SKIP, "active", True),
        (Turn.PAUSE, "paused", False),
        (Turn.HALT, "paused", True),
        (Turn.RESUME, "active", False),
        (Turn.STOP, "stopped", False),
        (Turn.KILL, "stopped", True),
    ],
)
def test_each_deed_turns_a_builder_and_ends_its_build_or_not(wanted, mode, ends):
    build, _ = make_running_build()
    builder = build.builder

    ended = turn(builder, wanted, "Too hot.", NOON)

    builder.refresh_from_db()
    build.refresh_from_db()
    assert builder.mode == mode
    assert (ended == build) == ends
    assert build.state == ("cancelled" if ends else "building")
    assert builder.mode_reason == ("" if wanted == Turn.SKIP else "Too hot.")


def test_what_was_ended_waits_for_another_builder():
    build, _ = make_running_build()

    turn(build.builder, Turn.SKIP, "It hangs. (Skipped by ann.)", NOON)

    again = Build.objects.get(attempt=2)
    assert (again.version, again.state, again.avoid) == (build.version, "queued", build.builder)
    assert again.why == "It hangs. (Skipped by ann.)"
    build.refresh_from_db()
    assert (build.reason, build.ticket_hash) == (again.why, "")


def test_a_builder_without_a_build_has_nothing_to_skip():
    builder = make_builder()
    told = make_build(target=builder.target)
    told.assign(builder, NOON)

    assert turn(builder, Turn.SKIP, "", NOON) is None

    told.refresh_from_db()
    assert told.state == "dispatched"


def test_what_was_skipped_is_skipped_once():
    build, _ = make_running_build()

    turn(build.builder, Turn.HALT, "", NOON)

    assert turn(build.builder, Turn.HALT, "", NOON) is None
    assert Build.objects.count() == 2
