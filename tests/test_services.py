"""The servers that runs have of their own are as they are said to be."""

from pathlib import Path

import psycopg2
import pytest

from tests import services


@pytest.mark.parametrize(
    ("configuration", "fsync", "jit"), [(None, "off", "on"), (services.SMALL, "on", "off")]
)
def test_a_database_of_production_waits_for_the_disk(
    configuration: Path | None, fsync: str, jit: str
) -> None:
    """What is measured has a server's settings, and has on its disk what it says is there."""
    with services.scratch() as folder, services.postgres(folder, configuration) as url:
        connection = psycopg2.connect(url)
        with connection.cursor() as cursor:
            cursor.execute("SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'jit')")
            found = dict(cursor.fetchall())
        connection.close()
    assert found == {"fsync": fsync, "jit": jit}
