import os
import subprocess
import sys
from pathlib import Path

import pytest

from builder import preflight
from builder.place import remove_leftovers
from builder.preflight import find
from builder.sandbox import Level
from builder.tests.boxes import kind_of


def test_the_best_level_lacks_nothing(tmp_path):
    kind = kind_of(Level.FULL)

    assert kind.lacks == ()
    assert kind.filter
    assert kind.groups


def test_nothing_is_left_of_the_trials(tmp_path):
    find(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_trial_left_is_removed(tmp_path):
    (tmp_path / f"{preflight.PREFLIGHT}abc" / "place").mkdir(parents=True)

    remove_leftovers(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_who_allows_less_is_told_that_this_is_why(tmp_path):
    kind = find(tmp_path, at_most=Level.BARE)

    assert kind.level is Level.BARE
    assert kind.lacks == ("PIWHEELS_SANDBOX_AT_MOST allows no more.",)


def test_T39_without_bubblewrap_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    kind = find(tmp_path)

    assert kind.level is Level.BARE
    assert kind.lacks == ("bubblewrap is not installed: apt install bubblewrap.",)


ASK = "import pathlib, sys; from builder.preflight import find; print(find(pathlib.Path(sys.argv[1])))"


def ask(*around: str, folder: Path) -> str:
    """Return what is found by a process in a world that these words make."""
    command = [*around, sys.executable, "-c", ASK, str(folder)]
    root = Path(preflight.__file__).parents[1]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout


def test_T39_where_user_namespaces_are_forbidden_it_is_said_how_to_allow_them(tmp_path):
    kind_of(Level.BOX)

    told = ask(
        *("unshare", "--user", "--map-root-user"),
        *("sh", "-c", 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"', "sh"),
        folder=tmp_path,
    )

    assert "Level.BARE" in told
    assert "put user.max_user_namespaces=15000 into /etc/sysctl.d/piwheels.conf" in told


def test_T39_where_there_are_no_groups_the_box_is_left(tmp_path):
    kind_of(Level.BOX)
    if os.geteuid() != 0:
        pytest.skip("only root can take the tree of cgroups away")

    told = ask(
        *("unshare", "--mount", "sh", "-c", 'umount --recursive /sys/fs/cgroup && exec "$@"', "sh"),
        folder=tmp_path,
    )

    assert "Level.BOX" in told
    assert "The kernel's tree of cgroups is not mounted at /sys/fs/cgroup." in told


# What systemd does to a unit that forbids something.
_IN_A_UNIT = """
import sys
from pathlib import Path
import pyseccomp
rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
rules.add_rule(pyseccomp.ERRNO(1), "reboot")
rules.load()
from builder.preflight import find
kind = find(Path(sys.argv[1]))
print(kind.level, bool(kind.filter), *kind.lacks)
"""


def test_a_filter_that_the_builder_itself_is_under_is_not_taken_for_the_sandboxs(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _IN_A_UNIT, tmp_path], capture_output=True, text=True, check=False
    )

    level, has_filter, *_ = done.stdout.split()
    assert (level != Level.BARE, has_filter) == (True, "True"), done.stdout + done.stderr
