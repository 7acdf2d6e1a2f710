import os
import signal
import socket
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from builder.place import Place
from builder.sandbox import Box, BrokenBox, Kind, Level, interpreter
from builder.tests.boxes import AMPLE, boxed


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


def test_a_run_sees_as_many_processors_as_it_has_memory_for(box):
    box.run(
        "import os, subprocess\n"
        "print(len(os.sched_getaffinity(0)), flush=True)\n"
        "subprocess.run(['nproc'], check=True)",
        limits=replace(AMPLE, memory_bytes=800 << 20),
    )

    assert box.said.split() == ["1", "1"]


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
        pytest.skip("this Python is the system's, in /usr, which every build sees: no home holds it")
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


def greet(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.sendall(b"the proxy")


def test_a_doorway_leads_to_the_proxy_and_nowhere_else(tmp_path):
    with socket.socket(socket.AF_UNIX) as proxy:
        proxy.bind(str(tmp_path / "socket"))
        proxy.listen()
        threading.Thread(target=greet, args=[proxy], daemon=True).start()
        with boxed(Level.BOX, tmp_path, doorway=tmp_path / "socket") as box:
            outcome = box.run(
                "import socket; print(socket.create_connection(('127.0.0.1', 3141), 5).recv(99)); exit(3)"
            )
            said = box.said

    assert outcome.code == 3
    assert said == "b'the proxy'\n"


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
