import hashlib
import io
import json
import os
import re
import socket
import time
from contextlib import contextmanager
from dataclasses import replace
from threading import Thread

import pytest

from builder.client import Client, DeadTicket, LostClaim, Refused, Unreachable
from builder.contract import CONTRACT, BuildReport, Verdict, encode
from builder.facts import facts
from builder.tests.server import TICKET, TOKEN, make_order

FAILURE = BuildReport(contract=CONTRACT, succeeded=False, reason="No.", duration_s=1.0, wheels=())


def upload(client, content: bytes) -> None:
    sha256 = hashlib.sha256(content).hexdigest()
    client.upload(make_order(), "a-1-py3-none-any.whl", io.BytesIO(content), size=len(content), sha256=sha256)


def test_a_hello_brings_the_facts_and_the_token(server, client, tmp_path):
    welcome = client.hello(facts(tmp_path))

    assert welcome.heartbeat_s == 1.0
    assert server.asked[0].secret == TOKEN
    assert b'"memory_bytes":' in server.asked[0].body


def test_a_token_that_is_not_known_is_refused_with_the_servers_words(server, pi, tmp_path):
    with (
        Client(replace(pi, token="old")) as client,
        pytest.raises(Refused, match="This token is not known") as refused,
    ):
        client.hello(facts(tmp_path))

    assert refused.value.status == 401


def test_a_netrc_does_not_replace_the_token(server, client, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))

    client.hello(facts(tmp_path))

    assert server.asked[0].secret == TOKEN


def test_a_claim_brings_the_order_once(server, client):
    order = server.order("tiny-1.0.tar.gz", b"")

    assert client.claim(1, 1) == order
    with pytest.raises(LostClaim, match="Not yours"):
        client.claim(1, 1)


def test_faults_that_pass_are_tried_again(server, client):
    order = server.order("tiny-1.0.tar.gz", b"")
    server.fail("POST", "claim", status=503)
    server.fail("POST", "claim", status=429)
    server.fail("POST", "claim")

    assert client.claim(1, 1) == order
    assert len(server.asked) == 4


def test_a_no_is_not_tried_again(server, client):
    server.fail("POST", "claim", status=400)

    with pytest.raises(Refused, match="a fault on demand"):
        client.claim(1, 1)

    assert len(server.asked) == 1


def test_patience_ends(server, pi):
    server.fail("POST", "claim", times=1000, status=502)

    with (
        Client(pi, patience_s=0.1, first_pause_s=0.01) as client,
        pytest.raises(Unreachable, match="502"),
    ):
        client.claim(1, 1)

    assert 2 <= len(server.asked) <= 10


def test_a_server_without_room_is_asked_for_as_long_as_it_says_so(server, pi):
    server.order("tiny-1.0.tar.gz", b"")
    server.fail("POST", "report", times=5, status=507)

    # The pauses are 310 ms together.
    with Client(pi, patience_s=0.2, first_pause_s=0.01) as client:
        client.report(make_order(), FAILURE)

    assert len(server.reports) == 1


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("builder.client.time", clock)
    return clock


def test_a_report_outlasts_a_server_that_is_away_for_less_than_a_lease(server, pi, clock):
    # The pauses are of 1, 2, 4, 8, 16 and 30 s, and then of 30 s each.
    server.fail("POST", "report", times=32, status=502)

    with Client(pi) as client:
        client.report(make_order(), FAILURE)

    assert 13 * 60 < clock.now < 15 * 60
    assert len(server.reports) == 1


@pytest.mark.parametrize("lease_s", [60.0, 900.0])
@pytest.mark.parametrize("what", ["report", "wheel"])
def test_nothing_is_tried_any_more_when_no_lease_can_be_alive(server, pi, clock, what, lease_s):
    for method in ("POST", "PATCH", "HEAD"):
        server.fail(method, "report|wheels", times=1000, status=502)
    order = make_order(lease_s=lease_s)

    with Client(pi) as client, pytest.raises(Unreachable, match="502"):
        if what == "report":
            client.report(order, FAILURE)
        else:
            client.upload(order, "a-1-py3-none-any.whl", io.BytesIO(b"wheel"), size=5, sha256="0" * 64)

    assert lease_s < clock.now < lease_s + 120


def test_a_report_ends_with_its_ticket_as_soon_as_the_server_is_back(server, pi, clock):
    server.fail("POST", "report", times=20, status=502)
    server.ticket_is_dead = True

    with Client(pi) as client, pytest.raises(DeadTicket):
        client.report(make_order(), FAILURE)

    assert len(server.asked) == 21


def test_a_redirect_is_an_error_in_the_settings(server, client):
    server.fail("POST", "claim", status=301)

    with pytest.raises(Refused, match="has moved to /builder/v1/hello: correct PIWHEELS_SERVER"):
        client.claim(1, 1)

    assert len(server.asked) == 1


def test_a_captive_portal_is_not_a_server(server, client, tmp_path):
    server.fail("POST", "hello", status=200)

    with pytest.raises(Refused, match=r"Welcome\.heartbeat_s is missing"):
        client.hello(facts(tmp_path))


def test_a_heartbeat_sends_the_log_with_the_ticket(server, client):
    client.heartbeat(make_order(), 0, b"one ")
    answer = client.heartbeat(make_order(), 4, b"two")

    assert bytes(server.logs[1]) == b"one two"
    assert answer.log_size == 7
    assert {asked.secret for asked in server.asked} == {TICKET}


def test_a_heartbeat_is_tried_once_as_the_next_comes_soon(server, client):
    server.fail("POST", "heartbeat", status=500)

    with pytest.raises(Unreachable):
        client.heartbeat(make_order(), 0, b"")

    assert len(server.asked) == 1


def test_a_dead_ticket_is_told_from_other_refusals(server, client):
    server.ticket_is_dead = True

    with pytest.raises(DeadTicket):
        client.heartbeat(make_order(), 0, b"")
    with pytest.raises(DeadTicket):
        client.report(make_order(), FAILURE)
    with pytest.raises(DeadTicket):
        upload(client, b"wheel")


def test_an_upload_comes_in_pieces(server, client):
    content = os.urandom((9 << 20) + 1)

    upload(client, content)

    assert bytes(server.uploads["a-1-py3-none-any.whl"]) == content
    assert len(server.requests("PATCH", "wheels")) == 3


def test_an_upload_goes_on_where_it_was_cut(server, client):
    content = os.urandom(9 << 20)
    server.fail("PATCH", "wheels", times=2)
    server.fail("HEAD", "wheels", status=502)

    upload(client, content)

    sent = sum(len(asked.body) for asked in server.requests("PATCH", "wheels"))
    assert bytes(server.uploads["a-1-py3-none-any.whl"]) == content
    assert sent == len(content)


def test_an_upload_waits_for_bytes_that_were_on_their_way(server, client):
    server.fail("PATCH", "wheels", status=503)
    server.fail("PATCH", "wheels", status=400)

    upload(client, b"wheel")

    assert bytes(server.uploads["a-1-py3-none-any.whl"]) == b"wheel"


class Deaf(bytearray):
    """What a server has of a wheel, which does not grow by so many of the pieces that come."""

    def __init__(self, pieces):
        super().__init__()
        self.pieces = pieces

    def extend(self, piece):
        self.pieces -= 1
        if self.pieces < 0:
            super().extend(piece)


def test_a_piece_of_which_the_server_took_nothing_is_sent_again(server, client):
    server.uploads["a-1-py3-none-any.whl"] = Deaf(pieces=2)

    upload(client, b"wheel")

    assert bytes(server.uploads["a-1-py3-none-any.whl"]) == b"wheel"
    assert [asked.body for asked in server.requests("PATCH", "wheels")] == [b"wheel"] * 3


def test_a_server_that_takes_nothing_at_all_is_given_up_when_no_lease_can_be_alive(server, pi, clock):
    server.uploads["a-1-py3-none-any.whl"] = Deaf(pieces=1000)

    with Client(pi) as client, pytest.raises(Unreachable, match="took nothing of what was sent"):
        upload(client, b"wheel")

    assert 0 < clock.now - make_order().lease_s < 120


def test_a_refused_upload_says_why(server, client):
    server.refuses_upload = True

    with pytest.raises(Refused, match="That was not ordered"):
        upload(client, b"wheel")

    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [500, 423])
def test_a_report_is_answered_by_a_verdict(server, client, status):
    server.fail("POST", "report", times=2, status=status)

    assert client.report(make_order(), FAILURE).state == "succeeded"
    assert server.reports == [json.loads(encode(FAILURE))]


def test_a_refused_report_is_a_verdict_too(server, client):
    server.refuses_report = True

    verdict = client.report(make_order(), FAILURE)

    assert (verdict.state, verdict.reason) == ("failed", "Not that.")


@contextmanager
def slow_server(bytes_per_s: int):
    """Take one request at that pace, say yes to it as a report, and give its address and what came."""
    came = bytearray()
    with socket.socket() as listener:
        # What the kernel takes in advance is no line's pace.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 10)
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def take():
            connection, _ = listener.accept()
            with connection:
                while (end := came.find(b"\r\n\r\n")) < 0 or len(came) < end + 4 + length(came):
                    time.sleep(0.05)
                    came.extend(connection.recv(bytes_per_s // 20))
                body = encode(Verdict("failed", ""))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

        thread = Thread(target=take)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", came
        thread.join()


def length(request: bytes) -> int:
    """Return how long a request says that its body is."""
    (said,) = re.findall(rb"\r\nContent-Length: ([0-9]+)", request)
    return int(said)


def test_a_line_may_be_slow_as_long_as_it_brings_something(pi, monkeypatch):
    behind = os.urandom(2 << 20)
    monkeypatch.setattr("builder.client._TIMEOUT", (1, 3))

    with (
        slow_server(bytes_per_s=400_000) as (address, came),
        Client(replace(pi, server=address), patience_s=0.0) as client,
    ):
        began = time.monotonic()
        assert client.report(make_order(), FAILURE, behind).state == "failed"

    assert time.monotonic() - began > 4
    assert came.endswith(behind)
