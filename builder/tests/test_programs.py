import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from builder import processes, programs
from builder.client import DeadTicket
from builder.limits import Limits, Outcome, Watch
from builder.log import Log
from builder.processes import Family
from builder.tests.waiting import until

# Writes its own id to a file and sleeps, in a session of its own, deaf to requests to end; the parents of
# such a process are gone at once, so it belongs to nobody.
DAEMON = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open(sys.argv[1], "w").write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
print("ready", flush=True)
"""


@pytest.fixture
def log(tmp_path):
    with Log(tmp_path) as log:
        yield log


def run(log, folder, code, *arguments, time_limit_s=30.0, stop=None) -> Outcome:
    command = [sys.executable, "-c", code, *arguments]
    program = programs.Program(command, {"PATH": "/usr/bin:/bin"}, folder)
    watch = Watch(Limits(time_limit_s), Family(folder))
    return programs.supervise(program, log=log, stop=stop or threading.Event(), watch=watch)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def written_pid(path: Path) -> int:
    for _ in range(1000):
        if path.exists() and path.read_text():
            return int(path.read_text())
        time.sleep(0.01)
    raise AssertionError("no process came up")


def living_in(folder: Path) -> list[int]:
    """The processes whose current folder it is; a dead one has none."""
    found = []
    for process in processes.every():
        with suppress(OSError):
            if Path(f"/proc/{process.pid}/cwd").readlink() == folder:
                found.append(process.pid)
    return found


def test_a_program_prints_into_the_log(log, tmp_path):
    outcome = run(
        log, tmp_path, "import sys; print('out', flush=True); print('err', file=sys.stderr); exit(3)"
    )

    assert outcome.code == 3
    assert log.read(0, 100) == b"out\nerr\n"


def test_a_program_gets_nothing_but_what_it_is_given(log, tmp_path, monkeypatch):
    monkeypatch.setenv("PIWHEELS_BUILDER_TOKEN", "secret")
    ask = "print(os.environ, os.getcwd(), oct(os.umask(0)), os.read(0, 1), os.listdir('/proc/self/fd'))"
    umask = os.umask(0o077)

    try:
        run(log, tmp_path, "import os; " + ask)
    finally:
        os.umask(umask)

    text = log.read(0, 10_000).decode()
    assert "secret" not in text
    assert str(tmp_path) in text
    assert "0o22 b'' ['0', '1', '2', '3']" in text


def test_a_program_leaves_no_core(log, tmp_path):
    run(log, tmp_path, "import resource; print(resource.getrlimit(resource.RLIMIT_CORE))")

    assert log.read(0, 100) == b"(0, 0)\n"


def test_a_program_that_dies_of_a_signal_says_which(log, tmp_path):
    assert run(log, tmp_path, "import os; os.kill(os.getpid(), 11)").code == 128 + signal.SIGSEGV


def test_a_program_that_is_not_there_fails(log, tmp_path):
    program = programs.Program(["/nowhere/x"], {}, tmp_path)
    watch = Watch(Limits(30), Family(tmp_path))

    assert programs.supervise(program, log=log, stop=threading.Event(), watch=watch).code != 0
    assert b"/nowhere/x" in log.read(0, 10_000)


def test_a_daemon_dies_with_its_program(log, tmp_path):
    outcome = run(log, tmp_path, DAEMON, str(tmp_path / "pid"))

    assert outcome.code == 0
    assert log.read(0, 100) == b"ready\n"
    assert not is_alive(written_pid(tmp_path / "pid"))


def test_the_time_limit_ends_everything(log, tmp_path):
    outcome = run(log, tmp_path, DAEMON + "time.sleep(600)", str(tmp_path / "pid"), time_limit_s=1.5)

    assert outcome.ended == "time"
    assert log.read(0, 100) == b"ready\n"
    assert not is_alive(written_pid(tmp_path / "pid"))


def test_a_program_that_is_called_off_ends_at_once(log, tmp_path):
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    began = time.monotonic()

    with pytest.raises(DeadTicket):
        run(log, tmp_path, DAEMON + "time.sleep(600)", str(tmp_path / "pid"), stop=stop)

    assert time.monotonic() - began < 10
    assert not is_alive(written_pid(tmp_path / "pid"))


def test_many_processes_that_start_each_other_are_all_ended(log, tmp_path):
    # Each process forks a successor and ends, for as long as it is let; a minute, should this test be killed.
    chain = """
import os, time
end = time.monotonic() + 60
if os.fork() == 0:
    while time.monotonic() < end:
        if os.fork():
            os._exit(0)
        open("beat", "w").write("x")
    os._exit(0)
time.sleep(60)
"""

    assert run(log, tmp_path, chain, time_limit_s=1).ended == "time"

    # One that stands still is found here; a chain that goes on may be too quick to be seen, but writes.
    until(lambda: not living_in(tmp_path))
    (tmp_path / "beat").unlink()
    time.sleep(1)
    assert not (tmp_path / "beat").exists()


def test_who_kills_the_guard_does_not_hang_the_builder(log, tmp_path):
    # A process that outlives the guard and holds the pipe.
    kill = "import os, time\nif os.fork() == 0: time.sleep(60)\nos.kill(os.getppid(), 9)"
    began = time.monotonic()

    assert run(log, tmp_path, kill).code == 128 + signal.SIGKILL
    # Who waited for the pipe to close, or for a process to end, would take as long as this at least.
    assert time.monotonic() - began < programs._END_S


def test_a_killed_builder_takes_its_program_with_it(tmp_path):
    # Once it sleeps, the program prints nothing more, so it does not notice that nobody reads.
    program = DAEMON + "open('asleep', 'w').write(str(os.getpid())); time.sleep(600)"
    builder = f"""
import sys, threading
from pathlib import Path
from builder import programs
from builder.limits import Limits, Watch
from builder.log import Log
from builder.processes import Family
folder = Path({str(tmp_path)!r})
program = programs.Program([sys.executable, "-c", {program!r}, "daemon"], {{}}, folder)
with Log(folder) as log:
    watch = Watch(Limits(600), Family(folder))
    programs.supervise(program, log=log, stop=threading.Event(), watch=watch)
"""
    root = Path(programs.__file__).parents[1]
    with subprocess.Popen([sys.executable, "-c", builder], cwd=root) as process:
        started = [written_pid(tmp_path / "asleep"), written_pid(tmp_path / "daemon")]
        os.kill(process.pid, signal.SIGKILL)

    until(lambda: not any(is_alive(pid) for pid in started))
