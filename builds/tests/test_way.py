import logging
from contextlib import suppress

import pytest
from django.db import transaction

from builder.tests.json_lines import json_lines
from builds import dispatch
from builds.builders.turning import Turn, turn
from builds.models import Build
from builds.tests.pi import PURE, Pi
from builds.tests.rows import NOON, make_build, make_builder, make_running_build, make_version
from builds.tests.wheels import make_wheel as wheel_bytes
from packages.clock import database_now

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]


@pytest.fixture
def way():
    """The lines of builds' steps, where they are written."""
    logger = logging.getLogger("piwheels.way")
    level = logger.level
    logger.setLevel(logging.INFO)
    with json_lines(logger) as lines:
        yield lines
    logger.setLevel(level)


def test_a_build_is_followed_from_the_dispatcher_to_its_end(way, broker):
    builder = make_builder(heard_at=database_now())
    build = make_build(target=builder.target)
    dispatch.dispatch(database_now())
    ticket = Pi(builder.token).claim(build).json()["ticket"]
    pi, content = Pi(ticket), wheel_bytes()
    pi.upload(build, PURE, content)
    pi.report(build, (PURE, content))

    assert [line["message"] for line in way] == [
        "Given to a builder.",
        "Claimed.",
        "Reported, and succeeded.",
    ]
    assert {(line["build"], line["attempt"], line["builder"]) for line in way} == {(build.pk, 1, "pi-07")}
    # What the web server did has the name of its request.
    assert ["request" in line for line in way] == [False, True, True]


def test_a_lost_build_is_followed_to_the_next_attempt(way):
    builder = make_builder(heard_at=database_now())
    build = make_build(target=builder.target)
    assert build.assign(builder, database_now())
    dispatch.close_lost(database_now() + 2 * Build.UPLOAD)

    assert [(line["message"], line["build"]) for line in way] == [
        ("Lost: its builder fell silent.", build.pk)
    ]


@pytest.mark.parametrize("wanted", ["skip", "halt", "kill"])
def test_a_build_that_an_operator_ends_is_followed_to_the_next_attempt(
    way, wanted, django_capture_on_commit_callbacks
):
    build, _ = make_running_build()

    with django_capture_on_commit_callbacks(execute=True):
        turn(build.builder, Turn(wanted), "Too hot. (By ann.)", database_now())

    again = Build.objects.latest("pk")
    assert [(line["message"], line["build"], line["attempt"]) for line in way] == [
        ("Cancelled. Too hot. (By ann.)", build.pk, 1),
        (f"Queued after build {build.pk}. Too hot. (By ann.)", again.pk, 2),
    ]
    assert way[0]["builder"] == "pi-07"


def test_a_build_that_waits_is_followed_to_its_end(way, django_capture_on_commit_callbacks):
    dropped, cancelled = make_build(), make_build(make_version("2.0"))

    with django_capture_on_commit_callbacks(execute=True):
        dropped.drop("It is skipped.", NOON)
        cancelled.cancel("Nobody needs it.", NOON)
        cancelled.cancel("Nobody needs it.", NOON)

    assert [(line["message"], line["build"]) for line in way] == [
        ("Dropped. It is skipped.", dropped.pk),
        ("Cancelled. Nobody needs it.", cancelled.pk),
    ]


def test_what_was_taken_back_with_its_transaction_is_not_told(way, django_capture_on_commit_callbacks):
    build = make_build()

    with django_capture_on_commit_callbacks(execute=True), suppress(ZeroDivisionError), transaction.atomic():
        build.cancel("Nobody needs it.", NOON)
        raise ZeroDivisionError

    assert not way


def test_people_who_read_a_terminal_are_spared(caplog):
    builder = make_builder(heard_at=database_now())
    build = make_build(target=builder.target)
    assert build.assign(builder, database_now())
    dispatch.close_lost(database_now() + 2 * Build.UPLOAD)

    assert "piwheels.way" not in {record.name for record in caplog.records}
