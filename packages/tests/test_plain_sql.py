from datetime import UTC, datetime

import pytest

from packages import plain_sql
from packages.models import Alias, Package

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

ODD = "a\tb\\N\nc\r\\. \N{SNOWMAN} 'q' \"d\" %s"


def test_rows_are_added_as_they_are():
    package = Package.objects.create(name="demo", display_name="x")
    moment = datetime(2026, 1, 1, 12, 30, 15, 250_000, tzinfo=UTC)

    plain_sql.fill(
        Alias._meta.db_table,
        ("package_id", "name", "seen_at"),
        [(package.pk, name, moment) for name in (ODD, "\\N", "", "plain")],
    )

    assert set(Alias.objects.values_list("name", "seen_at")) == {
        (name, moment) for name in (ODD, "\\N", "", "plain")
    }
