"""Whatever comes over the wire, nginx and gunicorn answer, and say of no fault of theirs (Hypothesis)."""

import os
import re
import socket

import pytest
from hypothesis import given, settings

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


@pytest.fixture
def settings_of_stack(stack, settings):
    """Publish where the stack looks."""
    settings.PIWHEELS_PUBLIC = stack.public
    storage = {**settings.STORAGES["default"], "OPTIONS": {"location": str(stack.files)}}
    settings.STORAGES = {**settings.STORAGES, "default": storage}
