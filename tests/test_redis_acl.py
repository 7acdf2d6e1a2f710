"""The users of `deploy/redis/users.acl.example`: the farm works with them, and they can do nothing else."""

import json
import re
import socket
import subprocess
import threading
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest
from redis import ConnectionError, Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from builder.contract import BUILD_TASK
from builder.tests.waiting import until
from builds import dispatch
from builds.builders import enrolment, redis_users
from builds.models import Build, Builder
from builds.tests.rows import NOON, make_builder, make_running_build, make_target
from deploy import redis
from deploy.farm import ROOT
from deploy.scratch import free_port
from tests import sdists
from tests.fake_pypi import FakePyPI
from tests.farm import Farm

pytestmark = pytest.mark.whole

EXAMPLE = ROOT / "deploy" / "redis" / "users.acl.example"
CONFIGURATION = ROOT / "deploy" / "redis" / "redis.conf"
USERS = "users.acl"
PASSWORDS = {"server": "one", "orders": "two", "admin": "four", "builder": "three"}
# May do everything and is in the tests alone: reads ACL LOG.
OPERATOR = "user operator on >all ~* &* +@all"


def made_of_the_example(server, *, builder="pi-07"):
    """Do with the example what its operator does, and add a builder and somebody who sees all."""
    text = f"{EXAMPLE.read_text()}{redis_users.line(builder, PASSWORDS['builder'])}\n"
    for name, password in PASSWORDS.items():
        text = text.replace(f"{{{name}}}", sha256(password.encode()).hexdigest())
    version = subprocess.run([server, "--version"], capture_output=True, text=True, check=True).stdout
    major, minor = re.search(r"v=(\d+)\.(\d+)", version).groups()
    if (int(major), int(minor)) < (7, 2):
        text = text.replace(" +client|setinfo", "")
    return f"{text}{OPERATOR}\n"


def command(server, folder, port):
    own = ["--port", str(port), "--dir", str(folder), "--aclfile", str(folder / USERS)]
    size = ["--include", str(CONFIGURATION.with_name("small.conf"))]
    return [server, str(CONFIGURATION), *size, *own, "--loglevel", "warning"]


class Guarded:
    """A Redis with the users of the example."""

    def __init__(self, port, users):
        self.port = port
        self.users = users
        self.clients = []

    def url(self, user, password=""):
        password = password or {"operator": "all", **PASSWORDS}.get(user, PASSWORDS["builder"])
        return f"redis://{user}:{password}@127.0.0.1:{self.port}/0"

    def client(self, user, password=""):
        self.clients.append(Redis.from_url(self.url(user, password), decode_responses=True, retry=None))
        return self.clients[-1]


def answers(client):
    try:
        return client.ping()
    except ConnectionError:
        return False


def machines():
    return redis.server()


def pips():
    try:
        return redis.installed()
    except redis.NoRedis:
        pytest.skip("pip has no Redis for this machine.")


@pytest.fixture(scope="module", params=[machines, pips])
def guarded(request, tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("redis"), free_port()
    server = request.param()
    (folder / USERS).write_text(made_of_the_example(server))
    process = subprocess.Popen(command(server, folder, port), stdout=subprocess.DEVNULL)
    own = Guarded(port, folder / USERS)
    try:
        until(partial(answers, own.client("operator")))
        yield own
    finally:
        for client in own.clients:
            client.close()
        process.terminate()
        process.wait(20)


@pytest.fixture
def orders_url(guarded, settings):
    settings.PIWHEELS_ORDERS_URL = guarded.url("orders")
    dispatch.bell.cache_clear()
    yield settings.PIWHEELS_ORDERS_URL
    dispatch.bell().close()
    dispatch.bell.cache_clear()


class GuardedFarm(Farm):
    """A farm whose web server, worker, beat and builder have the users of the example."""

    def __init__(self, folder: Path, upstream: str, *watch: str) -> None:
        super().__init__(folder, upstream, *watch)
        self.redis = Guarded(free_port(), folder / USERS)
        self.env["REDIS_URL"] = self.redis.url("server")
        self.env["PIWHEELS_ORDERS_URL"] = self.redis.url("orders")
        (folder / USERS).write_text(made_of_the_example(redis.server(), builder="local-1"))

    def commands(self):
        return {**super().commands(), "redis": command(redis.server(), self.var, self.redis.port)}

    def start(self, name):
        env = self.env
        if name == "builder":
            self.env = {**env, "PIWHEELS_ORDERS_URL": self.redis.url("b-local-1")}
        super().start(name)
        self.env = env


def test_a_whole_farm_works_and_does_nothing_that_it_may_not(tmp_path):
    with FakePyPI() as upstream:
        upstream.add_sdist("plain", "1.0", sdists.pure_sdist("plain", "1.0"))
        with GuardedFarm(tmp_path, upstream.simple_url, "plain") as farm:
            operator = farm.redis.client("operator")

            farm.wait_until(lambda: farm.files("plain"))

            assert operator.acl_log() == []
            users = {client["user"] for client in operator.client_list()}
            assert users == {"server", "orders", "b-local-1", "operator"}
            operator.close()


def test_a_ring_of_the_dispatcher_reaches_its_builder(guarded, orders_url):
    assert dispatch.ring([(Build(pk=7, attempt=2), Builder(name="pi-07"))])

    _, ring = guarded.client("b-pi-07").brpop("b.pi-07.q", timeout=60)
    message = json.loads(ring)
    assert message["headers"]["task"] == BUILD_TASK
    assert message["headers"]["argsrepr"] == "[7, 2]"


@pytest.mark.parametrize(
    "words",
    [
        "LPUSH b.pi-07.q x",
        "RPUSH b.pi-07.q x",
        "LPUSH b.pi-08.q x",
        "LPUSH server x",
        "BRPOP b.pi-08.q 1",
        "BRPOP b.pi-07.q b.pi-08.q 1",
        "BRPOP server 1",
        "BRPOPLPUSH b.pi-07.q b.pi-08.q 1",
        "LRANGE b.pi-07.q 0 -1",
        "LLEN b.pi-08.q",
        "DEL b.pi-07.q",
        "RENAME b.pi-07.q b.pi-08.q",
        "SADD _kombu.binding.server x",
        "KEYS *",
        "SCAN 0",
        "CONFIG GET *",
        "CONFIG SET maxmemory 1",
        "ACL LIST",
        "ACL SETUSER b-pi-07 ~*",
        "CLIENT LIST",
        "CLIENT KILL TYPE normal",
        "EVAL return(1) 0",
        "PUBLISH b.pi-08.q x",
        "PSUBSCRIBE *",
        "MONITOR",
        "INFO",
        "FLUSHALL",
        "SHUTDOWN NOSAVE",
        "REPLICAOF localhost 1",
        "SELECT 1",
        "MULTI",
    ],
)
def test_T35_a_builder_may_do_nothing_but_wait_at_its_own_queue(guarded, words):
    with pytest.raises(NoPermissionError):
        guarded.client("b-pi-07").execute_command(*words.split())


ATTACKS = {
    "one argument": (b"*3\r\n$5\r\nBRPOP\r\n$500000000\r\n", b"x" * 1_000_000),
    "many arguments": (b"*500\r\n$5\r\nBRPOP\r\n", b"$1000000\r\n%b\r\n" % (b"x" * 1_000_000)),
    "a line without an end": (b"", b"x" * 1_000_000),
    "answers that are not read": (b"", b"PING\r\n" * 160_000),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_T35_a_builder_that_sends_without_end_is_cut_off_and_keeps_nobody_out(guarded, attack):
    first, more = ATTACKS[attack]
    server, waiting = guarded.client("server"), guarded.client("b-pi-07")
    assert server.ping() and waiting.ping()

    with socket.create_connection(("127.0.0.1", guarded.port), timeout=20) as attacker:
        attacker.sendall(f"AUTH b-pi-07 {PASSWORDS['builder']}\r\n".encode() + first)
        with pytest.raises(OSError, match=r"reset|[Bb]roken pipe"):
            for _ in range(200):
                attacker.sendall(more)
                # What is taken of the memory is so while the attacker is there.
                assert server.lpush("server", "x")

    assert waiting.ping()
    guarded.client("operator").delete("server")


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ("orders", "BRPOP b.pi-07.q 1"),
        ("orders", "LPUSH server x"),
        ("orders", "KEYS *"),
        ("server", "LPUSH b.pi-07.q x"),
        ("server", "BRPOP b.pi-07.q 1"),
        ("server", "KEYS *"),
        ("server", "CONFIG GET *"),
        ("server", "ACL SETUSER b-pi-07 ~*"),
        ("orders", "ACL SETUSER b-pi-07 ~*"),
        ("admin", "BRPOP b.pi-07.q 1"),
        ("admin", "LPUSH b.pi-07.q x"),
        ("admin", "DEL server"),
        ("admin", "ACL LIST"),
        ("admin", "FLUSHALL"),
    ],
)
def test_the_users_of_the_server_may_not_do_each_others_work(guarded, user, words):
    with pytest.raises(NoPermissionError):
        guarded.client(user).execute_command(*words.split())


@pytest.fixture
def managed(guarded, settings):
    """A server that makes and removes the builders' users itself."""
    settings.PIWHEELS_REDIS_ADMIN_URL = guarded.url("admin")
    yield guarded
    for name in ("pi-20", "pi-21"):
        redis_users.remove(name)


def users_of(operator):
    return {line.split()[1]: line for line in operator.acl_list()}


@pytest.mark.django_db
def test_a_builder_that_is_enrolled_waits_at_its_own_queue_and_does_nothing_else(managed):
    keys = enrolment.enrol("pi-20", make_target(), NOON)

    builder = managed.client("b-pi-20", keys.password)

    assert builder.brpop("b.pi-20.q", timeout=0.05) is None
    for words in (
        "BRPOP b.pi-07.q 1",
        "BRPOP b.pi-2.q 1",
        "LPUSH b.pi-20.q x",
        "LPUSH b.pi-07.q x",
        "KEYS *",
    ):
        with pytest.raises(NoPermissionError):
            builder.execute_command(*words.split())
    (kept,) = (line for line in managed.users.read_text().splitlines() if "user b-pi-20 " in line)
    assert sha256(keys.password.encode()).hexdigest() in kept
    assert keys.password not in managed.users.read_text()


@pytest.mark.django_db
def test_a_user_that_is_made_is_the_one_that_the_line_describes(managed):
    keys = enrolment.enrol("pi-20", make_target(), NOON)
    operator = managed.client("operator")
    made = users_of(operator)["b-pi-20"]
    redis_users.remove("pi-20")
    words = redis_users.line("pi-20", keys.password).split()[1:]

    operator.execute_command("ACL", "SETUSER", *(word for word in words if knows(operator, word)))

    assert users_of(operator)["b-pi-20"] == made


def knows(operator, word):
    """Whether this Redis is new enough for that right."""
    return word != "+client|setinfo" or operator.info()["redis_version"] >= "7.2"


@pytest.mark.django_db
def test_a_new_password_cuts_whoever_has_the_old_one(managed):
    builder = make_builder("pi-20")
    old = managed.client("b-pi-20", enrolment.rekey(builder).password)
    assert old.ping()

    new = enrolment.rekey(builder).password

    with pytest.raises(ConnectionError):
        old.ping()
    assert managed.client("b-pi-20", new).ping()


@pytest.mark.django_db
def test_a_builder_that_is_deleted_leaves_no_user_behind(managed):
    builder = make_builder("pi-20")
    enrolment.rekey(builder)
    assert "b-pi-20" in users_of(managed.client("operator"))

    enrolment.forget(builder)

    assert "b-pi-20" not in users_of(managed.client("operator"))


@pytest.mark.django_db
def test_T38_a_retired_builder_is_cut_off_at_once(managed):
    build, ticket = make_running_build(make_builder("pi-20"))
    waiting = managed.client("b-pi-20", enrolment.rekey(build.builder).password)
    ended = []
    thread = threading.Thread(target=lambda: ended.append(fault_of(waiting)))
    thread.start()
    operator = managed.client("operator")
    until(lambda: any(client["cmd"] == "brpop" for client in operator.client_list()))

    assert enrolment.retire(build.builder, "Sold.", NOON) == 1

    thread.join(2)
    assert [type(fault) for fault in ended] == [ConnectionError]
    with pytest.raises(AuthenticationError):
        waiting.ping()
    assert not build.renew(ticket, NOON)
    assert Builder.objects.by_token(build.builder.token_hash) is None
    assert "b-pi-20" not in managed.users.read_text()


def fault_of(client):
    """Wait at the queue of pi-20 for a long time; return how that failed."""
    try:
        client.brpop("b.pi-20.q", timeout=60)
    except RedisError as fault:
        return fault


@pytest.mark.django_db
def test_a_redis_that_cannot_be_asked_is_said_and_the_builder_can_be_enrolled_again(settings):
    settings.PIWHEELS_REDIS_ADMIN_URL = "unix:///nowhere/redis.sock"

    with pytest.raises(redis_users.RedisFault, match="look at PIWHEELS_REDIS_ADMIN_URL"):
        enrolment.enrol("pi-20", make_target(), NOON)

    settings.PIWHEELS_REDIS_ADMIN_URL = ""
    assert enrolment.enrol("pi-20", make_target(), NOON).token


@pytest.mark.django_db
def test_a_builder_keeps_its_token_while_redis_cannot_be_asked_for_a_new_password(settings):
    keys = enrolment.enrol("pi-20", make_target(), NOON)
    settings.PIWHEELS_REDIS_ADMIN_URL = "unix:///nowhere/redis.sock"

    with pytest.raises(redis_users.RedisFault):
        enrolment.rekey(keys.builder)
    with pytest.raises(redis_users.RedisFault):
        enrolment.enrol("pi-20", make_target(), NOON)

    assert Builder.objects.by_token(keys.token) == keys.builder


@pytest.fixture
def without_file(tmp_path, settings):
    """A Redis that has no file for its users, as one for a single machine, from which they are managed."""
    settings.PIWHEELS_REDIS_ADMIN_URL = f"unix://{redis.socket(tmp_path)}"
    process = subprocess.Popen(redis.command(tmp_path), stdout=subprocess.DEVNULL)
    client = Redis.from_url(settings.PIWHEELS_REDIS_ADMIN_URL, decode_responses=True, retry=None)
    try:
        until(partial(answers, client))
        yield client
    finally:
        client.close()
        process.terminate()
        process.wait(20)


def test_users_that_redis_cannot_save_are_changed_and_that_is_said(without_file):
    with pytest.raises(redis_users.RedisFault, match=r"could not save that .*: start it with --aclfile"):
        redis_users.create("pi-20", "hush")
    assert "b-pi-20" in users_of(without_file)

    with pytest.raises(redis_users.RedisFault, match=r"could not save that .*: start it with --aclfile"):
        redis_users.remove("pi-20")
    assert "b-pi-20" not in users_of(without_file)


def test_nobody_gets_in_without_a_password(guarded):
    stranger = Redis(port=guarded.port, retry=None)

    with pytest.raises(AuthenticationError):
        stranger.ping()

    stranger.close()


def test_an_example_with_its_placeholders_does_not_start(tmp_path):
    users = tmp_path / "users.acl"
    users.write_text(EXAMPLE.read_text())

    done = subprocess.run(
        [redis.server(), "--port", "0", "--aclfile", str(users)], capture_output=True, check=False, timeout=20
    )

    assert done.returncode == 1
