"""deploy/backup, with a farm of files; `make test-server-setup` backs up a real one, and restores it."""

import os
import re
import shlex
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import get_commands, load_command_class

from tests.programs import stand_in

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "deploy" / "backup"
PAGE = (ROOT / "docs" / "backups.md").read_text()
pytestmark = pytest.mark.skipif(not shutil.which("rsync"), reason="there is no rsync here")


def write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


class Farm:
    """A farm's files, and what it answers when it is asked for its settings."""

    def __init__(self, folder):
        self.folder, self.backup = folder, folder / "backup"
        self.storage, self.before = folder / "files", ""
        self.database = "/run/postgresql  piwheels"  # and no port
        self.storage.mkdir()
        live, archive = (folder / "etc" / "tls" / name for name in ("live", "archive"))
        write(archive / "chain1.pem", "chain")
        live.mkdir()
        (live / "chain.pem").symlink_to("../archive/chain1.pem")
        write(
            folder / "etc" / "piwheels" / "server-setup.conf",
            f"certificate='{live}/chain.pem'\nkey='{live}/key.pem'\n",
        )
        write(folder / "etc" / "units" / "piwheels-web.service.d" / "override.conf", "[Service]\n")
        write(folder / "redis" / "users.acl", "user b-pi-07 on\n")

    def save(self, *options):
        """Back it up, and return how that ended."""
        text = PROGRAM.read_text().replace("/etc/piwheels", f"{self.folder}/etc/piwheels")
        text = text.replace("/etc/systemd/system", f"{self.folder}/etc/units")
        write(self.folder / "program", text.replace("/var/lib/piwheels-redis", f"{self.folder}/redis"), 0o755)
        told = f"printf '%s\\n' '{self.database}' '{self.folder}' '{self.before}' '{self.storage}'"
        stand_in(self.folder / "bin" / "piwheels-manage", told)
        stand_in(self.folder / "bin" / "runuser", 'case "$*" in *psql*) echo 5 ;; *) echo rows ;; esac')
        stand_in(self.folder / "bin" / "id", "echo 0")
        return subprocess.run(
            [self.folder / "program", *options, self.backup],
            env={"PATH": f"{self.folder}/bin:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def settings(self):
        """Return the names of what a backup has beside rows and files."""
        with tarfile.open(self.backup / "settings.tar.gz") as archive:
            return {f"/{name}" for name in archive.getnames()}


@pytest.fixture
def farm(tmp_path):
    return Farm(tmp_path)


def test_it_has_rows_files_settings_and_what_the_setup_needs_to_begin(farm):
    write(farm.storage / "ab" / "cd" / "demo.whl", "wheel")

    done = farm.save()

    assert (done.returncode, done.stderr) == (0, "")
    (dump,) = farm.backup.glob("piwheels-[1-7].dump")
    assert dump.read_text() == "rows\n"
    assert (farm.backup / "files" / "ab" / "cd" / "demo.whl").read_text() == "wheel"
    wanted = ["etc/piwheels/server-setup.conf", "etc/tls/live/chain.pem", "etc/tls/archive/chain1.pem"]
    wanted += ["etc/units/piwheels-web.service.d/override.conf", "redis/users.acl"]
    assert {str(farm.folder / name) for name in wanted} <= farm.settings()
    assert (farm.folder / "backed-up").exists()
    assert {path.stat().st_mode & 0o777 for path in (dump, farm.backup / "settings.tar.gz")} == {0o600}


def test_a_file_that_was_cut_short_is_copied_again(farm):
    write(farm.storage / "demo.whl", "the whole wheel")
    os.utime(farm.storage / "demo.whl", (1e9, 1e9))
    write(farm.backup / "files" / "demo.whl", "the who")

    assert farm.save().returncode == 0

    assert (farm.backup / "files" / "demo.whl").read_text() == "the whole wheel"


@pytest.mark.parametrize(
    ("free", "says"), [((2 << 30) + 4, "the dump of the database"), ((2 << 30) + 10, "the files of")]
)
def test_it_leaves_the_farm_its_disk_and_no_half_dump(farm, free, says):
    write(farm.storage / "demo.whl", "the whole wheel")
    write(farm.backup / "piwheels-1.dump.new", "half")
    stand_in(farm.folder / "bin" / "df", f"printf 'Avail\\n{free}\\n'")

    done = farm.save()

    assert done.returncode == 1
    assert f"has no room for {says}" in done.stderr
    assert not (farm.backup / "files" / "demo.whl").exists()
    assert not list(farm.backup.glob("*.new"))
    assert not (farm.folder / "backed-up").exists()


def test_it_follows_the_storage_and_has_both_while_files_move(farm):
    write(farm.storage / "old.whl", "old")
    farm.before, farm.storage = farm.storage, farm.folder / "larger disk"
    write(farm.storage / "new.whl", "new")

    assert farm.save().returncode == 0

    assert {path.name for path in (farm.backup / "files").iterdir()} == {"old.whl", "new.whl"}


def test_a_bucket_is_named_and_left_alone(farm):
    farm.storage = "s3://wheels/prefix"

    done = farm.save()

    assert done.returncode == 0
    assert "s3://wheels/prefix is a bucket" in done.stdout


def test_it_fails_where_something_is_missing(farm):
    farm.storage = farm.folder / "not-mounted"

    assert farm.save().returncode != 0
    assert not (farm.folder / "backed-up").exists()


@pytest.mark.parametrize(
    "database",
    [
        "db.example.org  piwheels",
        "/run/postgresql 5433 piwheels",
        "/run/postgresql  wheels",
        "None None /x.db",
    ],
)
def test_it_does_not_dump_a_database_that_the_farm_does_not_use(farm, database):
    farm.database = database

    done = farm.save()

    assert done.returncode == 1
    assert "another database than the one of the setup" in done.stderr
    assert not list(farm.backup.glob("*.dump"))


def test_what_belongs_to_a_database_elsewhere_is_saved_without_it(farm):
    farm.database = "db.example.org  piwheels"
    write(farm.storage / "ab" / "cd" / "demo.whl", "wheel")

    done = farm.save("--no-database")

    assert (done.returncode, done.stderr) == (0, "")
    assert not list(farm.backup.glob("*.dump"))
    assert (farm.backup / "files" / "ab" / "cd" / "demo.whl").read_text() == "wheel"
    assert (farm.backup / "settings.tar.gz").exists()
    assert (farm.folder / "backed-up").exists()


def test_nobody_leaves_the_farms_own_database_out(farm):
    done = farm.save("--no-database")

    assert done.returncode == 1
    assert "no backup of the farm goes without it" in done.stderr
    assert not (farm.folder / "backed-up").exists()


@pytest.mark.parametrize("line", re.findall(r"^piwheels-manage ([a-z].*?)(?: +#.*)?$", PAGE, re.M))
def test_what_the_page_has_an_operator_say_again_can_be_said(line):
    name, *words = shlex.split(line)
    parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)

    assert parser.parse_args(words)


def test_what_undone_deeds_are_found_by_is_what_the_database_has():
    [asked] = re.findall(r"SELECT ([a-z_, ]+) FROM (\w+) WHERE (\w+) > .* ORDER BY (\w+)", PAGE)

    columns = {*asked[0].split(", "), *asked[2:]}
    assert asked[1] == LogEntry._meta.db_table
    assert columns <= {field.column for field in LogEntry._meta.fields}


def test_a_restore_makes_the_folders_that_are_elsewhere_as_the_services_want_them(tmp_path):
    var, disk, backup = tmp_path / "var", tmp_path / "disk", tmp_path / "backup"
    settings = {
        "VAR": var,
        "PIWHEELS_PUBLIC": disk / "public",
        "PIWHEELS_INCOMING": var / "incoming",
        "PIWHEELS_BUNDLES": disk / "bundles",
        "PIWHEELS_STORAGE": var / "files",
    }
    for path in (disk / "public" / "simple" / "index.html", backup / "piwheels-1.dump", var / "backed-up"):
        write(path, "")
    told = "".join(f"*settings.{name}\\)) echo {path} ;;\n" for name, path in settings.items())
    programs = {
        "piwheels-manage": f'case "$*" in\n{told}esac',
        "install": f'echo "$*" >>{tmp_path}/made\nfor folder; do :; done\nmkdir -p "$folder"',
        **dict.fromkeys(("tar", "runuser", "rsync", "chown"), "exit 0"),
    }
    for name, does in programs.items():
        stand_in(tmp_path / "bin" / name, does)
    [lines] = re.findall(r"^```bash\n(\(\nset -e\nbackup=.*?)^```", PAGE, re.M | re.S)

    subprocess.run(
        ["bash", "-e", "-c", lines.replace("/var/backups/piwheels", str(backup))],
        env={"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"},
        check=True,
        timeout=60,
    )

    ours = "-d -o piwheels-server -g piwheels-server -m 0755"
    made = (tmp_path / "made").read_text().splitlines()
    assert made == [f"{ours} {disk}/public", f"{ours} {disk}/bundles"]
    assert not (disk / "public" / "simple").exists()
