"""Real clients at places of all platforms, before an index in production."""

import subprocess
from functools import cache

import pytest
from django.db import connection
from django.test.utils import setup_databases, teardown_databases

from tests.clients import installers, projects
from tests.clients.place import Failed, Place, find_python
from tests.clients.world import World

# As sysconfig.get_platform() has them; "" is the machine's own.
PLATFORMS = {"armv6l": "linux-armv6l", "armv7l": "linux-armv7l", "aarch64": "linux-aarch64", "host": ""}


def pytest_generate_tests(metafunc):
    """Ask each test of all clients, and on all platforms if it wants one."""
    if "client" in metafunc.fixturenames:
        names = [client.name for client in projects.ALL]
        metafunc.parametrize("client", projects.ALL, ids=names, indirect=True)
    if "platform" in metafunc.fixturenames:
        metafunc.parametrize("platform", PLATFORMS.values(), ids=PLATFORMS)


@pytest.fixture(scope="session")
def world(django_test_environment, django_db_blocker, tmp_path_factory):
    """Run an upstream and the production stack; what tests add to them stays, so each has names of its own.

    The web server reads the rows, too, so they are written for good, into a database of these tests.
    """
    with django_db_blocker.unblock():
        databases = setup_databases(verbosity=0, interactive=False, aliases={"default"})
        server = connection.settings_dict
        database = f"postgresql://{server['USER']}@{server['HOST']}:{server['PORT']}/{server['NAME']}"
        with World(tmp_path_factory.mktemp("world"), database) as running:
            yield running
        teardown_databases(databases, verbosity=0)


@pytest.fixture
def client(request):
    """Return a client that is installed, unless it lacks what the test is about; then the test says why.

    What it does otherwise than the test has it is tried all the same: it must fail of that, and of no other
    cause.
    """
    client = request.param
    for mark in request.node.iter_markers("lacks"):
        if client.name in mark.args[0]:
            pytest.skip(mark.args[0][client.name])
    for mark in request.node.iter_markers("deviates"):
        if client.name in mark.args[0]:
            other = mark.args[0][client.name]
            raised = pytest.RaisesExc(AssertionError, match=other.seen)
            request.applymarker(pytest.mark.xfail(reason=other.reason, strict=True, raises=raised))
    if find_python(client.minor) is None:
        pytest.skip(f"there is no Python {client.minor} on this machine")
    installers.fetched(client)
    return client


@pytest.fixture(scope="session")
def empty(tmp_path_factory):
    """Return an empty environment, without pip, of a Python; it is made once."""

    @cache
    def make(minor):
        folder = tmp_path_factory.mktemp("empty") / minor
        subprocess.run([str(find_python(minor)), "-m", "venv", "--without-pip", folder], check=True)
        return folder

    return make


@pytest.fixture
def place(request, client, empty, tmp_path):
    """Return a fresh environment for the client, on the platform of the test, or on the most usual Pi's."""
    platform = request.getfixturevalue("platform") if "platform" in request.fixturenames else "linux-armv7l"
    place = Place(tmp_path / "project", platform)
    place.make(empty(client.minor))
    return place


@pytest.fixture(scope="session")
def shelf():
    """Return what was installed before, for tests that look at the same in several ways."""
    return {}


@pytest.fixture
def installed(client, empty, shelf, tmp_path_factory):
    """Return a function that gives a place where a client has installed something, once for all tests."""

    def install(wanted, sources, platform="linux-armv7l"):
        key = (client.name, wanted, sources, platform)
        if key not in shelf:
            place = Place(tmp_path_factory.mktemp("place") / "project", platform)
            place.make(empty(client.minor))
            try:
                client.install(place, wanted, sources)
                shelf[key] = place
            except Failed as problem:
                shelf[key] = problem
        if isinstance(shelf[key], Failed):
            raise shelf[key]
        return shelf[key]

    return install
