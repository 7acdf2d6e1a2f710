"""deploy/server-setup as far as it goes without a fresh machine; `make test-server-setup` does the rest."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.stack import NGINX

ROOT = Path(__file__).resolve().parent.parent
SETUP = ROOT / "deploy" / "server-setup"
SYSTEMD = ROOT / "deploy" / "systemd"
SERVICES = [SYSTEMD / f"piwheels-{name}.service" for name in ("web", "worker", "beat", "downloads", "redis")]
GIVEN = ["wheels.example.org", "--self-signed"]
# systemd's own measure, of 10; its word for what is below 2 is OK.
MOST_EXPOSED = "20"


def setup(*words):
    return subprocess.run(
        [SETUP, "--dry-run", *words], capture_output=True, text=True, check=False, timeout=60
    )


def unit(path):
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    parser.read_string(path.read_text())
    return parser


def test_a_dry_run_says_each_step_and_draws_nothing():
    done = setup(*GIVEN, "--watch", "lxml numpy")

    assert done.returncode == 0, done.stderr
    steps = [line.removeprefix("== ") for line in done.stdout.splitlines() if line.startswith("== ")]
    assert [step.split(",")[0].split(":")[0].split(" 0.")[0] for step in steps] == [
        "apt packages",
        "users piwheels-server and piwheels-redis",
        "release",
        "PostgreSQL",
        "Redis",
        "settings",
        "migrate",
        "nginx",
        "units",
        "start",
        "the first administrator",
        "check",
    ]
    assert "PIWHEELS_WATCH='lxml numpy'" in done.stdout
    assert "redis://server:...@127.0.0.1:6380/0" in done.stdout
    assert not Path("/etc/piwheels/server.env.new").exists()


def test_what_a_release_needs_is_looked_at_before_anything_changes():
    done = setup(*GIVEN)

    deeds = re.findall(r"would run: (?:piwheels-manage (check|migrate)|(ln) )", done.stdout)
    assert ["".join(deed) for deed in deeds] == ["check", "migrate", "ln"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "Usage"),
        (["wheels.example.org"], "--self-signed, or --behind-proxy"),
        (["https://wheels.example.org/", "--self-signed"], "must be a host name"),
        (["wheels.example.org", "other.example.org", "--self-signed"], "What is other.example.org?"),
        ([*GIVEN, "--faster"], "There is no option --faster"),
        ([*GIVEN, "--hsts"], "--hsts needs a value"),
        ([*GIVEN, "--hsts", "a year"], "must be a number of seconds"),
        ([*GIVEN, "--redis", "redis.example.org"], "must be an address in figures"),
        ([*GIVEN, "--admin", "me;you"], "must be letters"),
        ([*GIVEN, "--watch", "lxml';id;'"], "must be names of packages"),
        ([*GIVEN, "--pypi", "https://index.example.org/simple"], "ends in a slash"),
        ([*GIVEN, "--pypi", "https://index.example.org/$(id)/"], "no spaces, quotes"),
        (["wheels.example.org", "--certificate", "/etc/ssl/own.pem"], "--certificate needs --key"),
        (["wheels.example.org", "--behind-proxy", "8080"], "must be as 127.0.0.1:8080"),
        ([*GIVEN, "--back", "0.0.1-nothing"], "There is no whole release 0.0.1-nothing"),
    ],
)
def test_what_it_cannot_do_it_says(words, says):
    done = setup(*words)

    assert done.returncode != 0
    assert says in done.stderr


def test_behind_a_proxy_it_speaks_plain_http_and_believes_that_proxy():
    done = setup("wheels.example.org", "--behind-proxy", "127.0.0.1:8080")

    assert done.returncode == 0, done.stderr
    assert "behind-proxy.conf /etc/piwheels/nginx/local/" in done.stdout
    assert "piwheels-http.conf (root" not in done.stdout


@pytest.mark.parametrize("name", ["server-setup", "piwheels-manage"])
def test_it_is_a_program_of_the_plain_shell(name):
    program = ROOT / "deploy" / name

    assert program.read_text().startswith("#!/bin/sh\n")
    assert program.stat().st_mode & 0o111
    parts = [program, *ROOT.glob("deploy/*.sh")]
    assert [subprocess.run(["sh", "-n", part], check=False).returncode for part in parts] == [0] * len(parts)


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.stem)
def test_a_service_comes_back_and_has_no_secret_in_its_environment(path):
    service = unit(path)["Service"]

    assert service["Restart"] == "always"
    assert unit(path)["Unit"]["StartLimitIntervalSec"] == "0"
    told = re.findall(r"^Environment=(.*)$", path.read_text(), re.M)
    named = [word.partition("=")[0] for line in told for word in line.split()]
    assert not {"SECRET_KEY", "REDIS_URL", "PIWHEELS_ORDERS_URL", "DATABASE_URL"} & set(named)


@pytest.mark.parametrize(
    "path", [*SERVICES, SYSTEMD / "piwheels-builder.service"], ids=lambda path: path.stem
)
def test_systemd_watches_every_service_of_ours(path):
    """Redis is not ours, and tells nothing."""
    assert ("WatchdogSec" in unit(path)["Service"]) == (path.stem != "piwheels-redis")


def test_the_redis_user_that_makes_others_is_the_sites_alone():
    assert [path.stem for path in SERVICES if "=redis-admin-url:" in path.read_text()] == ["piwheels-web"]


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.stem)
def test_an_operators_secret_may_lie_beside_ours_and_that_user_is_hidden(path):
    """NAME_FILE=/etc/piwheels/secrets/mail, as docs/installing.md has it, is read by each of the server's."""
    hidden = unit(path)["Service"]["InaccessiblePaths"]

    everything = "-/etc/piwheels/secrets"
    assert hidden == (everything if path.stem == "piwheels-redis" else f"{everything}/redis-admin-url")


def hardening(path):
    """Return what a unit says after its first empty line below [Service], but for whose files it sees."""
    words = path.read_text().partition("NoNewPrivileges=")[2].partition("[Install]")[0]
    own = ("ReadWritePaths", "InaccessiblePaths", "UMask")
    return [line for line in words.splitlines() if not line.startswith(own)]


def test_all_services_are_walled_in_alike():
    walls = {tuple(hardening(path)) for path in SERVICES}

    assert len(walls) == 1
    assert "SystemCallFilter=@system-service" in walls.pop()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd here")
@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.stem)
def test_systemd_finds_little_to_fear_in_a_service(path):
    words = [
        "systemd-analyze",
        "security",
        "--offline=true",
        f"--threshold={MOST_EXPOSED}",
        "--no-pager",
        path,
    ]

    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


def test_a_restart_of_the_site_drops_nobody():
    """The socket is systemd's, and stays."""
    web = unit(SYSTEMD / "piwheels-web.service")

    assert web["Unit"]["Requires"] == "piwheels-web.socket"
    assert "--bind" not in web["Service"]["ExecStart"]
    listens = unit(SYSTEMD / "piwheels-web.socket")["Socket"]["ListenStream"]
    assert f"unix:{listens}" in (ROOT / "deploy" / "server-nginx.sh").read_text()


@pytest.mark.parametrize("template", ["piwheels.conf.template", "to-https.conf.template"])
def test_all_that_a_template_wants_is_filled_in(template):
    wanted = set(re.findall(r"\$\{(PIWHEELS_[A-Z_]+)\}", (NGINX / template).read_text()))

    filled = set(re.findall(r"\\\$\{([A-Z_]+)\}", (ROOT / "deploy" / "server-nginx.sh").read_text()))

    assert wanted <= filled


def test_redis_may_keep_a_quarter_of_what_its_unit_may_have():
    folder, service = ROOT / "deploy" / "redis", unit(SYSTEMD / "piwheels-redis.service")["Service"]
    kept = {size: (folder / f"{size}.conf").read_text().split()[-2:] for size in ("small", "large")}
    larger = re.search(r"s/\^MemoryMax=(\w+)\$/MemoryMax=(\w+)/", SETUP.read_text())

    assert kept == {"small": ["maxmemory", "64mb"], "large": ["maxmemory", "256mb"]}
    assert (service["MemoryMax"], *larger.groups()) == ("256M", "256M", "1G")
    written = setup(*GIVEN).stdout.partition("would write /etc/piwheels/redis.conf ")[2].partition("would")[0]
    assert re.search(r"^ +maxmemory (64|256)mb$", written, re.M)


def settings(name):
    lines = (ROOT / "deploy" / "postgresql" / f"{name}.conf").read_text().splitlines()
    return dict(line.split(" = ") for line in lines if line and not line.startswith("#"))


def test_the_large_database_has_the_settings_of_the_small_one():
    small, large = settings("small"), settings("large")

    assert set(small) - set(large) == {"max_parallel_workers_per_gather"}
    assert not {"fsync", "full_page_writes", "synchronous_commit"} & {*small, *large}
