"""A real worker process ends: as its operator, systemd, or the server that calls its build off says."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from kombu import Connection

from builder import worker
from builder.contract import BUILD_TASK
from builder.tests.sdists import make_sdist
from builder.tests.server import TOKEN
from builder.tests.test_worker import redis_command, ring, running
from builder.tests.waiting import until

ROOT = Path(worker.__file__).parents[1]


class Worker:
    """A builder at work, with a Redis of its own."""

    def __init__(self, server, folder, stack):
        socket = folder / "redis.sock"
        self.work = folder / "work"
        self.env = {
            "PATH": os.environ["PATH"],
            "PIWHEELS_SERVER": server.url,
            "PIWHEELS_BUILDER": "pi-07",
            "PIWHEELS_BUILDER_TOKEN": TOKEN,
            "PIWHEELS_ORDERS_URL": f"redis+socket://{socket}",
            "PIWHEELS_WORK": str(self.work),
            # Its builds tell the test of themselves through files.
            "PIWHEELS_SANDBOX_AT_MOST": "bare",
        }
        self.log = folder / "worker.log"
        stack.enter_context(running(redis_command(socket), stdout=subprocess.DEVNULL))
        log = stack.enter_context(self.log.open("wb"))
        self.process = stack.enter_context(
            running([sys.executable, "-m", "builder"], cwd=ROOT, env=self.env, stderr=log, stdout=log)
        )
        until(lambda: server.requests("POST", "hello"))
        self.connection = stack.enter_context(Connection(self.env["PIWHEELS_ORDERS_URL"]))
        self.connection.ensure_connection(max_retries=10)

    def ring(self):
        ring(self.connection, BUILD_TASK, [1, 1])

    def left(self):
        """What there is of builds, on the disk and among the processes."""
        return [
            *(path.name for path in (self.work / "pi-07").iterdir() if path.name == "1-1"),
            *(pid.name for pid in Path("/proc").iterdir() if self.is_of_a_build(pid)),
        ]

    def is_of_a_build(self, pid):
        try:
            return str(self.work).encode() in (pid / "cmdline").read_bytes()
        except OSError:
            return False


@pytest.fixture
def begin(server, tmp_path):
    with ExitStack() as stack:
        yield lambda: Worker(server, tmp_path, stack)


def begin_build(begin, server, script):
    """Have a worker in the middle of a build."""
    worker = begin()
    mark = worker.work / "began"
    server.order(
        "tiny-1.0.tar.gz", make_sdist(f"open({str(mark)!r}, 'w').close()\n{script}"), heartbeat_s=2.0
    )
    worker.ring()
    until(mark.exists)
    return worker


def test_an_operators_stop_ends_an_idle_builder_for_good(server, begin):
    server.wants_stop = True

    worker = begin()

    assert worker.process.wait(30) == 3
    assert "An operator has stopped this builder" in worker.log.read_text()


def test_a_stop_waits_for_the_build(server, begin, tmp_path):
    go_on = tmp_path / "go-on"
    worker = begin_build(
        begin, server, f"import time\nwhile not os.path.exists({str(go_on)!r}): time.sleep(0.05)"
    )
    server.wants_stop = True
    hellos = len(server.requests("POST", "hello"))
    until(lambda: len(server.requests("POST", "hello")) > hellos)

    assert worker.process.poll() is None
    go_on.touch()

    assert worker.process.wait(30) == 3
    assert server.reports[0]["succeeded"]


def test_a_builder_that_ends_tells_the_server_and_a_second_signal_ends_it_hard(server, begin):
    worker = begin_build(begin, server, "import time\ntime.sleep(600)")

    worker.process.send_signal(signal.SIGTERM)
    until(lambda: "about to end" in str(json.loads(server.requests("POST", "hello")[-1].body)["problems"]))
    assert worker.process.poll() is None
    worker.process.send_signal(signal.SIGTERM)

    assert worker.process.wait(5) == 4
    until(lambda: worker.left() in ([], ["1-1"]), patience_s=5)
    assert server.reports == []


@pytest.mark.parametrize(
    "script",
    [
        "import time\ntime.sleep(600)",
        "while True: print('x' * 100, flush=True)",
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)",
        "import time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(600)\ntime.sleep(600)",
    ],
    ids=["silent", "printing", "deaf", "forking"],
)
def test_nothing_is_left_of_a_build_five_seconds_after_it_was_called_off(server, begin, script):
    worker = begin_build(begin, server, script)
    until(lambda: server.requests("POST", "heartbeat"))
    time.sleep(0.2)

    server.ticket_is_dead = True

    until(lambda: worker.left() == [], patience_s=5)
    assert worker.process.poll() is None
    assert server.reports == []
