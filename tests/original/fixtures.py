"""What tests of the import use: a server, and on it an empty farm for each of them."""

import pytest

from tests import services
from tests.original import farm, server


@pytest.fixture(scope="session")
def original_server():
    """Return the address of a PostgreSQL."""
    if services.postgres_tools() is None:
        pytest.skip("PostgreSQL is not installed.")
    with server.running() as url:
        yield url


@pytest.fixture
def original(original_server, tmp_path):
    """Return an empty farm of piwheels.org's software."""
    with server.database(original_server) as url, farm.made(url, tmp_path / "original") as made:
        yield made
