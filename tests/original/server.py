"""A PostgreSQL for the database of a made-up farm of piwheels.org's software."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2

from tests import services

SCHEMA = Path(__file__).with_name("schema.sql")


@contextmanager
def running() -> Iterator[str]:
    """Give the address of a PostgreSQL: that of the tests, or one for this alone."""
    url = os.environ.get("DATABASE_URL", "")
    if url.startswith("postgres"):
        yield url
        return
    with services.scratch() as folder, services.postgres(folder) as own:
        yield own


@contextmanager
def database(server: str) -> Iterator[str]:
    """Give the address of a new database with that software's tables."""
    name = f"original_{uuid.uuid4().hex[:12]}"
    connection = psycopg2.connect(server)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
            url = f"{server.rsplit('/', 1)[0]}/{name}"
            with _connected(url) as own:
                own.execute(SCHEMA.read_text())
            yield url
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        connection.close()


@contextmanager
def _connected(url: str) -> Iterator["psycopg2.extensions.cursor"]:
    """Give a cursor whose changes are committed at the end."""
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()
