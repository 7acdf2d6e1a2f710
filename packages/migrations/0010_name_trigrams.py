"""Let PostgreSQL find names that look alike, where it has pg_trgm and lets us have it.

Without it a search compares fewer names, in Python.  An operator who adds the extension later runs the two
statements of docs/operating.md.
"""

import logging

from django.db import Error, migrations

logger = logging.getLogger(__name__)

EXTENSION = "CREATE EXTENSION IF NOT EXISTS pg_trgm"
INDEX = (
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS packages_package_name_trigrams"
    " ON packages_package USING gin (name gin_trgm_ops)"
)


def add(apps, schema_editor):
    """Add the extension and the index, or say why not."""
    if schema_editor.connection.vendor != "postgresql":
        return
    with schema_editor.connection.cursor() as cursor:
        try:
            cursor.execute(EXTENSION)
            cursor.execute(INDEX)
        except Error as error:
            logger.warning("Names that look alike are not found by PostgreSQL itself: %s", error)


def remove(apps, schema_editor):
    """Take the index away; the extension may be somebody else's too."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX CONCURRENTLY IF EXISTS packages_package_name_trigrams")


class Migration(migrations.Migration):
    # An index is built while others write, which no transaction can; and what is refused spoils none.
    atomic = False

    dependencies = [("packages", "0009_another_upstream")]

    operations = [migrations.RunPython(add, remove)]
