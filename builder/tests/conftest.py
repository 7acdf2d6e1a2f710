"""A server to talk to, sandboxes, and a builder's settings: `pi`, as `settings` are Django's where it is."""

import pytest

from builder.client import Client
from builder.proxy import PackageProxy
from builder.sandbox import Level
from builder.settings import Settings
from builder.tests.asking import QUICK
from builder.tests.boxes import boxed
from builder.tests.package_index import PackageIndex
from builder.tests.server import TOKEN, FakeServer


@pytest.fixture
def server():
    with FakeServer() as fake:
        yield fake


@pytest.fixture
def pi(server, tmp_path):
    return Settings(
        server=server.url,
        builder="pi-07",
        token=TOKEN,
        orders_url="redis+socket:///nowhere/redis.sock",
        work=tmp_path / "work",
    )


@pytest.fixture
def client(pi):
    with Client(pi, patience_s=3.0, first_pause_s=0.01) as client:
        yield client


@pytest.fixture
def index():
    """An index of packages that nothing is wrong with yet."""
    with PackageIndex() as index:
        yield index


@pytest.fixture
def proxy(index):
    """Its proxy, on a port of this machine."""
    with PackageProxy([index.simple], socket=None, **QUICK) as proxy:
        yield proxy


@pytest.fixture(params=Level)
def box(request, tmp_path):
    """A sandbox of each level."""
    with boxed(request.param, tmp_path) as box:
        yield box


@pytest.fixture(params=[Level.BOX, Level.FULL])
def walled(request, tmp_path):
    """A sandbox of each level that has walls."""
    with boxed(request.param, tmp_path) as box:
        yield box
