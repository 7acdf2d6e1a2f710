import errno
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from builder import cgroup
from builder.cgroup import Group, Home, NoGroups
from builder.limits import Limits
from builder.tests.waiting import until

UNLIMITED = Limits(time_s=60.0)


def found() -> Home:
    try:
        return cgroup.find()
    except NoGroups as error:
        pytest.skip(f"no cgroups here: {error}")


def plain() -> Home:
    """Return a tree of the second kind, with or without controllers; those stay with whoever has them."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        point = Path(before.split()[4])
        if after.startswith("cgroup2 ") and os.access(point, os.W_OK):
            return Home(2, point, point, point)
    pytest.skip("no tree of cgroup v2 that we may write to")


@pytest.fixture(params=[found, plain])
def home(request):
    return request.param()


def start(group: Group, code: str) -> subprocess.Popen[bytes]:
    enter = "import sys\nfor door in sys.argv[1:]: open(door, 'w').write('0')\nprint('in', flush=True)\n"
    process = subprocess.Popen(
        [sys.executable, "-c", enter + code, *map(str, group.doors)], stdout=subprocess.PIPE, bufsize=0
    )
    assert process.stdout.readline() == b"in\n"
    return process


def test_all_in_a_group_are_known_measured_and_killed(home):
    group = Group(home, UNLIMITED)

    with start(
        group, "import os, time; os.fork()\nsum(range(3000000)); os.write(1, b'x\\n'); time.sleep(60)"
    ) as process:
        process.stdout.readline()
        process.stdout.readline()
        usage = group.look()
        assert len(group.pids) == 2
        assert os.getpid() not in group.pids
        group.kill()
        assert group.pids == []
    group.remove()

    assert 0.02 < usage.cpu_s < 10
    assert usage.excess == ""
    assert process.returncode == -9
    assert not any(door.parent.exists() for door in group.doors)


def test_a_group_whose_last_process_dies_slowly_is_removed_when_the_next_is_made(home, monkeypatch):
    monkeypatch.setattr(cgroup, "_PATIENCE_S", 0.05)
    slow = Group(home, UNLIMITED)

    with start(slow, "import time; time.sleep(5)") as process:
        slow.remove()
        Group(home, UNLIMITED).remove()
        assert all(door.exists() for door in slow.doors)
        process.kill()
    Group(home, UNLIMITED).remove()

    assert not any(door.parent.exists() for door in slow.doors)


def test_a_group_that_cannot_be_removed_does_not_hide_how_its_run_ended(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(cgroup, "_PATIENCE_S", 0.05)
    busy = OSError(errno.EBUSY, "Device or resource busy")
    group = Group(Home(2, tmp_path, tmp_path, tmp_path), UNLIMITED)

    with patch.object(Path, "rmdir", side_effect=busy):
        group.remove()

    assert "is still in use; it is removed later" in caplog.text
    Group(Home(2, tmp_path, tmp_path, tmp_path), UNLIMITED).remove()
    assert list(tmp_path.iterdir()) == []


def test_too_much_memory_is_noticed():
    group = Group(found(), Limits(60.0, memory_bytes=32 << 20))

    with start(group, "held = bytes(range(256)) * (1 << 20)"):
        excess = until(lambda: group.look().excess)
        group.kill()
    peak = group.look().memory_bytes
    group.remove()

    assert excess == "memory"
    assert (20 << 20) < peak <= (32 << 20)


def test_too_many_processes_are_noticed():
    group = Group(found(), Limits(60.0, processes=5))

    with start(group, "import os, time\nfor _ in range(9): os.fork()"):
        excess = until(lambda: group.look().excess)
        group.kill()
    group.remove()

    assert excess == "processes"


def test_who_stays_within_the_limits_is_left_alone():
    group = Group(found(), Limits(60.0, memory_bytes=256 << 20, processes=20))

    with start(group, "held = b'x' * (16 << 20)") as process:
        process.wait(10)
    usage = group.look()
    group.remove()

    assert usage.excess == ""
    assert process.returncode == 0
    assert usage.memory_bytes > 1 << 20


@pytest.mark.parametrize(
    ("events", "peak", "excess"),
    [
        ("max 9\noom 1\noom_kill 1\n", 100 << 20, "memory"),
        ("max 9\noom 0\noom_kill 0\n", 100 << 20, ""),
        # The limit of a group above it was reached, or that of the machine.
        ("max 0\noom 0\noom_kill 1\n", 10 << 20, "machine"),
        ("max 0\noom 0\noom_kill 1\n", 90 << 20, "memory"),
    ],
)
def test_who_is_killed_for_the_memory_that_others_took_had_not_too_much(tmp_path, events, peak, excess):
    group = Group(Home(2, tmp_path, tmp_path, tmp_path), Limits(60.0, memory_bytes=100 << 20))
    folder = group.doors[0].parent
    (folder / "memory.events").write_text(events)
    (folder / "memory.peak").write_text(f"{peak}\n")

    assert group.look().excess == excess


def test_leftovers_of_a_killed_builder_are_ended_and_removed():
    found()
    code = """
import os, subprocess, sys
from builder import cgroup
from builder.limits import Limits
group = cgroup.Group(cgroup.find(), Limits(time_s=60.0))
enter = 'for door; do echo 0 > "$door"; done; exec sleep 600'
subprocess.Popen(["/bin/sh", "-c", enter, "sh", *map(str, group.doors)])
while not all(door.read_text() for door in group.doors): pass
print(group.doors[0].parent, flush=True)
"""
    root = Path(cgroup.__file__).parents[1]
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE, start_new_session=True, text=True
    ) as builder:
        left = Path(builder.stdout.readline().strip())
        ours = Group(cgroup.find(), UNLIMITED)
    assert left.is_absolute()
    assert left.exists()

    cgroup.tidy()

    assert not left.exists()
    assert ours.doors[0].exists()
    ours.remove()


# The kernel's tree as plain files: what systemd makes of it, no test may rearrange.
@pytest.fixture
def tree(tmp_path):
    top = tmp_path / "cgroup"
    make(top / "builder.service", processes="17\n18\n", controllers="cpu memory pids")
    (top / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    return top


def make(folder: Path, *, processes: str = "", controllers: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {
        "cgroup.procs": processes,
        "cgroup.controllers": controllers,
        "cgroup.subtree_control": "",
        "cgroup.type": "domain",
    }.items():
        (folder / name).write_text(text)


def test_a_builder_moves_aside_in_the_group_that_was_delegated_to_it(tree):
    home = cgroup.delegated("/builder.service", tree)

    assert home == Home(2, *[tree / "builder.service"] * 3)
    assert (tree / "builder.service" / "supervisor" / "cgroup.procs").read_text() == "18"
    assert (tree / "builder.service" / "cgroup.subtree_control").read_text() == "+memory +pids"


def test_a_builder_that_is_in_a_group_of_its_own_stays_there(tree):
    make(tree / "builder.service" / "supervisor", processes="17\n")
    (tree / "builder.service" / "cgroup.procs").write_text("")

    home = cgroup.delegated("/builder.service/supervisor", tree)

    assert home.memory == tree / "builder.service"
    assert (tree / "builder.service" / "supervisor" / "cgroup.procs").read_text() == "17\n"


def test_a_kernel_without_memory_groups_is_told_what_to_add(tree):
    (tree / "cgroup.controllers").write_text("cpuset cpu io pids\n")

    with pytest.raises(NoGroups, match=r"no memory controller: add cgroup_enable=memory .*cmdline.txt"):
        cgroup.delegated("/builder.service", tree)


def test_controllers_that_were_not_delegated_are_asked_for(tree):
    (tree / "builder.service" / "cgroup.controllers").write_text("cpu pids")

    with pytest.raises(NoGroups, match=r'memory is not delegated.*"Delegate=memory pids"'):
        cgroup.delegated("/builder.service", tree)


def test_a_group_that_is_not_the_builders_is_left_as_it_is(tree):
    make(tree / "user.slice" / "session.scope", processes="17\n", controllers="memory pids")
    (tree / "cgroup.procs").write_text("1\n")
    make(tree / "user.slice", controllers="memory pids")
    # For whoever is not root; root goes by what systemd says.
    for path in sorted((tree / "user.slice").rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)

    with pytest.raises(NoGroups, match="No cgroup is the builder's own"):
        cgroup.delegated("/user.slice/session.scope", tree)

    assert not (tree / "user.slice" / "session.scope" / "supervisor").exists()
