"""deploy/piwheels-manage, with a farm of files that only say how they were called."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.programs import stand_in

PROGRAM = Path(__file__).resolve().parent.parent / "deploy" / "piwheels-manage"


@pytest.fixture
def manage(tmp_path):
    """Return what calls it in a folder, and returns the lines that manage.py would see."""
    stand_in(tmp_path / "bin" / "id", "echo 0")
    stand_in(tmp_path / "bin" / "setpriv", 'while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"')
    stand_in(tmp_path / "release" / "venv" / "bin" / "python", 'pwd; echo "$SUDO_USER"; printf "%s\\n" "$@"')
    (tmp_path / "server.env").write_text("SUDO_USER='nobody'\n")
    (tmp_path / "current").symlink_to("release")
    deploy = tmp_path / "release" / "deploy"
    deploy.mkdir()
    for path in (PROGRAM, PROGRAM.with_name("env-file.sh")):
        shutil.copy(path, deploy)
    installed = deploy / PROGRAM.name
    installed.write_text(installed.read_text().replace("ETC=/etc/piwheels", f"ETC={tmp_path}"))
    program = tmp_path / "bin" / "piwheels-manage"
    program.symlink_to("../current/deploy/piwheels-manage")

    def manage(folder, *words, umask=-1, **env):
        path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        env = {"PATH": path, "PIWHEELS_RELEASE": str(tmp_path / "current"), **env}
        called = subprocess.run(
            [program, *words],
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            check=True,
            umask=umask,
        )
        return called.stdout.splitlines()

    return manage


def test_files_are_those_of_the_folder_where_it_is_said(manage, tmp_path):
    (tmp_path / "home").mkdir()

    folder, _, *words = manage(tmp_path / "home", "import_wheels", "dist/a b.whl")

    assert folder == str(tmp_path / "home")
    assert words == [str(tmp_path / "release" / "manage.py"), "import_wheels", "dist/a b.whl"]


def test_who_said_sudo_is_handed_on(manage, tmp_path):
    assert manage(tmp_path, "help", SUDO_USER="ben")[1] == "ben"
    assert manage(tmp_path, "help")[1] == ""


def test_nginx_can_read_what_is_published_by_a_root_who_hides_his_files(manage, tmp_path):
    stand_in(tmp_path / "release" / "venv" / "bin" / "python", "umask")

    assert manage(tmp_path, "rebuild_indexes", umask=0o077) == ["0022"]


# What a line says, and the value that systemd hands to a service; None: it is refused.
LINES = [
    ("PIWHEELS_WATCH=lxml numpy", "lxml numpy"),
    ("PIWHEELS_WATCH='lxml numpy'", "lxml numpy"),
    ('  PIWHEELS_WATCH = "lxml numpy"  ', "lxml numpy"),
    ("PIWHEELS_WATCH='$(touch x) `id` \\\\ \"'", '$(touch x) `id` \\\\ "'),
    ("PIWHEELS_WATCH=$HOME;id&", "$HOME;id&"),
    ("PIWHEELS_WATCH=it's", "it's"),
    ("PIWHEELS_WATCH=a#b=c", "a#b=c"),
    ("PIWHEELS_WATCH=", ""),
    ("PIWHEELS_WATCH=''", ""),
    ("PIWHEELS_WATCH=first\n# PIWHEELS_WATCH=second\n;PIWHEELS_WATCH=third", "first"),
    ("PIWHEELS_WATCH=first\nPIWHEELS_WATCH=second", "second"),
    ("PIWHEELS_WATCH='lxml", None),
    ("PIWHEELS_WATCH='a' 'b'", None),
    ("PIWHEELS_WATCH=a\\\nb", None),
    ("export PIWHEELS_WATCH=a", None),
    ("PIWHEELS_WATCH", None),
]


@pytest.mark.parametrize(("lines", "value"), LINES)
def test_settings_mean_what_they_mean_to_systemd_and_are_not_run(manage, tmp_path, lines, value):
    (tmp_path / "server.env").write_text(f"SUDO_USER=nobody\n{lines}")
    python = tmp_path / "release" / "venv" / "bin" / "python"
    stand_in(python, 'printf "%s" "$PIWHEELS_WATCH" >told')

    if value is None:
        with pytest.raises(subprocess.CalledProcessError):
            manage(tmp_path)
    else:
        manage(tmp_path)
        assert (tmp_path / "told").read_text() == value
    assert not (tmp_path / "x").exists()
