"""The builders' door: what a builder tells while it builds."""

import json

import pytest
from django.db import connection

from packages import plain_sql
from packages.clock import database_now

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]


def test_the_log_grows_with_the_heartbeats(running):
    build, pi = running
    pi.heartbeat(build, b"one\n")

    answer = pi.heartbeat(build, b"two\n", at=4)

    assert json.loads(answer.content)["log_size"] == 8
    assert "one\ntwo\n" in pi.log(build).decode()


def test_a_chunk_of_log_that_comes_twice_or_too_early_does_no_harm(running):
    build, pi = running
    pi.heartbeat(build, b"one\n")

    pi.heartbeat(build, b"one\n")
    hole = pi.heartbeat(build, b"three\n", at=50)

    assert json.loads(hole.content)["log_size"] == 4
    assert pi.log(build) == b"one\n"


def test_a_log_cannot_act_on_a_terminal_or_a_browser(running):
    build, pi = running
    pi.heartbeat(build, b"\x1b[31mred\x1b[0m \x00 \xff </pre><script>alert(1)</script>")

    page = pi.client.get(f"/builds/{build.pk}/").content.decode()

    assert "\x1b" not in page
    assert "\x00" not in page
    assert "<script>" not in page
    assert pi.client.get(f"/builds/{build.pk}/log")["Content-Type"].startswith("text/plain")


def test_a_heartbeat_is_written_in_place(running):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite writes all in place")
    build, pi = running
    counted = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = 'builds_build'"
    [before] = plain_sql.rows(counted, [])

    for _ in range(5):
        pi.heartbeat(build)

    [after] = plain_sql.rows(counted, [])
    # Of five all, as no index has what they change.
    assert [new - old for old, new in zip(before, after, strict=True)] == [5, 5]


@pytest.mark.parametrize("at", ["x", "-1", "1e9", ""])
def test_an_offset_that_is_none_breaks_nothing(running, at):
    build, pi = running

    assert pi.heartbeat(build, b"text", at=at).status_code in (200, 400)


def test_a_cancelled_build_hears_of_it_at_its_next_heartbeat(running):
    build, pi = running

    build.cancel("enough", database_now())

    assert pi.heartbeat(build).status_code == 409
