"""deploy/builder-setup as far as it goes without a fresh machine; `make test-setup` goes the whole way."""

import configparser
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from builder.worker import STOPPED
from tests.programs import stand_in

ROOT = Path(__file__).resolve().parent.parent
SETUP = ROOT / "deploy" / "builder-setup"
UNIT = ROOT / "deploy" / "systemd" / "piwheels-builder.service"
GIVEN = ["https://w.example.org/", "pi-07"]
ADDRESS = "redis://b-pi-07:secret@10.8.0.1:6379/0"


def setup(*words, given=f"hush\n{ADDRESS}\n"):
    return subprocess.run(
        [SETUP, *words], input=given, capture_output=True, text=True, check=False, timeout=60
    )


def unit():
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    parser.read_string(UNIT.read_text())
    return parser


def test_a_dry_run_says_each_step_and_shows_no_secret():
    done = setup(*GIVEN, "--dry-run")

    assert done.returncode == 0, done.stderr
    steps = [line.removeprefix("== ") for line in done.stdout.splitlines() if line.startswith("== ")]
    assert [step.split(",")[0] for step in steps] == [
        "apt packages",
        "user piwheels",
        "the builder",
        "settings",
        "the folder of builds",
        "memory limits of the kernel",
        "the service",
        "check",
    ]
    assert "PIWHEELS_ORDERS_URL='redis://b-pi-07:...@10.8.0.1:6379/0'" in done.stdout
    assert "hush" not in done.stdout
    assert "secret" not in done.stdout
    assert not list(Path("/etc/piwheels").glob("builder.env.*"))


@pytest.mark.parametrize(
    ("named", "given"),
    [
        (("token", "orders-url"), ""),
        (("token",), f"{ADDRESS}\n"),
        (("orders-url",), "hush\n"),
        ((), f"hush\n{ADDRESS}"),
    ],
)
def test_both_keys_come_from_files_or_a_pipe(tmp_path, named, given):
    (tmp_path / "token").write_text("hush\n")
    (tmp_path / "orders-url").write_text(f"{ADDRESS}\n")
    files = [word for name in named for word in (f"--{name}-file", tmp_path / name)]

    done = setup(*GIVEN, *files, "--dry-run", given=given)

    assert done.returncode == 0, done.stderr
    assert "PIWHEELS_ORDERS_URL='redis://b-pi-07:...@10.8.0.1:6379/0'" in done.stdout
    assert "(the token)" in done.stdout


def test_whoever_sits_there_is_asked_before_anything_happens_and_is_not_seen_typing():
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "r+b", buffering=0) as terminal:
        process = subprocess.Popen([SETUP, *GIVEN], stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        shown = b""
        for question, answer in ((b"Token (", b"hush\n"), (b"address (", b"http://not-redis\n")):
            while question not in shown:
                shown += read(terminal)
            terminal.write(answer)
        while told := read(terminal):
            shown += told
        process.wait(60)

    assert process.returncode == 1
    assert b"must begin with redis://" in shown
    assert b"hush" not in shown
    assert b"not-redis" not in shown


def read(terminal):
    """Return what a terminal shows next; nothing when the last one at it has ended."""
    try:
        return terminal.read(1000)
    except OSError:
        return b""


def test_keys_that_are_not_given_stay_as_they_are():
    done = setup(*GIVEN, "--dry-run", given="")

    assert done.returncode == 0, done.stderr
    assert "PIWHEELS_ORDERS_URL" not in done.stdout
    assert "builder-token" not in done.stdout


@pytest.fixture
def again(tmp_path):
    """Return what runs the setup on a machine that it has set up, with what it was told then."""
    (tmp_path / "deploy").mkdir()
    for path in ROOT.iterdir():
        if path.name != "deploy":
            (tmp_path / path.name).symlink_to(path)
    for path in SETUP.parent.iterdir():
        (tmp_path / "deploy" / path.name).symlink_to(path)
    program = tmp_path / "deploy" / SETUP.name
    program.unlink()
    ours = {"ETC=/etc/piwheels": f"ETC={tmp_path}", "HOME_DIR=/var/lib/piwheels": f"HOME_DIR={tmp_path}"}
    text = SETUP.read_text()
    for line, instead in ours.items():
        text = text.replace(f"\n{line}\n", f"\n{instead}\n")
    program.write_text(text)
    program.chmod(0o755)
    (tmp_path / "builder-setup.conf").write_text(
        "server='https://w.example.org/'\nname='pi-07'\nimage=false\nmany=false\n"
    )

    def run(*words, dry_run=True, umask=-1):
        called = [program, *(["--dry-run"] if dry_run else []), *words]
        env = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
        return subprocess.run(
            called, input="", env=env, capture_output=True, text=True, check=False, timeout=60, umask=umask
        )

    return run


def test_server_name_and_options_are_those_of_the_last_time(again):
    done = again()

    assert done.returncode == 0, done.stderr
    assert "PIWHEELS_SERVER='https://w.example.org/'" in done.stdout
    assert "PIWHEELS_BUILDER='pi-07'" in done.stdout
    assert "on the system's own disk, as you wish" in done.stdout
    assert "many=false" in done.stdout


def test_what_is_said_now_takes_the_place_of_what_was_said(again):
    told = again("https://other.example.org/", "pi-08").stdout

    assert "PIWHEELS_SERVER='https://other.example.org/'" in told
    assert "PIWHEELS_BUILDER='pi-08'" in told


def test_the_check_alone_changes_nothing(again):
    done = again("--check")

    assert done.returncode == 0, done.stderr
    steps = [line for line in done.stdout.splitlines() if line.startswith("== ")]
    assert steps == ["== check"]
    assert "would write" not in done.stdout


def test_the_check_has_the_settings_that_the_service_has_and_runs_nothing_of_them(again, tmp_path):
    """A shell would take the second word for a command, and the third for another."""
    (tmp_path / "builder.env").write_text("PIWHEELS_NOTE=a $(touch x) b\nPIWHEELS_BUILDER='pi-07'\n")
    (tmp_path / "builder-token").write_text("hush\n")
    for name, told in {"id": "echo 0", "setpriv": "env"}.items():
        stand_in(tmp_path / "bin" / name, told)

    done = again("--check", dry_run=False)

    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    assert "PIWHEELS_NOTE=a $(touch x) b" in told
    assert "PIWHEELS_BUILDER=pi-07" in told
    assert "PIWHEELS_BUILDER_TOKEN=hush" in told
    assert not (tmp_path / "x").exists()


def test_a_root_who_hides_his_files_hides_none_from_the_builder(again, tmp_path):
    (tmp_path / "builder.env").touch()
    (tmp_path / "builder-token").write_text("hush\n")
    for name, told in {"id": "echo 0", "setpriv": "umask"}.items():
        stand_in(tmp_path / "bin" / name, told)

    assert again("--check", dry_run=False, umask=0o077).stdout.endswith("\n0022\n")


@pytest.mark.parametrize("state", ["active", "deactivating"])
def test_a_builder_ends_its_build_before_its_program_is_replaced(again, tmp_path, state):
    stand_in(tmp_path / "bin" / "systemctl", f"echo {state}")

    told = again().stdout

    words = ("waiting until the builder has ended", "systemctl stop", "-m venv", "systemctl restart")
    assert sorted(words, key=told.index) == list(words)


@pytest.mark.parametrize("script", ["echo inactive; exit 3", "exit 127", "echo failed; exit 3"])
def test_nobody_waits_for_a_builder_that_does_not_run(again, tmp_path, script):
    stand_in(tmp_path / "bin" / "systemctl", script)

    done = again()

    assert done.returncode == 0, done.stderr
    assert "waiting" not in done.stdout
    assert "systemctl stop" not in done.stdout


def test_a_builder_is_said_to_be_waited_for_as_long_as_systemd_does(again, tmp_path):
    stand_in(tmp_path / "bin" / "systemctl", "echo active")

    told = again().stdout

    (minutes,) = re.findall(r"for ([0-9]+) minutes at most", told)
    assert unit()["Service"]["TimeoutStopSec"] == f"{minutes}min"


def test_no_option_takes_a_secret():
    """It would be in the list of processes, in sudo's log and in the history of a shell."""
    done = setup(*GIVEN, "--orders-url", ADDRESS, "--dry-run")

    assert done.returncode != 0
    assert "There is no option --orders-url;" in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "Usage"),
        (["https://w.example.org/"], "Usage"),
        (["w.example.org", "pi-07"], "must begin with https://"),
        (["https://w.example.org/", "Pi 7"], "lower-case letters"),
        (["https://w.example.org/", "pi-07", "pi-08"], "What is pi-08?"),
        (["https://w.example.org/", "pi-07", "--faster"], "There is no option --faster"),
        (["https://w.example.org/", "pi-07", "--token-file"], "--token-file needs a value"),
        (["https://w.example.org/", "pi-07", "--work-size", "much"], "must be a size as 16G, and not much"),
        (["https://w.example.org/", "pi-07", "--work-size", "-1G"], "must be a size as 16G, and not -1G"),
    ],
)
def test_what_it_cannot_do_it_says(words, says):
    done = setup("--dry-run", *words)

    assert done.returncode != 0
    assert says in done.stderr


@pytest.mark.parametrize(
    ("address", "says"), [("http://x", "must begin with redis://"), ("redis://x'; rm -rf /", "no quotes")]
)
def test_what_is_no_address_of_redis_is_not_written(address, says):
    done = setup(*GIVEN, "--dry-run", given=f"hush\n{address}\n")

    assert done.returncode != 0
    assert says in done.stderr


@pytest.fixture
def work(tmp_path):
    """Return what makes the folder of builds alone, on a disk that has so many MiB free."""
    functions, _, _ = SETUP.read_text().partition("\nsource=")
    bin_ = tmp_path / "bin"
    for name in ("install", "chown"):
        stand_in(bin_ / name, "exit 0")

    def make(*words, free, fallocate='exec /usr/bin/fallocate "$@"'):
        stand_in(bin_ / "df", f"echo Avail; echo '  {free}'")
        stand_in(bin_ / "id", "echo 0")
        stand_in(bin_ / "fallocate", fallocate)
        lines = [
            functions.replace("\nHOME_DIR=/var/lib/piwheels\n", f"\nHOME_DIR={tmp_path}\n"),
            f"source={ROOT}",
            '. "$source/deploy/setup-steps.sh"',
            f"UNITS={tmp_path} ETC={tmp_path} ANSWERS={tmp_path}/none TOKEN_FILE={tmp_path}/token",
            'read_arguments "$@"',
            "make_work",
        ]
        return subprocess.run(
            ["sh", "-c", "\n".join(lines), SETUP.name, *GIVEN, *words],
            input=f"hush\n{ADDRESS}\n",
            env={**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}:/usr/sbin:/sbin"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return make


def test_the_disk_gives_the_file_system_for_builds_at_once(work, tmp_path):
    done = work("--work-size", "64M", free=2000)

    assert done.returncode == 0, done.stderr
    image = (tmp_path / "work.img").stat()
    assert image.st_size == 64 << 20
    # Some of its blocks may be kept as a note that they are zero.
    assert image.st_blocks * 512 > 0.9 * image.st_size


@pytest.mark.parametrize(
    ("words", "free", "size"),
    [
        (["--work-size", "16G"], 17407, 16384),
        (["--work-size", "1000M"], 2023, 1000),
        ([], 5119, 4096),
    ],
)
def test_a_file_system_for_builds_leaves_the_system_some_of_its_disk(work, tmp_path, words, free, size):
    done = work(*words, free=free)

    assert done.returncode == 1
    assert f"The disk has only {free} MiB free, and a file system for builds of {size} MiB" in done.stderr
    assert not list(tmp_path.glob("work.img*"))


@pytest.mark.parametrize(
    ("words", "free", "size"),
    [(["--work-size", "16G"], 17408, 16384), ([], 5120, 4096), ([], 60000, 30000), ([], 999_999, 65536)],
)
def test_a_file_system_for_builds_is_as_large_as_was_said_or_takes_half(work, words, free, size):
    done = work(*words, free=free, fallocate='echo "asked for $*"; exit 1')

    assert f"asked for --length {size}MiB " in done.stdout


def test_a_disk_that_gives_nothing_at_once_is_told_of(work, tmp_path):
    done = work("--work-size", "64M", free=2000, fallocate="echo fallocate: not supported >&2; exit 1")

    assert done.returncode == 1
    assert "fallocate: not supported" in done.stderr
    assert "does not give 64 MiB at once (see above)" in done.stderr
    assert not list(tmp_path.glob("work.img*"))


@pytest.mark.parametrize(
    ("free", "says", "blocks"),
    [(2000, "it has all of its blocks now", 64 << 20), (1087, "it lacks 64 MiB that the disk has not", 0)],
)
def test_a_file_system_for_builds_of_before_gets_the_blocks_that_it_lacks(work, tmp_path, free, says, blocks):
    image = tmp_path / "work.img"
    with image.open("wb") as file:
        file.truncate(64 << 20)

    done = work(free=free)

    assert (done.returncode, done.stderr) == (0, "")
    assert says in done.stdout
    assert image.stat().st_blocks * 512 == pytest.approx(blocks, abs=1 << 20)


def test_what_was_cut_short_keeps_no_part_of_the_disk(work, tmp_path):
    (tmp_path / "work.img.new").write_bytes(b"x" * 1000)
    stand_in(tmp_path / "bin" / "mkfs.ext4", "exit 1")

    done = work("--work-size", "64M", free=2000)

    assert done.returncode == 1
    assert "No file system can be made" in done.stderr
    assert not list(tmp_path.glob("work.img*"))


def test_it_is_a_program_of_the_plain_shell():
    assert SETUP.read_text().startswith("#!/bin/sh\n")
    assert SETUP.stat().st_mode & 0o111
    assert subprocess.run(["sh", "-n", SETUP], check=False).returncode == 0


def test_a_stopped_builder_is_not_started_again():
    service = unit()["Service"]

    assert str(STOPPED) in service["RestartPreventExitStatus"].split()
    assert service["SuccessExitStatus"] == str(STOPPED)
    assert service["KillMode"] == "mixed"


@pytest.mark.parametrize(
    "name",
    [
        *("RestrictSUIDSGID", "ProtectKernelTunables", "ProtectKernelLogs", "ProtectHostname", "ProcSubset"),
        *("ProtectControlGroups", "LockPersonality"),
    ],
)
def test_nothing_in_the_unit_breaks_the_sandbox(name):
    service = unit()["Service"]

    assert name not in service
    assert "AF_NETLINK" in service["RestrictAddressFamilies"]
    assert service["RestrictNamespaces"] != "yes"


def test_what_must_be_there_is_named_before_what_is_wanted():
    lines = (ROOT / "deploy" / "builder-packages.txt").read_text().splitlines()
    names = [line for line in lines if line and not line.startswith("#")]
    needed, wanted = names[: names.index("wanted")], names[names.index("wanted") + 1 :]

    assert {"python3-venv", "python3-dev", "bubblewrap", "libseccomp2", "dpkg-dev", "gcc"} <= set(needed)
    assert len(set(names)) == len(names)
    assert all(name.islower() and " " not in name for name in [*needed, *wanted])
