from datetime import UTC, datetime

import pytest
from django.db import connection

from packages import plain_sql
from packages.models import NEVER, Alias, Package

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

ODD = (
    *("a\tb\\N\nc\r\\. \N{SNOWMAN} 'q' \"d\" %s", "two, \r\nthree", '"', " "),
    *("\\N", "\\.", "", "NULL", "None", "plain"),
)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL's own settings see to that.")
def test_the_embedded_database_syncs_each_commit():
    (mode,) = plain_sql.rows("PRAGMA journal_mode", [])[0]
    (synchronous,) = plain_sql.rows("PRAGMA synchronous", [])[0]

    assert (mode, synchronous) == ("wal", 2)


def test_rows_are_added_as_they_are():
    package = Package.objects.create(name="demo", display_name="x")
    moment = datetime(2026, 1, 1, 12, 30, 15, 250_000, tzinfo=UTC)

    plain_sql.fill(
        Alias,
        ("package_id", "name", "seen_at"),
        [(package.pk, name, moment) for name in ODD],
    )

    assert set(Alias.objects.values_list("name", "seen_at")) == {(name, moment) for name in ODD}


def test_what_is_not_known_is_null():
    plain_sql.fill(
        Package,
        ("name", "display_name", "summary", "status", "status_reason", "skip_reason", "generation", "serial",
         "depth", "fetched_at", "plan_needed", "revision"),
        [("demo", "Demo", "", "active", "", "", 1, None, 0, NEVER, True, 1)],
    )  # fmt: skip

    package = Package.objects.get()
    assert (package.serial, package.depth, package.summary, package.etag) == (None, 0, "", "")
