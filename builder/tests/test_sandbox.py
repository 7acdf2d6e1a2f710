import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from builder.client import DeadTicket
from builder.limits import Limits
from builder.place import Place
from builder.processes import every
from builder.sandbox import Box, BrokenBox, Kind, Level, interpreter
from builder.tests.boxes import boxed, kind_of
from builder.tests.test_programs import DAEMON, written_pid

LEVELS = list(Level)
WALLED = [Level.BOX, Level.FULL]
MARK = "piwheels-test-mark"


@pytest.fixture(params=LEVELS)
def box(request, tmp_path):
    with boxed(request.param, tmp_path) as box:
        yield box


@pytest.fixture(params=WALLED)
def walled(request, tmp_path):
    with boxed(request.param, tmp_path) as box:
        yield box


def remaining() -> list[int]:
    """Return the processes that were started with the mark among their arguments."""
    found = []
    for process in every():
        try:
            words = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        except OSError:
            continue
        if MARK.encode() in words and not process.is_dead:
            found.append(process.pid)
    return found


def gone(within_s: float = 5.0) -> bool:
    deadline = time.monotonic() + within_s
    while remaining() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not remaining()


def test_a_program_runs_and_is_measured(box):
    outcome = box.run(
        "import time; s = 'x' * (50 << 20); t = time.process_time()\n"
        "while time.process_time() < t + 0.4: pass\nprint('done'); exit(3)"
    )

    assert (outcome.code, outcome.ended) == (3, "exit")
    assert box.said == "done\n"
    assert 0.4 <= outcome.cpu_s < 5
    assert 0.4 <= outcome.duration_s < 20
    assert (50 << 20) < outcome.peak_memory_bytes < (500 << 20)


def test_files_go_in_and_come_out(box):
    (box.place.source / "a").write_text("source")
    source, out = box.box.inside(box.place.source / "a"), box.box.inside(box.place.out)

    box.run(f"open('{out}/b', 'w').write(open('{source}').read() + '!')")

    assert (box.place.out / "b").read_text() == "source!"


def test_the_next_run_finds_what_the_last_one_left(box):
    box.run("open('left', 'w').write('x')")

    assert box.run("print(open('left').read())").code == 0


def test_paths_inside_are_the_same_for_each_build(walled):
    place, box = walled.place, walled.box

    assert box.inside(place.source / "x.tar.gz") == Path("/in/x.tar.gz")
    assert box.inside(place.src / "x-1.0") == Path("/build/x-1.0")
    assert box.inside(interpreter()) == interpreter()
    with pytest.raises(ValueError, match="/etc/shadow is not visible"):
        box.inside(Path("/etc/shadow"))


def test_where_there_are_no_walls_a_path_is_itself(tmp_path):
    box = Box(Kind(Level.BARE), Place(tmp_path))

    assert box.inside(tmp_path / "in") == tmp_path / "in"


def test_a_path_that_was_made_readable_can_be_read_and_not_written(tmp_path):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "a").write_text("tool")
    with boxed(Level.BOX, tmp_path, readable={tmp_path / "tools": Path("/opt/tools")}) as box:
        path = box.box.inside(tmp_path / "tools" / "a")
        outcome = box.run(f"print(open('{path}').read(), flush=True); open('{path}', 'w')")

        assert outcome.code == 1
        assert "tool\n" in box.said
        assert "Read-only file system" in box.said


def test_a_program_gets_nothing_but_what_it_is_given(box, monkeypatch):
    monkeypatch.setenv("PIWHEELS_BUILDER_TOKEN", "secret")

    box.run(
        "import os; print(os.environ, oct(os.umask(0)), os.read(0, 1), os.listdir('/proc/self/fd'))",
        environment={"GIVEN": "yes"},
    )

    assert "secret" not in box.said
    assert "'GIVEN': 'yes'" in box.said
    assert "0o22 b'' ['0', '1', '2', '3']" in box.said


def test_nothing_of_the_machine_can_be_seen(walled, tmp_path):
    walled.run(
        "import os, pathlib\n"
        f"for path in ('/etc/shadow', '/etc/ssh', '/var/log', '/run/systemd', '/sys/fs', '{tmp_path}'):\n"
        "    print(os.path.exists(path), end=' ')\n"
        "print(sorted(os.listdir('/')), os.listdir('/home'), os.listdir('/home/build'), os.listdir('/tmp'))\n"
        "print(sorted(os.listdir('/dev')), os.uname().nodename, os.getuid())"
    )

    seen, devices = walled.said.splitlines()
    assert seen.startswith("False " * 6)
    assert seen.endswith(" ['build'] [] []")
    assert "disk" not in devices
    assert "kmsg" not in devices
    assert devices.endswith(" build 65532")


def test_of_a_home_that_holds_python_only_python_can_be_seen(walled):
    if Path(sys.base_prefix).is_relative_to("/usr"):
        pytest.skip("this Python is the system's")
    first = Path(sys.base_prefix).parts[1]

    walled.run(
        "import os\n"
        f"for path, folders, files in os.walk('/{first}'):\n"
        f"    if path == {sys.base_prefix!r}: folders.clear()\n"
        "    else: print(path, folders, files)"
    )

    lines = walled.said.splitlines()
    assert len(lines) == len(Path(sys.base_prefix).parts) - 2
    assert all(line.endswith("'] []") and line.count(",") == 0 for line in lines)


def test_no_other_process_can_be_seen_or_hurt(walled):
    outcome = walled.run(
        "import os; print([p for p in os.listdir('/proc') if p.isdecimal()])\n"
        f"for pid in (os.getppid(), {os.getpid()}, {os.getppid()}, 1):\n"
        "    try: os.kill(pid, 9)\n"
        "    except ProcessLookupError: print('nobody')\n"
        f"print('environ', os.path.exists('/proc/{os.getpid()}/environ'))"
    )

    assert outcome.code in (0, 128 + signal.SIGKILL)
    assert walled.said.startswith("['1', '2']")
    assert "environ True" not in walled.said


def test_nothing_can_be_written_outside_the_builds_own_folders(walled):
    paths = [
        "/usr/x",
        "/etc/passwd",
        "/etc/x",
        "/x",
        "/in/x",
        "/dev/x",
        "/var/x",
        "/var/lib/dpkg/x",
        "/proc/self/comm",
    ]
    paths.append(f"{sys.base_prefix}/x")
    walled.run(
        f"for path in {paths!r}:\n"
        "    try: open(path, 'w').write('x'); print(path)\n"
        "    except OSError as error: print(error.strerror)"
    )

    assert set(walled.said.splitlines()) <= {"Read-only file system", "Permission denied"}
    assert len(walled.said.splitlines()) == len(paths)


def test_no_switch_of_the_kernel_can_be_set(walled):
    before = Path("/proc/sys/kernel/core_pattern").read_text()

    outcome = walled.run("open('/proc/sys/kernel/core_pattern', 'w').write('|/home/build/x')")

    assert outcome.code == 1
    assert Path("/proc/sys/kernel/core_pattern").read_text() == before


def test_no_port_of_the_machine_can_be_reached(walled):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        walled.run(
            "import socket\n"
            "for host in ('127.0.0.1', '192.0.2.1'):\n"
            f"    try: socket.create_connection((host, {port}), 5); print('reached')\n"
            "    except OSError as error: print(error.strerror)\n"
        )

    assert walled.said == "Connection refused\nNetwork is unreachable\n"


def test_a_build_has_a_loopback_of_its_own(walled):
    walled.run(
        "import socket; server = socket.create_server(('127.0.0.1', 3141))\n"
        "print(socket.create_connection(('127.0.0.1', 3141)).getpeername()[1])"
    )

    assert walled.said == "3141\n"


def test_no_terminal_can_be_asked(box):
    outcome = box.run("open('/dev/tty')")

    assert outcome.code == 1
    assert "OSError" in box.said


def test_a_password_prompt_gets_no_answer(box):
    assert box.run("input('Password: ')").code == 1
    assert "EOFError" in box.said


def test_tmp_is_on_the_disk(walled):
    walled.run("import os; print(os.stat('/tmp').st_dev)")

    assert walled.said == f"{walled.place.tmp.stat().st_dev}\n"


def test_the_sources_of_debian_packages_know_the_machine(walled):
    if not Path("/usr/bin/dpkg").exists():
        pytest.skip("no Debian")
    outcome = walled.run("import os; os.execv('/usr/bin/dpkg', ['dpkg', '-S', '/usr/bin/dpkg'])")

    assert outcome.code == 0
    assert walled.said == "dpkg: /usr/bin/dpkg\n"


def test_a_box_that_cannot_be_made_is_no_fault_of_the_program(tmp_path):
    with boxed(Level.BOX, tmp_path, readable={tmp_path / "nowhere": Path("/opt/x")}) as box:
        with pytest.raises(BrokenBox, match="bubblewrap could not make the sandbox"):
            box.run("print('here')")

        assert "/opt/x" in box.said or "nowhere" in box.said


def test_what_is_called_off_ends_at_once(box):
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    began = time.monotonic()

    with pytest.raises(DeadTicket):
        box.run("import time; time.sleep(600)", MARK, stop=stop)

    assert time.monotonic() - began < 5
    assert remaining() == []


def test_a_program_that_sleeps_ends_with_its_time(box):
    outcome = box.run(
        "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)",
        MARK,
        limits=Limits(time_s=1.0),
    )

    assert outcome.ended == "time"
    assert 1 <= outcome.duration_s < 5
    assert remaining() == []


def test_a_program_that_neither_speaks_nor_computes_ends_early(box):
    outcome = box.run(
        "import time; print('x', flush=True); time.sleep(600)", limits=Limits(60.0, stall_s=1.0)
    )

    assert outcome.ended == "stall"
    assert outcome.duration_s < 10


@pytest.mark.parametrize("code", ["time.sleep(0.1); print('.', flush=True)", "sum(range(100000))"])
def test_a_program_that_speaks_or_computes_goes_on(box, code):
    outcome = box.run(
        f"import time; end = time.monotonic() + 2\nwhile time.monotonic() < end: {code}",
        limits=Limits(60.0, stall_s=1.0),
    )

    assert (outcome.code, outcome.ended) == (0, "exit")


def test_a_fork_bomb_ends(box):
    outcome = box.run(
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
        MARK,
        limits=Limits(20.0, processes=100, memory_bytes=1 << 30),
    )

    assert outcome.ended == "processes"
    assert outcome.duration_s < 10
    assert gone()


def test_what_takes_all_memory_ends(box):
    outcome = box.run(
        # In pieces and by several, so that no limit on one of them is what ends it.
        "import os, time; os.fork(); os.fork(); held = []\n"
        "while True: held.append(bytearray(os.urandom(1 << 20))); time.sleep(0.005)",
        MARK,
        limits=Limits(20.0, memory_bytes=200 << 20, processes=100),
    )

    assert outcome.ended == "memory"
    assert gone()


def test_what_fills_the_disk_ends(box):
    out = box.box.inside(box.place.out)
    outcome = box.run(
        "import itertools\nfor n in itertools.count():\n"
        f"    with open(f'{out}/{{n}}', 'wb') as file: file.write(bytes(1 << 20))",
        limits=Limits(20.0, disk_bytes=50 << 20),
    )

    assert outcome.ended == "disk"
    assert outcome.duration_s < 15


def test_what_fills_the_disk_with_files_that_have_no_name_ends(box):
    outcome = box.run(
        "import tempfile; files = []\n"
        "while True: files.append(tempfile.TemporaryFile(dir='.')); files[-1].write(bytes(1 << 20))",
        limits=Limits(20.0, disk_bytes=50 << 20),
    )

    assert outcome.ended == "disk"


def test_what_makes_too_many_files_ends(box):
    outcome = box.run(
        "import itertools\nfor n in itertools.count(): open(str(n), 'w').close()",
        limits=Limits(20.0, inodes=2000),
    )

    assert outcome.ended == "disk"


def test_output_without_end_ends_with_the_time(box):
    outcome = box.run("while True: print('x' * 60000)", limits=Limits(1.5))

    assert outcome.ended == "time"
    assert outcome.duration_s < 5


def test_a_daemon_dies_with_its_program(box):
    out = box.box.inside(box.place.out)
    outcome = box.run(DAEMON, f"{out}/pid", MARK)

    assert outcome.code == 0
    assert (box.place.out / "pid").exists()
    assert remaining() == []


def test_who_kills_all_it_can_see_takes_nobody_else_along(walled):
    with subprocess.Popen(["sleep", "60"]) as neighbour:
        outcome = walled.run("import os; os.kill(-1, 9)", MARK)
        assert neighbour.poll() is None
        neighbour.kill()

    assert outcome.ended == "exit"
    assert gone()


def test_who_kills_the_warden_gets_nowhere(tmp_path):
    with boxed(Level.BARE, tmp_path) as box:
        outcome = box.run(
            "import os, time\nif os.fork() == 0:\n    os.setsid(); time.sleep(600)\nos.kill(os.getppid(), 9)",
            MARK,
        )

    assert outcome.code == 128 + signal.SIGKILL
    assert gone()


BUILDER = """
import sys
from pathlib import Path
from builder.sandbox import Level
from builder.tests.boxes import boxed
with boxed(Level(sys.argv[1]), Path(sys.argv[2])) as box:
    out = box.box.inside(box.place.out)
    box.run(sys.argv[3] + "time.sleep(600)", f"{out}/pid", sys.argv[4])
"""


@pytest.mark.parametrize("victim", ["builder", "warden", "bwrap", "first"])
@pytest.mark.parametrize("level", LEVELS)
def test_whoever_is_killed_the_program_goes_too(level, victim, tmp_path):
    kind_of(level)
    if level is Level.BARE and victim in ("bwrap", "first"):
        pytest.skip("there is no bubblewrap at this level")
    arguments = [level, str(tmp_path), DAEMON, MARK]
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", BUILDER, *arguments], cwd=root) as builder:
        written_pid(tmp_path / "1-1" / "out" / "pid")
        chain = [builder.pid]
        while len(chain) < 4:
            chain.append(next(each.pid for each in every() if each.parent == chain[-1]))
        os.kill(
            dict(zip(["builder", "warden", "bwrap", "first"], chain, strict=True))[victim], signal.SIGKILL
        )
        builder.wait(15)

    assert gone()


def test_a_place_goes_whatever_a_build_did_to_it(tmp_path):
    with boxed(Level.BOX, tmp_path) as box:
        out = box.box.inside(box.place.out)
        box.run(
            f"import os; os.chdir('{out}')\n"
            "for name in ('a', 'a/b', 'a/b/c'): os.mkdir(name)\n"
            "os.mkfifo('pipe'); os.symlink('/etc', 'link'); open('setuid', 'w'); os.chmod('setuid', 0o6755)\n"
            "for name in ('a/b/c', 'a/b', 'a', '.', '/home/build', '/tmp', '/build'): os.chmod(name, 0)"
        )

    assert list(tmp_path.iterdir()) == []
