"""Whatever comes over the wire, nginx and gunicorn answer, say of no fault and give no secret away."""

import hashlib
import itertools
import json
import os
import random
import re
import select
import socket
import socketserver
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from ipaddress import IPv4Address

import psutil
import pytest
import requests
from hypothesis import given, settings

from builder.contract import ATTACHED_LIMIT, LOG_CHUNK
from builds.models import Build, Wheel
from builds.planning import campaigns
from builds.tests.pi import API, report_of
from builds.tests.rows import make_builder, make_running_build, make_version
from builds.tests.test_verify import contents, mutate
from builds.tests.wheels import make_wheel, wheel_name
from deploy.gunicorn import threads
from packages.clock import database_now
from piwheels_site.tests.test_strange_requests import EVERYDAY, published_with_a_build
from tests import strange_requests
from tests.stack import NOWHERE, Nginx, Stack, database_of_tests

pytestmark = [
    pytest.mark.whole,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        not os.environ.get("DATABASE_URL", "").startswith("postgresql"), reason="production is on PostgreSQL"
    ),
]

# Of nginx's own: such a version of HTTP, or way to send a body, it does not know.
NGINX_DOES_NOT = (501, 505)


@pytest.fixture(scope="module")
def stack(django_db_setup, tmp_path_factory):
    """Run nginx and gunicorn on the database of the tests."""
    with Stack(tmp_path_factory.mktemp("production"), database_of_tests()) as running:
        yield running


# One client may ask for so much and no more, so each request comes from another network.
clients = itertools.cycle(str(IPv4Address("127.0.0.1") + (network << 8)) for network in range(1 << 16))


def answer(port, sent):
    """Send bytes, and return all that comes back."""
    address = ("127.0.0.1", port)
    with socket.create_connection(address, timeout=60, source_address=(next(clients), 0)) as connection:
        connection.sendall(sent)
        came = b""
        while some := connection.recv(1 << 16):
            came += some
    return came


def check(came, nginx):
    """Fail if an answer says that a server has failed, or is none."""
    first = re.match(rb"HTTP/1\.[01] ([0-9]{3}) ", came)
    assert first, came[:200]
    failed = int(first[1]) >= 500 and int(first[1]) not in NGINX_DOES_NOT
    assert not failed, (came[:1000], (nginx.folder / "error.log").read_bytes()[-5000:])
    assert b"Traceback (most recent call last)" not in came


@pytest.mark.parametrize(
    "examples", [pytest.param(150, id="some"), pytest.param(5000, id="many", marks=pytest.mark.faults)]
)
@pytest.mark.parametrize("server", ["nginx", "gunicorn"])
def test_T56_no_request_makes_a_server_fail(stack, settings_of_stack, server, examples):
    secrets = published_with_a_build()
    port = stack.nginx.port if server == "nginx" else stack.web_port

    @settings(EVERYDAY, max_examples=examples)
    @given(strange_requests.requests(secrets))
    def ask(request):
        check(answer(port, request.bytes(f"127.0.0.1:{port}")), stack.nginx)

    ask()


def test_builders_that_send_slowly_hold_no_thread_of_the_web_server(stack):
    slow, quick = make_builder("pi-07"), make_builder("pi-08")
    head = f"POST /builder/v1/hello HTTP/1.1\r\nHost: 127.0.0.1:{stack.nginx.port}\r\n"
    head += f"Authorization: Bearer {slow.token}\r\nContent-Length: 60000\r\n\r\n{{"
    with ExitStack() as connections:
        for _ in range(4 * threads):
            connection = socket.create_connection(("127.0.0.1", stack.nginx.port), timeout=30)
            connections.enter_context(connection).sendall(head.encode())
        time.sleep(1)

        hello = requests.post(
            f"{stack.nginx.url}/builder/v1/hello",
            b"{}",
            headers={"Authorization": f"Bearer {quick.token}"},
            timeout=20,
        )

    # It was read, and is no hello.
    assert hello.status_code == 400


def test_one_client_cannot_have_all_of_the_site_and_the_index_is_for_everybody(stack):
    def ask(path):
        return requests.get(f"{stack.nginx.url}{path}", timeout=30)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, ["/robots.txt"] * 400))
        of_index = list(pool.map(ask, ["/simple/"] * 400))

    statuses = Counter(answer.status_code for answer in answers)
    assert statuses.keys() == {200, 429}
    assert statuses[200] >= 100
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert (refused.headers["Retry-After"], refused.headers["Cache-Control"]) == ("5", "no-store")
    assert 429 not in {answer.status_code for answer in of_index}


@pytest.mark.parametrize(
    ("path", "at_once", "a_second"), [("/simple/Some.Name/", 300, 100), ("/builder/v1/hello", 500, 200)]
)
def test_a_reader_or_builder_who_asks_for_much_waits_for_his_turn_before_any_is_refused(
    stack, path, at_once, a_second
):
    with requests.Session() as session:
        began = time.monotonic()
        first = {
            session.get(f"{stack.nginx.url}{path}", allow_redirects=False, timeout=30).status_code
            for _ in range(at_once)
        }
        took_s = time.monotonic() - began
    statuses = Counter(ask_all_at_once(stack.nginx.port, path, times=at_once + 200))

    assert len(first) == 1 and 429 not in first
    # A hundred may be before their time.
    assert took_s >= (at_once - 102) / a_second
    assert statuses.keys() == {*first, 429}
    assert statuses[429] <= 200


def ask_all_at_once(port, path, times):
    """Ask for the same on as many connections before any answer is read; return the statuses."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()
    with ExitStack() as stack:
        address = ("127.0.0.1", port)
        connections = [
            stack.enter_context(
                socket.create_connection(address, timeout=60, source_address=("127.0.0.77", 0))
            )
            for _ in range(times)
        ]
        for connection in connections:
            connection.sendall(request)
        return [int(connection.recv(100).split()[1]) for connection in connections]


@pytest.fixture
def nginx_alone(tmp_path):
    """nginx before a web server that takes connections and says nothing."""
    (tmp_path / "simple" / "demo").mkdir(parents=True)
    (tmp_path / "simple" / "demo" / "index.html").write_text("here")
    with socket.create_server(("127.0.0.1", 0), backlog=2000) as silent:
        web = f"127.0.0.1:{silent.getsockname()[1]}"
        with Nginx(tmp_path / "nginx", tmp_path, web, upstream=NOWHERE) as nginx:
            yield nginx


@pytest.mark.parametrize(
    ("line", "most"),
    [
        pytest.param("GET /simple/demo/", 200, id="pages"),
        pytest.param("GET /simple/demo/demo-1-py3-none-any.whl", 200, id="files of a bucket"),
        pytest.param("GET /simple/Some.Name/", 200, id="other spellings"),
        pytest.param("POST /simple/Some.Name/", 200, id="what is refused"),
        pytest.param("POST /builder/v1/hello", 300, id="builders"),
        pytest.param("PATCH /builder/v1/builds/1/wheels/x.whl", 300, id="wheels"),
    ],
)
def test_one_client_that_takes_its_time_cannot_have_all_of_nginx(nginx_alone, line, most):
    """With as many tokens as it likes, and in words of its own to be negotiated with."""
    address, more = ("127.0.0.1", nginx_alone.port), 40
    with ExitStack() as stack:
        connections = []
        for token in range(most + more):
            connection = socket.create_connection(address, timeout=60, source_address=("127.0.0.78", 0))
            connections.append(stack.enter_context(connection))
            connection.sendall(
                f"{line} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/html;q=0.5\r\n"
                f"Authorization: Bearer {token}\r\nContent-Length: 60000\r\n\r\n{{".encode()
            )
        refused: list[socket.socket] = []
        # Those who wait for their turn have it within seconds, and who is silent is given up after a minute.
        for _ in range(300):
            time.sleep(0.1)
            refused, _, _ = select.select(connections, [], [], 0)
            if len(refused) >= more:
                break
        time.sleep(1)
        refused, _, _ = select.select(connections, [], [], 0)
        others = requests.get(f"{nginx_alone.url}/simple/demo/", timeout=30)

        assert len(refused) == more
        assert {connection.recv(12) for connection in refused} == {b"HTTP/1.1 429"}
        assert others.text == "here"


@pytest.mark.parametrize(
    ("path", "is_taken"),
    [
        ("/check/", True),
        ("/api/v1/bundles", True),
        ("/admin/builds/campaign/add/", True),
        ("/admin/builds/campaign/", False),
        ("/", False),
    ],
)
def test_as_many_names_as_a_campaign_may_have_come_to_its_form(stack, path, is_taken):
    names = "\r\n".join(f"some-package-{number}" for number in range(campaigns.MOST))

    answer = requests.post(f"{stack.nginx.url}{path}", {"packages": names}, allow_redirects=False, timeout=60)

    assert (answer.status_code == 413) is not is_taken
    assert answer.status_code < 500


class _Generous(socketserver.BaseRequestHandler):
    """A web server that has 128 MiB for whoever asks, and notes how many of them it could send."""

    sent_mib = 0

    def handle(self):
        self.request.recv(1 << 16)
        self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (128 << 20))
        with suppress(OSError):
            for _ in range(128):
                self.request.sendall(bytes(1 << 20))
                type(self).sent_mib += 1


@pytest.fixture
def generous(tmp_path):
    """nginx before a web server with large answers."""
    _Generous.sent_mib = 0
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Generous) as web:
        web.daemon_threads = True
        threading.Thread(target=web.serve_forever, daemon=True).start()
        behind = f"127.0.0.1:{web.server_address[1]}"
        with Nginx(tmp_path / "nginx", tmp_path, behind, upstream=NOWHERE) as nginx:
            yield nginx
        web.shutdown()


def test_who_downloads_bundles_slowly_has_neither_the_disk_nor_all_threads(generous):
    with ExitStack() as stack:

        def ask(source, path="/bundle/some-key/bundle.zip"):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            connection.settimeout(60)
            connection.bind((source, 0))
            connection.connect(("127.0.0.1", generous.port))
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            return connection.recv(12)[9:]

        of_one = [ask("127.0.0.91") for _ in range(3)]
        of_others = [ask(f"127.0.0.{number}") for number in (92, 92, 93, 93, 94)]
        of_all_else = ask("127.0.0.94", "/")
        before = -1
        while before < (before := _Generous.sent_mib):
            time.sleep(3)

        assert of_one == [b"200", b"200", b"429"]
        assert of_others == [b"200"] * 4 + [b"429"]
        assert of_all_else == b"200"
        # What is on the way to seven who read nothing; the last is no zip.
        assert _Generous.sent_mib < 128 + 6 * 16


@pytest.mark.parametrize(("size", "is_on_disk"), [(LOG_CHUNK, False), (LOG_CHUNK + ATTACHED_LIMIT, True)])
def test_what_a_heartbeat_brings_is_on_no_disk_of_nginx(generous, size, is_on_disk):
    """A report with a wheel behind it may be, once a build."""
    log = generous.folder / "error.log"
    head = (
        f"POST /builder/v1/builds/1/heartbeat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {size}\r\n\r\n"
    )

    with socket.create_connection(("127.0.0.1", generous.port), timeout=60) as connection:
        connection.sendall(head.encode() + bytes(size))
        # The web server is asked once nginx has all of it.
        assert connection.recv(12) == b"HTTP/1.1 200"

    assert ("buffered to a temporary file" in log.read_text()) is is_on_disk


@pytest.mark.parametrize(
    ("network", "is_one"),
    [
        ("2001:db8:1:2:{a}:{b}:{c}:{d}", True),
        ("2001:db8:1:2::{a}", True),
        ("2001:db8:0:5:{a}:{b}:{c}:{d}", True),
        ("2001:db8:1::{a}:{b}:{c}:{d}", True),
        ("2001:db8:1::{a}", True),
        ("2001:db8::{a}:{b}:{c}:{d}", True),
        ("2001:db8::{a}:{b}", True),
        ("2001::7:{a}:{b}:{c}:{d}", True),
        ("2001:db8:1:{a}::1", False),
        ("2001:db8:{a}::1", False),
        ("2001:{a}::1", False),
        ("2001::{a}:1:1:1:1", False),
        ("10.9.{n}.1", False),
        ("::ffff:10.9.{n}.1", False),
    ],
)
def test_of_ipv6_a_network_is_one_client(tmp_path, network, is_one):
    believed = "set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;\n"
    # Nobody is behind it: nginx answers itself.
    nginx = Nginx(tmp_path / "nginx", tmp_path, "127.0.0.1:9", upstream=NOWHERE, besides=believed)
    with nginx, requests.Session() as session:

        def ask(n):
            groups = {"n": n, **{name: f"{n + at:x}" for at, name in enumerate("abcd", 1)}}
            headers = {"X-Forwarded-For": network.format(**groups)}
            return session.get(f"{nginx.url}/robots.txt", headers=headers, timeout=30).status_code

        statuses = Counter(map(ask, range(250)))

    assert (429 in statuses) == is_one
    assert statuses[503] >= 100


# Ways to write the folder above, and what is between two of them: plain, escaped once and twice, too long for
# UTF-8, full-width, as Windows, as IIS, and with what some programs cut off.
UPS = (
    *("..", "%2e%2e", ".%2e", "%2e.", "%252e%252e", "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae", "..%00", "..%20"),
    *("%u002e%u002e", "%ef%bc%8e%ef%bc%8e", "..;", "..;a=b", "....", ".", "%2e%2e%0d%0a", "%%32%65%%32%65"),
)
BETWEEN = (
    *("/", "%2f", "\\", "%5c", "%252f", "%255c", "//", "/./", "%c0%af", "%c1%9c", "%u2215", "%ef%bc%8f"),
    *("/%2e/", "%2f%2f", "%00/", "%%32%66"),
)
# Where files are given from, or could be.
FOLDERS = (
    *("/simple/", "/simple/demo/", "/simple", "/simple-platform/", "/trixie/simple/demo/"),
    *("/files/", "/files", "/logs/", "/logs/0000/0000/", "/static/", "/static"),
    *("/builds/1000/provenance/", "/bundle/demo/"),
)
DEEPEST = 12
SECRET = b"No answer has this."


def ways_up(files):
    """Give paths that lead to files from each folder, in each of the ways to write them."""
    wanted = itertools.cycle(files)
    for folder, up, between in itertools.product(FOLDERS, UPS, BETWEEN):
        name = str(next(wanted)).lstrip("/")
        deep = between.join([*[up] * DEEPEST, *name.split("/")])
        yield f"{folder}{deep}"
        # No further than from the published tree into the folder around it, in which the secrets are.
        near = between.join([*[up] * (folder.strip("/").count("/") + 2), name.rpartition("/")[2]])
        yield f"{folder}{near}"
    for folder, name in itertools.product(FOLDERS, files):
        yield f"{folder}{name}"
        yield f"{folder}{str(name).replace('/', '%2f')}"


@pytest.fixture
def secrets(stack):
    """Files beside the published tree and outside of the farm, some with names of what is served."""
    names = ("secret-1.0-py3-none-any.whl", "secret-1.0-py3-none-any.whl.metadata", "0000.txt", "a-key")
    files = [folder / name for folder in (stack.var, stack.var.parent) for name in names]
    for path in files:
        path.write_bytes(SECRET)
    yield files
    for path in files:
        path.unlink()


@pytest.mark.parametrize(
    "one_in", [pytest.param(9, id="some"), pytest.param(1, id="all", marks=pytest.mark.faults)]
)
@pytest.mark.parametrize("server", ["nginx", "gunicorn"])
def test_T56_no_way_up_leads_to_a_file_that_is_not_published(
    stack, settings_of_stack, secrets, server, one_in, record_property
):
    published_with_a_build()
    port = stack.nginx.port if server == "nginx" else stack.web_port
    # Where it is published, it would be seen.
    published = stack.public / "simple" / "demo" / secrets[0].name
    published.write_bytes(SECRET)

    def get(path):
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        return answer(port, request.encode())

    assert SECRET in get(f"/simple/demo/{secrets[0].name}")
    published.unlink()

    answers = {path: get(path) for path in itertools.islice(ways_up(secrets), 0, None, one_in)}

    assert [path for path, came in answers.items() if SECRET in came] == []
    assert [path for path, came in answers.items() if not re.match(rb"HTTP/1\.[01] 4", came)] == []
    record_property("ways", len(answers))


@pytest.fixture
def settings_of_stack(stack, settings):
    """Publish where the stack looks."""
    settings.PIWHEELS_PUBLIC = stack.public
    storage = {**settings.STORAGES["default"], "OPTIONS": {"location": str(stack.files)}}
    settings.STORAGES = {**settings.STORAGES, "default": storage}


# --- What builders send ------------------------------------------------------------------------------

LONGEST_S = 10.0
LARGEST_BYTES = 512 << 20


def running(count):
    """Return as many running builds, each of a version and a builder of its own, with their tickets."""
    now = database_now()
    builders = [make_builder(f"pi-{number}", heard_at=now) for number in range(count)]
    return [
        make_running_build(builder, now=now, version=make_version(f"1.{number}"))
        for number, builder in enumerate(builders)
    ]


def sent(port, first_line, secret, raw, *headers, leaves=False):
    """Send a request, perhaps leave before its end; return what comes back, and after how many seconds."""
    lines = [
        f"{first_line} HTTP/1.1",
        "Host: 127.0.0.1",
        "Connection: close",
        f"Authorization: Bearer {secret}",
    ]
    began, came = time.monotonic(), b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        try:
            connection.sendall("\r\n".join([*lines, *headers, "", ""]).encode() + raw)
            if leaves:
                connection.shutdown(socket.SHUT_WR)
            while some := connection.recv(1 << 16):
                came += some
        except (ConnectionResetError, BrokenPipeError):
            # Who has refused does not listen to the rest.
            pass
    return came, time.monotonic() - began


def report(port, build, ticket, wheel):
    """Report a build with its wheel behind the report; return what comes back."""
    filename = wheel_name(version=build.version.number)
    told = json.dumps(json.loads(report_of((filename, wheel))) | {"attached": True}).encode()
    length = [f"Content-Length: {len(told + wheel)}", f"Report-Length: {len(told)}"]
    return sent(port, f"POST {API}/builds/{build.pk}/report", ticket, told + wheel, *length)[0]


def status(came):
    """Return the status of an answer, 0 of none."""
    return int(came[9:12]) if came else 0


@pytest.mark.parametrize("server", ["nginx", "gunicorn"])
def test_T34_of_spoilt_wheels_none_is_published(stack, settings_of_stack, server, record_property):
    chance, port = random.Random(1), stack.nginx.port if server == "nginx" else stack.web_port
    builds, refused = running(150), 0
    for build, ticket in builds:
        good = make_wheel(version=build.version.number, files={"demo/a": chance.randbytes(3000)})
        wheel = mutate(good, chance)

        came = report(port, build, ticket, wheel)

        check(came, stack.nginx)
        assert status(came) in (200, 422), came
        refused += status(came) == 422
        if status(came) == 200:
            assert contents(wheel) == contents(good)
    assert refused > 75
    assert Wheel.objects.count() == len(builds) - refused
    record_property("spoilt wheels", len(builds))


def bodies(chance):
    """Draw what is no hello, no report and no log."""
    return chance.choice(
        [
            b"",
            chance.randbytes(chance.choice([1, 100, 70_000])),
            b"[" * chance.randrange(1, 50_000),
            json.dumps({"contract": chance.choice([2, -1, "2", None, 10**400])}).encode(),
            report_of(("../../x.whl", b"x"))[: chance.randrange(1, 200)],
            b'{"contract":2,"succeeded":true,"wheels":' + b"9" * 5000 + b"}",
        ]
    )


def framed(body, chance):
    """Write a body's length in one of many ways, most of them wrong.

    Return the head's lines, the rest, and whether the other side waits for more of it.
    """
    size, chunk = len(body), f"{len(body):x}\r\n".encode() + body + b"\r\n"
    chunked = "Transfer-Encoding: chunked"
    return chance.choice(
        [
            ([f"Content-Length: {size}"], body, False),
            ([f"Content-Length: {size + 1000}"], body, True),
            ([f"Content-Length: {size // 2}"], body, False),
            ([], body, False),
            ([f"Content-Length: {size}", "Content-Length: 3"], body, True),
            *(([f"Content-Length: {bad}"], body, True) for bad in ("-1", "+5", "5 5", "0x10", "x", "9" * 30)),
            ([chunked], chunk + b"0\r\n\r\n", False),
            ([chunked], chunk, True),
            ([chunked], chunk[: size // 2], True),
            ([chunked], b"zz\r\n" + body, True),
            ([chunked], b"-5\r\n" + body, True),
            ([chunked], b"ffffffffffffffffff\r\n" + body, True),
            ([chunked, f"Content-Length: {size}"], chunk + b"0\r\n\r\n", False),
            (["Transfer-Encoding: gzip, chunked"], chunk + b"0\r\n\r\n", False),
        ]
    )


NUMBERS = ("0", "1", "-1", "x", "", "9" * 18, "9" * 30, "1e3", "1,2")


def asked(build, chance):
    """Draw one of a builder's questions, with numbers that do not fit: its first line, and its head's."""
    numbers = {name: chance.choice(NUMBERS) for name in ("Upload-Offset", "Upload-Length", "Report-Length")}
    numbers["Upload-Sha256"] = chance.choice(["", "0" * 64, "../../x", hashlib.sha256(b"").hexdigest()])
    line = chance.choice(
        [
            "POST {api}/hello",
            "POST {api}/builds/{pk}/heartbeat?log={number}",
            "PATCH {api}/builds/{pk}/wheels/demo-1.0-py3-none-any.whl",
            "PATCH {api}/builds/{pk}/wheels/..%2f..%2fx.whl",
            "POST {api}/builds/{pk}/report",
            "POST {api}/builds/{pk}/{number}/claim",
        ]
    ).format(api=API, pk=build.pk, number=chance.choice([number for number in NUMBERS if number]))
    return line, [f"{name}: {value}" for name, value in numbers.items() if chance.random() < 0.5]


@pytest.mark.parametrize("server", ["nginx", "gunicorn"])
def test_T34_a_body_that_is_not_as_its_head_says_is_refused_and_harms_no_build(
    stack, settings_of_stack, server, record_property
):
    chance, port = random.Random(2), stack.nginx.port if server == "nginx" else stack.web_port
    ((build, ticket),) = running(1)
    token, slowest, answers = build.builder.rekey(), 0.0, []
    build.builder.save()
    for _ in range(500):
        line, more = asked(build, chance)
        length, raw, leaves = framed(bodies(chance), chance)
        secret = token if "hello" in line or "claim" in line else ticket

        came, took_s = sent(port, line, secret, raw, *more, *length, leaves=leaves)

        if came:
            check(came, stack.nginx)
        answers.append(status(came))
        slowest = max(slowest, took_s)
    assert set(answers) <= {0, 200, *range(400, 500), 501}
    assert sum(400 <= each < 500 for each in answers) > 200
    assert slowest < LONGEST_S
    assert all(memory < LARGEST_BYTES for memory in stack_memory(stack))
    log = (stack.var / "web.log").read_text()
    assert [fault for fault in ("Internal Server Error", "Error handling request") if fault in log] == []
    # The build was none the worse for it.
    assert Build.objects.get().state == "building"
    assert status(report(port, build, ticket, make_wheel(version=build.version.number))) == 200
    record_property("broken bodies", len(answers))


def stack_memory(stack):
    """Return how much memory each of the web server's processes has."""
    own = psutil.Process(stack._web.pid)
    return [process.memory_info().rss for process in (own, *own.children(recursive=True))]
