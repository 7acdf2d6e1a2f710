"""docker-compose.yml, read as compose reads it; no engine runs here."""

import os
import re
import shlex
import subprocess
import time
from itertools import pairwise

import pytest
import requests
import yaml
from django.db import connection

from deploy.farm import ROOT
from simple.follow import Follower
from simple.tests.rows import make_package
from tests import services
from tests.stack import NGINX, NOWHERE, Nginx

ROTATE = NGINX / "rotate-log.sh"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
SERVER = [name for name, service in SERVICES.items() if service["image"] == "piwheels-server"]
# Compose decides these: where its own services are, and what nginx in front means.
DECIDED = {"DATABASE_URL", "REDIS_URL", "PIWHEELS_ORDERS_URL", "PIWHEELS_COUNT_DOWNLOADS"}
DECIDED_FOR_WEB = {"PIWHEELS_REDIS_ADMIN_URL", "PIWHEELS_BEHIND_PROXY"}
PASSWORDS = [f"{name}_PASSWORD" for name in ("POSTGRES", "REDIS_SERVER", "REDIS_ORDERS", "REDIS_ADMIN")]


def read_by(path, pattern):
    """Return the names that a program's settings have in the environment."""
    return set(re.findall(pattern, (ROOT / path).read_text()))


def filled(text, values):
    """Fill in what a value of the file names, as compose does."""
    return re.sub(r"\$\{(\w+)(?::[-?]([^}]*))?\}", lambda found: values.get(found[1]) or found[2] or "", text)


def environment(name, values):
    """Return what a service's containers get where .env has these values."""
    service = SERVICES[name]
    got = dict(values) if service.get("env_file") == [".env"] else {}
    for key, value in service.get("environment", {}).items():
        if value is None and key in values:
            got[key] = values[key]
        elif value is not None:
            got[key] = filled(value, values)
    return got


@pytest.mark.parametrize("name", SERVER)
def test_every_setting_of_the_server_reaches_its_containers(name):
    settings = read_by("piwheels_site/settings.py", r'env(?:\.\w+)?\(\s*"(\w+)"')
    values = {each: f"the value of {each}" for each in [*settings, *PASSWORDS]}

    got = environment(name, values)

    assert {"PIWHEELS_TWO_FACTOR", "SECRET_KEY", "DEBUG", "EMAIL_URL"} <= settings
    missed = {each for each in settings if values[each] not in got.get(each, "")}
    assert missed == (DECIDED | DECIDED_FOR_WEB if name == "web" else DECIDED)


def test_every_setting_of_a_builder_reaches_its_container():
    names = read_by("builder/settings.py", r'"((?:PIWHEELS|LOG)_\w+)"')

    got = environment("builder", dict.fromkeys(names, "x"))

    assert {"PIWHEELS_SERVER", "PIWHEELS_SANDBOX_AT_MOST"} <= names
    # The image says where, and its token is a file.
    assert names - set(got) == {"PIWHEELS_WORK", "PIWHEELS_BUILDER_TOKEN"}


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_says_does_not_fill_the_disk(name):
    assert set(SERVICES[name]["logging"]["options"]) == {"max-size", "max-file"}


def test_builders_reach_the_site_by_nginx_alone():
    """The web server believes who asks it for whom he does."""
    theirs = set(SERVICES["builder"]["networks"])

    assert {name for name in SERVICES if theirs & set(SERVICES[name]["networks"])} == {
        "builder",
        "nginx",
        "redis",
    }
    address = filled(SERVICES["builder"]["environment"]["PIWHEELS_SERVER"], {})
    assert address == "http://nginx/"
    assert "nginx" in filled(SERVICES["web"]["environment"]["ALLOWED_HOSTS"], {}).split(",")


@pytest.mark.parametrize(
    ("password", "known_to"),
    [
        ("REDIS_ADMIN_PASSWORD", {"web"}),
        ("REDIS_SERVER_PASSWORD", {*SERVER}),
        ("REDIS_ORDERS_PASSWORD", {*SERVER}),
        ("POSTGRES_PASSWORD", {*SERVER, "postgres"}),
        ("REDIS_BUILDER_PASSWORD", {"builder"}),
        ("SECRET_KEY", {*SERVER}),
        ("EMAIL_URL", {*SERVER}),
    ],
)
def test_who_need_not_know_a_secret_does_not(password, known_to):
    knowing = {
        name for name in SERVICES if "hush" in " ".join(environment(name, {password: "hush"}).values())
    }

    assert knowing == known_to


def test_every_password_of_the_file_is_one_of_those():
    named = set(re.findall(r"\$\{(\w+_PASSWORD)", (ROOT / "docker-compose.yml").read_text()))

    assert named == {*PASSWORDS, "REDIS_BUILDER_PASSWORD"}


def answers_of(size, folder):
    """Return what PostgreSQL takes of a service's command, as its `postgres -C` tells."""
    words = [filled(word, {"PIWHEELS_SIZE": size}) for word in SERVICES["postgres"]["command"]]
    words = [word.replace("/etc/piwheels/", f"{ROOT}/deploy/postgresql/") for word in words]
    asked = ["max_connections", "listen_addresses"]
    program = services.postgres_program(words[0])
    return [
        subprocess.run(
            [program, "-C", each, "-D", folder, *words[1:]], capture_output=True, text=True, check=True
        ).stdout.strip()
        for each in asked
    ]


@pytest.mark.parametrize(("size", "connections"), [("small", "110"), ("large", "200")])
def test_postgresql_gets_the_settings_of_its_size_and_listens(size, connections, tmp_path):
    assert answers_of(size, tmp_path) == [connections, "*"]
    assert "./deploy/postgresql:/etc/piwheels:ro" in SERVICES["postgres"]["volumes"]


def test_redis_and_postgresql_are_small_unless_told_otherwise():
    words = " ".join([*SERVICES["redis"]["command"], *SERVICES["postgres"]["command"]])

    assert filled(words, {}).count("/etc/piwheels/small.conf") == 2
    assert "./deploy/redis:/etc/piwheels:ro" in SERVICES["redis"]["volumes"]


def test_nginx_may_open_a_file_for_each_of_its_connections_beside_the_connection():
    of_the_image = 1024

    assert SERVICES["nginx"]["ulimits"]["nofile"] > 2 * of_the_image


@pytest.fixture
def nginx(tmp_path):
    tmp_path.chmod(0o755)
    with Nginx(tmp_path / "nginx", tmp_path, "127.0.0.1:9", upstream=NOWHERE) as running:
        yield running


@pytest.mark.parametrize("end", ["", "/"])
def test_what_is_not_here_is_looked_for_upstream_however_its_address_ends(tmp_path, end):
    tmp_path.chmod(0o755)
    upstream = f"http://index.example.org:8080/Root/pypi/+simple{end}"

    with Nginx(tmp_path / "nginx", tmp_path, "127.0.0.1:9", upstream=upstream) as nginx:
        answer = requests.get(f"{nginx.url}/simple-full/demo/", allow_redirects=False, timeout=30)

    assert answer.status_code == 302
    assert answer.headers["Location"] == "http://index.example.org:8080/Root/pypi/+simple/demo/"


def rotated(nginx):
    return sorted(nginx.folder.glob("access.log-*"))


def rotate(nginx):
    """Do what the container's loop does every ten minutes."""
    env = {"PATH": os.environ["PATH"], "PIWHEELS_ACCESS_LOG": str(nginx.access_log)}
    subprocess.run([ROTATE, str(nginx.process.pid)], env=env, check=True, timeout=30)


def ask(nginx, name):
    """Ask for a page, and wait for the line of the log."""
    requests.get(f"{nginx.url}/simple/{name}/", timeout=30)
    for _ in range(200):
        if nginx.access_log.exists() and name in nginx.access_log.read_text():
            return
        time.sleep(0.05)
    raise AssertionError(f"{name} is not in the log.")


def test_the_access_log_is_renamed_once_a_day_and_nginx_goes_on_in_a_new_one(nginx):
    ask(nginx, "before")
    rotate(nginx)
    ask(nginx, "after")
    rotate(nginx)

    (old,) = rotated(nginx)
    assert "before" in old.read_text()
    assert "after" in nginx.access_log.read_text()
    assert "before" not in nginx.access_log.read_text()
    assert old in Follower(nginx.access_log)._rotated()

    os.utime(old, (time.time() - 86_500,) * 2)
    time.sleep(1.1)  # Its name has seconds.
    rotate(nginx)
    assert len(rotated(nginx)) == 2


def test_a_week_of_it_is_kept_and_a_log_that_is_large_does_not_wait(nginx):
    for day in range(1, 10):
        old = nginx.folder / f"access.log-2026110{day}T000000"
        old.write_text("a line\n")
        os.utime(old, (time.time() - (10 - day) * 86_400 + 3600,) * 2)
    ask(nginx, "before")

    rotate(nginx)
    assert [path.name[-15:-7] for path in rotated(nginx)] == [f"2026110{day}" for day in range(3, 10)]

    os.truncate(nginx.access_log, 501 << 20)
    rotate(nginx)
    assert len(rotated(nginx)) == 7
    assert "before" in rotated(nginx)[-1].read_bytes()[:10_000].decode()


def test_the_image_of_nginx_runs_the_rotation():
    """It runs what is executable in that folder and ends in .sh."""
    assert any(
        volume.startswith("./deploy/nginx/rotate-log.sh:/docker-entrypoint.d/")
        for volume in SERVICES["nginx"]["volumes"]
    )
    assert ROTATE.stat().st_mode & 0o111


def told(pattern):
    """Return what the page on backups has in a line with compose, as words."""
    text = (ROOT / "docs" / "backups.md").read_text().partition("## With compose")[2]
    (line,) = re.findall(rf"^docker compose .*? ({pattern} .*?)(?: [<>] .*)?$", text, re.M)
    return shlex.split(line)


def test_what_tar_saves_it_brings_back(tmp_path):
    var, other = tmp_path / "var", tmp_path / "other"
    for name in ("files/ab/demo.whl", "secret-key", "public/simple/index.html", "incoming/1", "bundles/1"):
        (var / name).parent.mkdir(parents=True, exist_ok=True)
        (var / name).write_text(name)
    other.mkdir()

    saved = [str(var) if word == "/var/lib/piwheels" else word for word in told("tar .*-cf")]
    archive = subprocess.run(saved, capture_output=True, check=True).stdout
    brought = [str(other) if word == "/var/lib/piwheels" else word for word in told("tar .*-xf")]
    subprocess.run(brought, input=archive, check=True)

    found = {str(path.relative_to(other)) for path in other.rglob("*") if path.is_file()}
    assert found == {"files/ab/demo.whl", "secret-key"}


def test_what_a_farm_is_told_comes_back_with_its_rights_also_to_somebody_who_is_not_root(tmp_path):
    page = (ROOT / "docs" / "backups.md").read_text().partition("## With compose")[2]
    save, bring = re.findall(r"^(tar [^#\n]*settings\.tar\.gz[^#\n]*)", page, re.M)
    old, new = tmp_path / "old", tmp_path / "new"
    for name in (".env", "secrets/redis/users.acl", "deploy/nginx/local/behind-proxy.conf"):
        (old / name).parent.mkdir(parents=True, exist_ok=True)
        (old / name).write_text(name)
    (old / "secrets" / "redis").chmod(0o777)
    new.mkdir()
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if not os.geteuid() else []
    for path in (tmp_path, old, new, *old.rglob("*")) if nobody else ():
        os.chown(path, 65534, 65534)

    subprocess.run([*nobody, "sh", "-ec", save], cwd=old, check=True)
    (old / "settings.tar.gz").rename(new / "settings.tar.gz")
    subprocess.run([*nobody, "sh", "-ec", f"umask 077; {bring}"], cwd=new, check=True)

    assert (new / "secrets" / "redis").stat().st_mode & 0o777 == 0o777
    assert (new / "deploy" / "nginx" / "local" / "behind-proxy.conf").exists()


def test_the_image_may_copy_all_that_it_copies():
    """.dockerignore keeps everything out but what it names."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    named = {line[1:] for line in lines if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "deploy" / "Dockerfile").read_text(), re.M)

    assert "*" in lines
    assert copied
    for path in (path for words in copied for path in words.split()):
        assert (ROOT / path).exists(), path
        assert any(path == name or path.startswith(f"{name}/") for name in named), path


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no dumps")
def test_what_postgresql_saves_it_brings_back_into_a_database_that_is_not_empty():
    make_package("kept")
    here = connection.settings_dict
    env = {**os.environ, "PGHOST": here["HOST"], "PGPORT": str(here["PORT"])}

    def run(words, database, **options):
        own = {"-U": here["USER"], "-d": database}
        words = [
            own.get(before, database if word == "piwheels" else word)
            for before, word in pairwise(["", *words])
        ]
        program = services.postgres_program(words[0])
        return subprocess.run([program, *words[1:]], env=env, stdout=subprocess.PIPE, check=True, **options)

    dump = run(told("pg_dump"), here["NAME"]).stdout
    try:
        # The second time what is there has to give way.
        for _ in range(2):
            run(told("dropdb"), "restored")
            run(told("createdb"), "restored")
            run(told("pg_restore"), "restored", input=dump)
        asked = ["psql", "-U", "x", "-d", "x", "-Atc", "SELECT name FROM packages_package"]
        assert run(asked, "restored").stdout == b"kept\n"
    finally:
        run(told("dropdb"), "restored")


def test_the_pages_name_services_that_there_are():
    taken = r"docker compose (?:--profile \w+ )?(?:exec|run|up|restart)(?: -[\w-]+)* ([a-z]+)"
    named = {
        (page.name, service)
        for page in (ROOT / "docs").glob("*.md")
        for service in re.findall(taken, page.read_text())
    }

    assert named
    assert [each for each in named if each[1] not in SERVICES] == []
