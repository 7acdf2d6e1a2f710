"""deploy/builder-setup as far as it goes without a fresh machine; `make test-setup` goes the whole way."""

import configparser
import subprocess
from pathlib import Path

import pytest

from builder.worker import STOPPED

ROOT = Path(__file__).resolve().parent.parent
SETUP = ROOT / "deploy" / "builder-setup"
UNIT = ROOT / "deploy" / "systemd" / "piwheels-builder.service"
GIVEN = ["https://w.example.org/", "pi-07", "--orders-url", "redis://b-pi-07:secret@10.8.0.1:6379/0"]


def setup(*words, given="hush\n"):
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
    assert not Path("/etc/piwheels/builder.env.new").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "Usage"),
        (["https://w.example.org/"], "Usage"),
        (["w.example.org", "pi-07"], "must begin with https://"),
        (["https://w.example.org/", "Pi 7"], "lower-case letters"),
        (["https://w.example.org/", "pi-07", "pi-08"], "What is pi-08?"),
        (["https://w.example.org/", "pi-07", "--faster"], "There is no option --faster"),
        (["https://w.example.org/", "pi-07", "--orders-url"], "--orders-url needs a value"),
        (["https://w.example.org/", "pi-07", "--orders-url", "http://x"], "must begin with redis://"),
        (["https://w.example.org/", "pi-07", "--orders-url", "redis://x'; rm -rf /"], "no quotes"),
    ],
)
def test_what_it_cannot_do_it_says(words, says):
    done = setup("--dry-run", *words)

    assert done.returncode != 0
    assert says in done.stderr


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
    ["RestrictSUIDSGID", "ProtectKernelTunables", "ProtectKernelLogs", "ProcSubset", "ProtectControlGroups"],
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
