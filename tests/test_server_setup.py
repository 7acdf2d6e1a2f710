"""deploy/server-setup as far as it goes without a fresh machine; `make test-server-setup` does the rest."""

import configparser
import re
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.programs import stand_in
from tests.stack import NGINX, PROGRAM

ROOT = Path(__file__).resolve().parent.parent
SETUP = ROOT / "deploy" / "server-setup"
SYSTEMD = ROOT / "deploy" / "systemd"
SERVICES = [SYSTEMD / f"piwheels-{name}.service" for name in ("web", "worker", "beat", "downloads", "redis")]
GIVEN = ["wheels.example.org", "--self-signed"]
BUILDER = SYSTEMD / "piwheels-builder.service"
# systemd's own measure, in tenths of its 10; of a builder, as little as the sandbox allows.
MOST_EXPOSED = {**dict.fromkeys(SERVICES, 20), BUILDER: 40}


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
        "settings and storage",
        "nginx",
        "migrate",
        "units",
        "start",
        "the first administrator",
        "check",
    ]
    assert "PIWHEELS_WATCH='lxml numpy'" in done.stdout
    assert "redis://server:...@127.0.0.1:6380/0" in done.stdout
    assert not list(Path("/etc/piwheels").glob("server.env.*"))


def test_what_a_release_needs_is_looked_at_before_anything_changes():
    done = setup(*GIVEN)

    switch = r"(mv) -T \S+ /opt/piwheels-server/current"
    deeds = re.findall(rf"would run: (?:piwheels-manage (check|migrate)|{switch})", done.stdout)
    assert ["".join(deed) for deed in deeds] == ["check", "migrate", "mv"]


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
        ([*GIVEN, "--back", "../piwheels-server/0.0.1"], "must be the name of a release"),
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


@pytest.fixture
def shell(tmp_path):
    """Return what runs lines of shell with the setup's functions, in folders that are not the system's."""
    parts = [
        SETUP,
        *(SETUP.with_name(f"{name}.sh") for name in ("setup-steps", "server-data", "server-nginx")),
    ]
    functions = "".join(part.read_text().partition("\nsource=$(cd")[0] + "\n" for part in parts)
    # Who owns a file is root's to say.
    own = f"OPT={tmp_path}/opt; ETC={tmp_path}; NGINX={tmp_path}/nginx; REDIS_VAR={tmp_path}"
    own += f"; chown() {{ :; }}; source={ROOT}"
    for name, value in re.findall(r"^(\w+)=(\$(?:OPT|ETC)/.*)$", functions, re.M):
        own += f"; {name}={value}"
    for name in ("opt", "secrets"):
        (tmp_path / name).mkdir()

    def run(script, *words, umask=-1):
        whole = f'{functions}\n{own}\nread_arguments "$@"\n{script}'
        done = subprocess.run(
            ["sh", "-c", whole, "server-setup", *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            umask=umask,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    return run


def settings_of(folder):
    return dict(line.split("=", 1) for line in (folder / "server.env").read_text().splitlines())


def test_what_an_operator_has_changed_in_the_settings_stays(shell, tmp_path):
    shell("write_settings", *GIVEN, "--watch", "lxml")
    env = tmp_path / "server.env"
    env.write_text(
        re.sub("(?m)^DATABASE_URL=.*$", "DATABASE_URL=postgresql://u:p@db/x", env.read_text())
        + "PIWHEELS_DEPTH=3\nPIWHEELS_WATCH='lxml numpy'\n"
    )

    told = shell("write_settings", "--hsts", "300")

    found = settings_of(tmp_path)
    assert found["DATABASE_URL"] == "postgresql://u:p@db/x"
    assert (found["PIWHEELS_WATCH"], found["PIWHEELS_DEPTH"]) == ("'lxml numpy'", "3")
    assert found["PIWHEELS_HSTS_S"] == "'300'"
    assert "DATABASE_URL is as an operator has it, and stays so" in told
    assert "p@db" not in told


def test_who_only_tries_it_sees_no_secret_of_an_operators(shell, tmp_path):
    (tmp_path / "server.env").write_text("PIWHEELS_METRICS_TOKEN='a secret'\nEMAIL_URL=smtp://a-secret\n")

    told = shell("write_settings", "--dry-run", *GIVEN)

    assert "PIWHEELS_METRICS_TOKEN=..." in told
    assert "EMAIL_URL=..." in told
    assert "secret" not in told


def test_an_option_that_is_said_is_stronger_than_what_an_operator_wrote(shell, tmp_path):
    shell("write_settings", *GIVEN, "--watch", "lxml")
    with (tmp_path / "server.env").open("a") as file:
        file.write("PIWHEELS_WATCH=all\nALLOWED_HOSTS=wheels.example.org,10.8.0.1\n")

    shell("write_settings", "wheels.example.org", "--watch", "numpy")

    assert settings_of(tmp_path)["PIWHEELS_WATCH"] == "'numpy'"
    assert settings_of(tmp_path)["ALLOWED_HOSTS"] == "wheels.example.org,10.8.0.1"
    shell("write_settings", "farm.example.org")
    assert settings_of(tmp_path)["ALLOWED_HOSTS"] == "'farm.example.org,localhost,127.0.0.1'"


def test_builders_build_with_what_the_farm_has_unless_an_operator_says_otherwise(shell, tmp_path):
    env, index = tmp_path / "server.env", "PIWHEELS_BUILDERS_INDEX"
    shell("write_settings", *GIVEN)
    assert settings_of(tmp_path)[index] == "'https://wheels.example.org/simple/'"
    shell("write_settings", "farm.example.org")
    assert settings_of(tmp_path)[index] == "'https://farm.example.org/simple/'"

    for own in ("", "https://mirror.example.org/simple/"):
        env.write_text(re.sub(f"(?m)^{index}=.*$", f"{index}={own}", env.read_text()))
        shell("write_settings", "wheels.example.org")
        assert settings_of(tmp_path)[index] == own


def test_settings_of_a_run_that_was_cut_short_do_not_pass_for_an_operators(shell, tmp_path):
    shell("write_settings", *GIVEN)
    cut = 'write() { [ "$1" != "$ENV_FILE" ] || touch "$OPT/cut"; [ -e "$OPT/cut" ] || cat >"$1"; }'
    shell(f"{cut}; write_settings", "--hsts", "300")

    told = shell("write_settings")

    assert settings_of(tmp_path)["PIWHEELS_HSTS_S"] == "'300'"
    assert "stays so" not in told


def test_another_python_makes_another_release_of_the_same_code(shell, tmp_path):
    first = shell("release_name", *GIVEN)

    told = shell("python3() { echo '(3, 99)'; }; release_name", *GIVEN)

    assert re.fullmatch(r"\d\S*-[0-9a-f]{12}\n", first)
    assert told != first
    assert shell("release_name", *GIVEN) == first


@pytest.mark.parametrize("umask", [0o027, 0o077])
def test_services_can_read_what_a_root_makes_who_hides_his_files(shell, tmp_path, umask):
    shell(
        'mkdir "$OPT/venv"; : >"$OPT/venv/module"; say hush | write "$ETC/secret" x 0600', *GIVEN, umask=umask
    )

    modes = [
        path.stat().st_mode & 0o777 for path in (tmp_path / "opt" / "venv", tmp_path / "opt/venv/module")
    ]
    assert modes == [0o755, 0o644]
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_releases_that_never_ran_push_out_none_that_did(shell, tmp_path):
    releases = tmp_path / "opt"
    for name in ("1", "2", "3", "4", "failed-1", "failed-2", "failed-3"):
        (releases / name).mkdir()
        (releases / name / "complete").touch()

    for name in "123":
        shell(f"point_to {name}", *GIVEN)
    shell("forget_releases", *GIVEN)
    assert {path.name for path in releases.iterdir()} == {"1", "2", "3", "current"}
    (releases / "4").mkdir()
    shell("point_to 4; forget_releases", *GIVEN)

    assert {path.name for path in releases.iterdir()} == {"2", "3", "4", "current"}
    assert (releases / "current").resolve().name == "4"


def test_the_way_back_leads_to_a_release_and_never_to_itself(shell, tmp_path):
    releases = tmp_path / "opt"
    for name in ("1", "2"):
        stand_in(releases / name / "venv" / "bin" / "python", "exit 0")
        (releases / name / "complete").touch()
    (releases / "current").symlink_to("2")

    told = shell("(go_back) || say refused", *GIVEN, "--no-start", "--back", "current")
    assert "current is a link: --back wants the release itself, as 2.\n" in told
    assert (releases / "current").readlink() == Path("2")

    shell("go_back", *GIVEN, "--no-start", "--back", "1")
    assert (releases / "current").readlink() == Path("1")


def test_redis_is_restarted_when_it_runs_with_other_settings_whoever_wrote_them(shell, tmp_path):
    action = 'make_redis >/dev/null; say "$redis_action"'
    began = 'redis_settings | write "$REDIS_BEGAN_WITH" root:root 0600'
    assert shell(action, *GIVEN) == "restart\n"
    # The run ended before it came to that.
    assert shell(f"{action}; {began}", *GIVEN) == "restart\n"
    with (tmp_path / "users.acl").open("a") as file:
        file.write("user b-pi-07 on #00 resetkeys\n")
    assert shell(action, *GIVEN) == "start\n"
    (tmp_path / "secrets" / "redis-url").unlink()

    assert shell(action, *GIVEN) == "restart\n"
    assert shell(action, *GIVEN) == "restart\n"


def test_redis_is_restarted_when_its_unit_is_another(shell):
    action = 'make_redis >/dev/null; say "$redis_action"'
    shell(f'{action}; redis_settings | write "$REDIS_BEGAN_WITH" root:root 0600', *GIVEN)
    assert shell(action, *GIVEN) == "start\n"

    upgrade = (
        'cp -R "$source/deploy" "$OPT/"; source=$OPT; say x >>"$source/deploy/systemd/piwheels-redis.service"'
    )
    assert shell(f"{upgrade}; {action}", *GIVEN) == "restart\n"


def test_builders_reach_redis_at_an_ipv6_address(shell, tmp_path):
    shell("make_redis", *GIVEN, "--redis", "fd00::5")
    url = (tmp_path / "secrets" / "orders-url").read_text().strip()

    assert re.fullmatch(r"redis://orders:[0-9a-f]{48}@\[fd00::5\]:6380/0", url)
    assert "\nbind 127.0.0.1 fd00::5\n" in (tmp_path / "redis.conf").read_text()
    shell("make_redis", *GIVEN, "--redis", "fd00::5")
    assert (tmp_path / "secrets" / "orders-url").read_text().strip() == url


# Nothing is installed, and nothing of the system's is changed.
PRETENDED = """
    run() {
        say "run: $*"
        case "$1 ${3-}" in "env "* | "systemctl "* | "rm /etc/"*) ;; *) "$@" ;; esac
    }
    has_systemd() { :; }
"""


def test_what_the_setup_brings_it_sees_to_also_after_a_run_that_was_cut_short(shell):
    cut = "installed() { false; }; apt_install() { exit 1; }; (install_packages) || say 'cut short'"
    assert "cut short" in shell(PRETENDED + cut, *GIVEN)

    done = "installed() { :; }; install_packages"
    told = shell(PRETENDED + done, *GIVEN)

    assert re.search("run: systemctl disable --now --quiet (redis|valkey)-server.service", told)
    assert "run: rm -f /etc/nginx/sites-enabled/default" in told
    assert "all are there" in shell(PRETENDED + done, *GIVEN)


def test_what_was_there_before_the_setup_stays_as_it_is(shell):
    there = 'installed() { [ "$1" != rsync ]; }; apt_install() { say "apt: $*"; }; install_packages'

    told = shell(PRETENDED + there, *GIVEN)

    assert "apt: rsync" in told
    assert "systemctl" not in told
    assert "sites-enabled" not in told


def make_certificate(folder, name):
    """Return the paths of a certificate and its key."""
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-batch", "-subj", f"/CN={name}", "-out", paths[0], "-keyout", paths[1]]
    subprocess.run(words, check=True, capture_output=True, timeout=60)
    return paths


@pytest.mark.skipif(not shutil.which("openssl"), reason="there is no openssl here")
def test_a_key_that_is_not_the_certificates_is_refused_before_anything_changes(shell, tmp_path):
    certificate, key = make_certificate(tmp_path, "one")
    _, other = make_certificate(tmp_path, "other")
    (tmp_path / "text").write_text("nothing of the kind")

    def told(certificate, key):
        words = ("wheels.example.org", "--certificate", certificate, "--key", key)
        return shell("(check_certificate) || say refused", *words)

    assert "notAfter=" in told(certificate, key)
    assert f"{other} is not the key of {certificate}" in told(certificate, other)
    assert "text is no certificate" in told(tmp_path / "text", key)
    assert "text is no key that nginx can read" in told(certificate, tmp_path / "text")


@pytest.mark.skipif(not shutil.which("openssl"), reason="there is no openssl here")
def test_a_self_signed_certificate_is_made_anew_before_it_ends_or_for_another_name(shell):
    told = shell(
        """
        certificate=$ETC/tls/own.pem key=$ETC/tls/own.key
        seen() { sign >/dev/null 2>&1; openssl x509 -in "$certificate" -noout -fingerprint; }
        seen; seen
        name=other.example.org
        seen; seen
        openssl x509 -in "$certificate" -signkey "$key" -days 20 -out "$certificate.short" 2>/dev/null
        mv "$certificate.short" "$certificate"
        seen
        openssl x509 -in "$certificate" -noout -checkend 300000000 -ext subjectAltName
        """,
        *GIVEN,
    )

    first, again, renamed, kept, renewed, *end = told.splitlines()
    assert (first, renamed) == (again, kept)
    assert len({first, renamed, renewed}) == 3
    assert "Certificate will not expire" in end
    assert "other.example.org" in told


def test_the_certificate_is_looked_at_before_the_configuration_is_written():
    steps = SETUP.read_text().partition('read_arguments "$@"')[2].split("\n")

    assert steps.index("install_packages") < steps.index("check_certificate") < steps.index("write_settings")


@pytest.fixture
def debians_nginx(tmp_path):
    """Return the folder of an nginx as Debian configures it, as far as this goes."""
    folder = tmp_path / "nginx"
    (folder / "modules-enabled").mkdir(parents=True)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;\n"
        "include modules-enabled/*.conf;\n"
        "events {\n\tworker_connections 768;\n}\n"
        f"http {{ access_log off; {temporary} server {{ listen unix:{folder}/socket; }} }}\n"
    )
    return folder


def wait_for_worker(process, *, other_than=None):
    """Return nginx's one worker once it is another."""
    for _ in range(600):
        workers = psutil.Process(process.pid).children()
        if len(workers) == 1 and workers != [other_than]:
            return workers[0]
        time.sleep(0.05)
    raise AssertionError(f"nginx has the workers {workers}.")


def files_of(process):
    """Return how many files a process may open."""
    limits = Path(f"/proc/{process.pid}/limits").read_text()
    (soft,) = re.findall(r"^Max open files +([0-9]+)", limits, re.M)
    return int(soft)


@pytest.mark.skipif(not PROGRAM, reason="there is no nginx here")
def test_an_nginx_that_runs_may_open_more_files_when_it_has_read_its_configuration_anew(shell, debians_nginx):
    """apt has started it with what systemd gives, and it is never started again."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    words = ["prlimit", "--nofile=1024:", PROGRAM, "-p", debians_nginx, "-c", debians_nginx / "nginx.conf"]
    with subprocess.Popen(words) as process:
        try:
            before = wait_for_worker(process)
            assert files_of(before) == 1024

            shell("allow_connections", *GIVEN)
            (written,) = (debians_nginx / "modules-enabled").iterdir()
            # Who runs the tests may perhaps have no more.
            written.write_text(written.read_text().replace("65536", str(min(65536, most))))
            process.send_signal(signal.SIGHUP)
            worker = wait_for_worker(process, other_than=before)

            assert files_of(worker) == min(65536, most)
            assert "worker_connections 4096;" in (debians_nginx / "nginx.conf").read_text()
        finally:
            process.terminate()


@pytest.mark.parametrize("name", ["nginx.conf", "modules-enabled/own.conf"])
def test_who_says_himself_how_many_files_nginx_may_open_is_not_contradicted(shell, debians_nginx, name):
    """nginx would not take two numbers."""
    ours = debians_nginx / "modules-enabled" / "piwheels.conf"
    shell("allow_connections", *GIVEN)
    shell("allow_connections", *GIVEN)
    assert ours.read_text() == "worker_rlimit_nofile 65536;\n"

    with (debians_nginx / name).open("a") as file:
        file.write("\nworker_rlimit_nofile 30000;\n")
    shell("allow_connections", *GIVEN)

    assert not ours.exists()


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


@pytest.mark.parametrize("path", [*SERVICES, BUILDER], ids=lambda path: path.stem)
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
    own = ("#", "ReadWritePaths", "InaccessiblePaths", "UMask", "ProcSubset")
    return [line for line in words.splitlines() if not line.startswith(own)]


def test_all_services_are_walled_in_alike():
    walls = {tuple(hardening(path)) for path in SERVICES}

    assert len(walls) == 1
    assert "SystemCallFilter=@system-service" in walls.pop()


def test_the_site_alone_sees_the_memory_that_it_tells_of():
    assert [path.stem for path in SERVICES if "ProcSubset" not in unit(path)["Service"]] == ["piwheels-web"]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd here")
@pytest.mark.parametrize("path", MOST_EXPOSED, ids=lambda path: path.stem)
def test_systemd_finds_little_to_fear_in_a_service(path):
    words = [
        "systemd-analyze",
        "security",
        "--offline=true",
        f"--threshold={MOST_EXPOSED[path]}",
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
