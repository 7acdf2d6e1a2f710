"""Databases for the farms that tests start."""

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
import pytest

from deploy.farm import MANAGE, ROOT


@contextmanager
def new_database(template: str = "template1") -> Iterator[str]:
    """Give the DATABASE_URL of a new database of the kind that the tests run on; "" is SQLite."""
    url = os.environ.get("DATABASE_URL", "")
    if not url:
        yield ""
        return
    name = f"farm_{uuid.uuid4().hex[:12]}"
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
            yield f"{url.rsplit('/', 1)[0]}/{name}"
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        connection.close()


@pytest.fixture(scope="session")
def tables():
    """Return the name of a database with our tables in it, as a copy is made in no time."""
    with new_database() as url:
        if url:
            env = {**os.environ, "DATABASE_URL": url}
            subprocess.run([*MANAGE, "migrate", "--verbosity", "0"], env=env, cwd=ROOT, check=True)
        yield url.rpartition("/")[2]


@pytest.fixture
def database(tables):
    """Return the DATABASE_URL of a database for one test's farm."""
    with new_database(tables) as url:
        yield url


@pytest.fixture(scope="module")
def shared_database(tables):
    """Return the DATABASE_URL of a database for the farm that a module's tests share."""
    with new_database(tables) as url:
        yield url
