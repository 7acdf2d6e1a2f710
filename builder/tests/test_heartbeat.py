import errno
import threading
import time

import pytest

from builder import heartbeat
from builder.contract import LOG_CHUNK, LOG_LIMIT
from builder.heartbeat import Heartbeats
from builder.log import Log
from builder.tests.server import make_order
from builder.tests.waiting import until


@pytest.fixture
def log(tmp_path):
    with Log(tmp_path) as log:
        yield log


def test_a_log_arrives_while_it_grows(server, client, log):
    with Heartbeats(make_order(), log, client):
        log.write(b"one ")
        until(lambda: bytes(server.logs.get(1, b"")) == b"one ")
        log.write(b"two")
        until(lambda: bytes(server.logs[1]) == b"one two")


def test_a_silent_build_is_heard_too(server, client, log):
    with Heartbeats(make_order(), log, client):
        until(lambda: len(server.asked) >= 3)

    assert {asked.body for asked in server.asked} == {b""}


@pytest.mark.parametrize("is_watched", [True, False])
def test_a_log_that_somebody_looks_at_comes_sooner(server, client, log, is_watched, monkeypatch):
    server.is_watched = is_watched
    monkeypatch.setattr(Heartbeats, "INTERVAL_S", 0.01)
    heartbeats = Heartbeats(make_order(heartbeat_s=3600.0), log, client)
    # What the first answer chooses from.
    heartbeats.INTERVAL_S, heartbeats.WATCHED_S = 3600.0, 0.01

    with heartbeats:
        until(lambda: len(server.asked) >= (5 if is_watched else 1))
        time.sleep(0.4)

    assert (len(server.asked) > 1) == is_watched


def test_heartbeats_go_on_after_faults(server, client, log):
    server.fail("POST", "heartbeat", times=2, status=503)
    server.fail("POST", "heartbeat", status=413)
    log.write(b"one")

    with Heartbeats(make_order(), log, client) as heartbeats:
        until(lambda: bytes(server.logs.get(1, b"")) == b"one")

    assert not heartbeats.dead.is_set()


def test_heartbeats_go_on_after_a_fault_that_nobody_has_thought_of(server, client, tmp_path, caplog):
    """A log on a card that has spoilt."""

    class Spoilt(Log):
        faults = 2

        def read(self, offset, length):
            if self.faults:
                self.faults -= 1
                raise OSError(errno.EIO, "Input/output error")
            return super().read(offset, length)

    with Spoilt(tmp_path) as log:
        log.write(b"one")
        with Heartbeats(make_order(), log, client) as heartbeats:
            until(lambda: bytes(server.logs.get(1, b"")) == b"one")

    assert not heartbeats.dead.is_set()
    assert caplog.text.count("the next one is tried") == 2


def test_a_dead_ticket_is_noticed(server, client, log):
    server.ticket_is_dead = True

    with Heartbeats(make_order(), log, client) as heartbeats:
        assert heartbeats.dead.wait(10)


def test_the_server_says_where_to_go_on(server, client, log):
    log.write(b"one two")
    with Heartbeats(make_order(), log, client):
        until(lambda: bytes(server.logs.get(1, b"")) == b"one two")
        del server.logs[1][3:]

        until(lambda: bytes(server.logs[1]) == b"one two")


def test_the_rest_of_a_long_log_is_sent_in_pieces_and_its_end_is_for_the_report(server, client, log):
    text = bytes(range(250)) * 12_000
    log.write(text)
    heartbeats = Heartbeats(make_order(), log, client)
    server.fail("POST", "heartbeat", status=503)

    offset, end = heartbeats.rest()

    assert bytes(server.logs[1]) + end == text
    assert (offset, len(server.logs[1])) == (len(server.logs[1]), offset)
    assert max(len(asked.body) for asked in server.asked) <= 256 << 10
    assert 0 < len(end) <= 256 << 10


def test_a_short_rest_is_left_to_the_report(server, client, log):
    log.write(b"one")

    assert Heartbeats(make_order(), log, client).rest() == (0, b"one")

    assert server.asked == []


@pytest.mark.parametrize("status", [413, 503])
def test_the_end_of_a_log_that_the_server_does_not_take_is_lost_and_that_is_said(
    server, client, log, monkeypatch, caplog, status
):
    monkeypatch.setattr(heartbeat, "_REST_S", 0.1)
    log.write(b"x" * 600_000)
    server.on_heartbeat = lambda: server.fail("POST", "heartbeat", times=1000, status=status)

    rest = Heartbeats(make_order(), log, client).rest()

    assert rest == (LOG_CHUNK, b"")
    assert len(server.logs[1]) == LOG_CHUNK
    assert "The end of the log of build 1 is lost" in caplog.text


def test_a_server_that_forgets_all_is_not_told_for_ever(server, client, log):
    log.write(b"x" * 600_000)
    server.logs[1] = bytearray()
    server.on_heartbeat = server.logs[1].clear

    ended = threading.Thread(target=Heartbeats(make_order(), log, client).rest)
    ended.start()
    ended.join(30)

    assert not ended.is_alive()
    assert len(server.asked) <= 2 * LOG_LIMIT // (256 << 10)
