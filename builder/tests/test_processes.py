import os
import subprocess
import sys
import time

import pytest

from builder import processes
from builder.processes import Family


def test_a_process_is_named_by_its_start_whatever_its_program_is_called(tmp_path):
    program = tmp_path / "a) 1 (b"
    program.symlink_to("/bin/sleep")

    with subprocess.Popen([program, "60"]) as started:
        process = processes.read(started.pid)
        started.kill()

    assert process.parent == os.getpid()
    assert process.threads == 1
    assert not process.is_dead


def test_nobody_else_is_killed_who_has_the_number_by_now():
    with subprocess.Popen(["sleep", "60"]) as started:
        now = processes.read(started.pid)
        processes.kill(processes.Process(now.pid, now.parent, now.started - 1, 1, 0.0, False))
        assert started.poll() is None
        processes.kill(now)

    assert started.returncode == -9


def test_who_is_no_process_is_nobody():
    assert processes.read(2**22 + 1) is None


@pytest.fixture
def forks(tmp_path):
    # Three processes that share what one of them has written.
    hold = "import os, time; held = os.urandom(30 << 20)"
    code = f"{hold}; os.fork() and os.fork(); print('.', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, bufsize=0) as started:
        for _ in range(3):
            started.stdout.readline()
        yield started
        for each in processes.family(started.pid):
            processes.kill(each)


@pytest.fixture(params=["by its children", "among all processes"])
def seen(request, monkeypatch):
    """A kernel that lists a process's children, and one that does not."""
    monkeypatch.setattr(processes, "_tells_children", lambda: request.param == "by its children")


def test_a_family_is_who_descends_from_its_head(forks, seen):
    family = processes.family(forks.pid)

    assert family[0].pid == forks.pid
    assert len(family) == 3
    assert {each.parent for each in family[1:]} <= {each.pid for each in family}
    assert processes.family(2**22 + 1) == []


def test_children_of_any_thread_belong_to_the_family(seen):
    code = """
import subprocess, threading, time
thread = threading.Thread(target=lambda: (subprocess.Popen(["sleep", "60"]), time.sleep(60)))
thread.start()
time.sleep(0.5)
print(".", flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, bufsize=0) as started:
        started.stdout.readline()
        family = processes.family(started.pid)
        for each in family:
            processes.kill(each)

    assert len(family) == 2


def test_memory_that_is_shared_counts_once(forks, tmp_path):
    family = Family(tmp_path, memory_bytes=70 << 20)
    family.begin(os.getpid())

    assert family.look().excess == ""
    assert len(family.pids) >= 3


def test_too_many_of_a_family_are_noticed(forks, tmp_path):
    family = Family(tmp_path, processes=2)
    family.begin(os.getpid())

    assert family.look().excess == "processes"


def test_who_works_in_the_folder_of_a_build_belongs_to_it(tmp_path):
    family = Family(tmp_path / "1-1")
    (tmp_path / "1-1").mkdir()
    (tmp_path / "1-10").mkdir()
    with subprocess.Popen(["sleep", "60"], cwd=tmp_path / "1-1") as inside:
        # As if that had left the family, and the last one were its head.
        with subprocess.Popen(["sleep", "60"], cwd=tmp_path / "1-10") as beside:
            family.kill()
            time.sleep(0.05)
            assert beside.poll() is None
            beside.kill()
        assert inside.wait(5) == -9
