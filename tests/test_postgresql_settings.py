"""PostgreSQL with the settings of `deploy/` writes nothing down that is nobody's to read."""

import subprocess
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from builder.tests.waiting import until
from tests import services

FOLDER = Path(__file__).parents[1] / "deploy" / "postgresql"


@pytest.mark.parametrize("size", ["small", "large"])
def test_no_value_of_a_statement_is_in_the_log_however_long_it_takes_or_whatever_it_fails_of(size):
    with services.scratch() as folder:
        postgres = services.Postgres(folder, FOLDER / f"{size}.conf")
        postgres.create()
        log = folder / "log"
        with log.open("wb") as told, subprocess.Popen(postgres.command(), stderr=told) as process:
            try:
                until(postgres.answers)
                talk(postgres.url)
            finally:
                process.terminate()
                process.wait(60)

        said = log.read_text()

    # What failed is told all the same.
    assert "division by zero" in said
    assert "duplicate key value" in said
    assert "a-secret" not in said


def talk(url):
    """Say a secret in statements that take long, and that fail."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE sessions (key text PRIMARY KEY)")
            cursor.execute("SELECT pg_sleep(2.5), %s", ["a-secret"])
            cursor.execute("INSERT INTO sessions VALUES (%s)", ["a-secret"])
            with pytest.raises(psycopg2.errors.UniqueViolation):
                cursor.execute("INSERT INTO sessions VALUES (%s)", ["a-secret"])
            with pytest.raises(psycopg2.errors.DivisionByZero):
                cursor.execute("SELECT 1 / 0, %s", ["a-secret"])
