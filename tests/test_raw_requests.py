"""Whatever comes over the wire, nginx and gunicorn answer, say of no fault and give no secret away."""

import itertools
import os
import re
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import requests
from hypothesis import given, settings

from builds.tests.rows import make_builder
from deploy.gunicorn import threads
from piwheels_site.tests.test_strange_requests import EVERYDAY, published_with_a_build
from tests import strange_requests
from tests.stack import Stack, database_of_tests

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


def answer(port, sent):
    """Send bytes, and return all that comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(sent)
        came = b""
        while some := connection.recv(1 << 16):
            came += some
    return came


def check(came):
    """Fail if an answer says that a server has failed, or is none."""
    first = re.match(rb"HTTP/1\.[01] ([0-9]{3}) ", came)
    assert first, came[:200]
    assert int(first[1]) < 500 or int(first[1]) in NGINX_DOES_NOT, came[:1000]
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
        check(answer(port, request.bytes(f"127.0.0.1:{port}")))

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
    *(
        "/simple/",
        "/simple/demo/",
        "/simple",
        "/simple-platform/",
        "/trixie/simple/demo/",
        "/files/",
        "/files",
    ),
    *("/logs/", "/logs/0000/0000/", "/static/", "/static", "/builds/1000/provenance/", "/bundle/demo/"),
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


@pytest.mark.parametrize("server", ["nginx", "gunicorn"])
def test_T56_no_way_up_leads_to_a_file_that_is_not_published(
    stack, settings_of_stack, secrets, server, record_property
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

    answers = {path: get(path) for path in ways_up(secrets)}

    assert [path for path, came in answers.items() if SECRET in came] == []
    assert [path for path, came in answers.items() if not re.match(rb"HTTP/1\.[01] 4", came)] == []
    record_property("ways", len(answers))


@pytest.fixture
def settings_of_stack(stack, settings):
    """Publish where the stack looks."""
    settings.PIWHEELS_PUBLIC = stack.public
    storage = {**settings.STORAGES["default"], "OPTIONS": {"location": str(stack.files)}}
    settings.STORAGES = {**settings.STORAGES, "default": storage}
