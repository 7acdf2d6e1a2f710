"""Databases for the farms that tests start."""

import os
import uuid

import pytest


@pytest.fixture(scope="module")
def farm_database():
    """Return the DATABASE_URL of an empty database of the kind that the tests run on; "" is SQLite."""
    url = os.environ.get("DATABASE_URL", "")
    if not url:
        yield ""
        return
    import environ
    import psycopg2

    server = environ.Env.db_url_config(url)
    name = f"farm_{uuid.uuid4().hex[:12]}"
    connection = psycopg2.connect(
        host=server["HOST"], port=server["PORT"], user=server["USER"], dbname=server["NAME"]
    )
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
            yield f"{url.rsplit('/', 1)[0]}/{name}"
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        connection.close()
