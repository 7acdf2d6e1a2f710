"""The database of piwheels.org's software, read a page at a time.

Pages are short queries that go on behind a key, so that nothing holds up that farm's own work, or its vacuum,
for hours.  What cannot be cut so, as a day's downloads, is streamed by a cursor of the server's.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import psycopg2
from psycopg2.extensions import connection as Connection

# What the import reads; a database without one of these columns is another version's, or somebody else's.
NEEDED = {
    "configuration": ("version",),
    "packages": ("package", "skip", "description"),
    "package_names": ("name", "package", "seen"),
    "versions": ("package", "version", "released", "skip", "yanked"),
    "build_abis": ("abi_tag", "skip"),
    "builds": ("build_id", "package", "version", "built_by", "built_at", "duration", "status", "abi_tag"),
    "files": (
        *("filename", "build_id", "filesize", "filehash", "abi_tag", "platform_tag", "requires_python"),
        "location",
    ),
    "dependencies": ("filename", "tool", "dependency"),
    "downloads": (
        *("filename", "accessed_by", "accessed_at", "arch", "distro_name", "distro_version", "os_name"),
        *("py_name", "py_version", "installer_name", "installer_version", "setuptools_version"),
    ),
    "searches": ("package", "accessed_at"),
    "preinstalled_apt_packages": ("abi_tag", "apt_package"),
}
# Rows that the server sends at a time of what is streamed.
STREAMED = 5_000

Row = tuple[Any, ...]  # Any: what the columns hold


class NotReadable(Exception):
    """It cannot be read, or is not what it should be; the text says what to do."""


def epoch(column: str) -> str:
    """Return the SQL for a time in seconds; NULL for one that no calendar of ours has, as infinity."""
    return (
        f"CASE WHEN {column} BETWEEN '1970-01-01' AND '2200-01-01'"
        f" THEN extract(epoch FROM {column})::float8 END"
    )


class Original:
    """A connection to that database, for reading alone."""

    def __init__(self, dsn: str) -> None:
        try:
            self._connection: Connection = psycopg2.connect(
                dsn, application_name="import_piwheels", client_encoding="UTF8"
            )
        except psycopg2.ProgrammingError as error:
            # Its text has the words of the DSN, and one of them may be a password.
            raise NotReadable(
                "The DSN cannot be understood: write postgresql://user@host/name, or 'dbname=piwheels'."
            ) from error
        except psycopg2.Error as error:
            raise NotReadable(f"The database does not take us: {str(error).strip()}") from error
        self._connection.set_session(readonly=True)
        # The SQL that tells of a row of files whether it is deleted: since 0.26 the row stays.
        self.is_deleted = "false"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()

    def check(self) -> str:
        """Return the version that its software says; raises NotReadable for any other database."""
        sql = """
            SELECT table_name, column_name FROM information_schema.columns
            WHERE table_schema = ANY(current_schemas(false))
        """
        there: dict[str, set[str]] = {}
        for table, column in self.page(sql):
            there.setdefault(table, set()).add(column)
        lacking = [
            f"{table}.{column}"
            for table, columns in NEEDED.items()
            for column in columns
            if column not in there.get(table, ())
        ]
        if lacking:
            raise NotReadable(
                f"This is no database of piwheels 0.23, or one alike: it lacks {', '.join(lacking[:5])}"
                f"{' and others' * (len(lacking) > 5)}. Name the right one, bring it up to date with"
                " piw-initdb, or let this user read it (GRANT SELECT ON ALL TABLES)."
            )
        if "deleted_at" in there["files"]:
            self.is_deleted = "files.deleted_at IS NOT NULL"
        return str(next(iter(self.page("SELECT version FROM configuration")), ("",))[0])

    def page(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """Return all rows of one query, which are to be few."""
        with self._reading() as connection, connection.cursor() as cursor:
            cursor.execute(sql, list(values))
            return list(cursor.fetchall())

    def number(self, sql: str, values: Sequence[object] = ()) -> int:
        """Return the one number that a query answers with; 0 for NULL."""
        return int(self.page(sql, values)[0][0] or 0)

    def stream(self, sql: str, values: Sequence[object] = ()) -> Iterator[Row]:
        """Give the rows of one query, of which there may be any number."""
        with self._reading() as connection, connection.cursor("import_piwheels") as cursor:
            cursor.itersize = STREAMED
            cursor.execute(sql, list(values))
            yield from cursor

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """Give the connection, and let go afterwards of what was seen."""
        try:
            self._connection.rollback()
            with self._connection.cursor() as cursor:
                # Elsewhere on PyPI and here, days are UTC's; and no operator's limit is meant for this.
                cursor.execute("SET LOCAL timezone TO 'UTC'; SET LOCAL statement_timeout TO 0")
            yield self._connection
            self._connection.rollback()
        except psycopg2.Error as error:
            said = str(error).strip() or type(error).__name__
            raise NotReadable(
                f"Its database could not be read on: {said.rstrip('.')}. Say it again, and it goes on."
            ) from error
