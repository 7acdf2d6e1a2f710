import logging

import pytest

from builder.tests.json_lines import json_lines
from builds import dispatch
from builds.models import Build
from builds.tests.rows import make_build, make_builder
from builds.tests.test_api import PURE, Pi
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


def test_people_who_read_a_terminal_are_spared(caplog):
    builder = make_builder(heard_at=database_now())
    build = make_build(target=builder.target)
    assert build.assign(builder, database_now())
    dispatch.close_lost(database_now() + 2 * Build.UPLOAD)

    assert "piwheels.way" not in {record.name for record in caplog.records}
