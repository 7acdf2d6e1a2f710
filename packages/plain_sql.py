"""Runs plain SQL, for the few statements that each build needs several times over.

The ORM takes 0.4 to 0.8 ms of Python to make such a statement anew each time, and Python's part of running
it is 0.06 ms; a build needs about thirty.  Both databases understand the same text, so what is here is
only what their drivers do differently.
"""

import csv
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from io import StringIO
from typing import Any
from weakref import WeakKeyDictionary

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import Model

# The database's clock, as Django's `Now()` asks for it.
_NOW = {"postgresql": "STATEMENT_TIMESTAMP()", "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')"}


# A row that another transaction is at is passed over; in SQLite there is no other one that writes.
_UNLESS_LOCKED = {"postgresql": "FOR NO KEY UPDATE OF {} SKIP LOCKED", "sqlite": ""}
# Whoever is changing a row is waited for.
_AS_IT_STANDS = {"postgresql": "FOR SHARE OF {}", "sqlite": ""}


def unless_locked(table: str) -> str:
    """Return the end of a SELECT that locks what it finds in a table, but for what others have locked."""
    return _UNLESS_LOCKED[connection.vendor].format(table)


def as_it_stands(table: str) -> str:
    """Return the end of a SELECT that keeps others from changing what it finds in a table."""
    return _AS_IT_STANDS[connection.vendor].format(table)


# To PostgreSQL these are the operators of the index that Django makes for LIKE; in an order of words, as in
# most of its locales, what begins alike is not one range.
_BYTEWISE = {
    "postgresql": {"after": "~>~", "from_": "~>=~", "before": "~<~", "order": "USING ~<~"},
    "sqlite": {"after": ">", "from_": ">=", "before": "<", "order": ""},
}


def bytewise(template: str) -> str:
    """Return a statement that compares byte by byte, for which each database has an index."""
    return template.format(**_BYTEWISE[connection.vendor])


def now() -> str:
    """Return the SQL for the database's time."""
    return _NOW[connection.vendor]


def change(sql: str, values: Sequence[object], *, is_frequent: bool = False) -> int:
    """Run an INSERT or UPDATE; return how many rows it touched.

    A frequent one is prepared, and so must let PostgreSQL see the types of its values without them.
    """
    # As the ORM has it: an error ends the transaction, even when somebody catches it.
    with transaction.mark_for_rollback_on_error(using=connection.alias), connection.cursor() as cursor:
        _run(cursor, sql, values, is_frequent=is_frequent)
        return int(cursor.rowcount)


def changed(
    sql: str, values: Sequence[object], *, is_frequent: bool = False
) -> list[tuple[Any, ...]]:  # Any: what the columns hold
    """Run an INSERT or UPDATE that answers with the rows it touched, and return them all."""
    with transaction.mark_for_rollback_on_error(using=connection.alias), connection.cursor() as cursor:
        _run(cursor, sql, values, is_frequent=is_frequent)
        return list(cursor.fetchall())


def rows(
    sql: str, values: Sequence[object], *, is_frequent: bool = False
) -> list[tuple[Any, ...]]:  # Any: what the columns hold
    """Run a statement that answers with rows, and return them all."""
    with connection.cursor() as cursor:
        _run(cursor, sql, values, is_frequent=is_frequent)
        return list(cursor.fetchall())


# How many statements a connection keeps; those that vary with the number of their values are beyond it.
_MOST_PREPARED = 200
# What each connection of the driver's has prepared: the names, by the statements.
_prepared: WeakKeyDictionary[Any, dict[str, str]] = WeakKeyDictionary()  # Any: the driver's connection


def _run(cursor: CursorWrapper, sql: str, values: Sequence[object], *, is_frequent: bool) -> None:
    """Run a statement, which PostgreSQL prepares the first time if it is a frequent one.

    To plan one anew each time takes it four times as long as to run it: 1 to 6 ms for those with joins.
    """
    if connection.vendor != "postgresql" or not is_frequent:
        cursor.execute(sql, _adapted(values))
        return
    names = _prepared.setdefault(connection.connection, {})
    if sql not in names:
        if len(names) == _MOST_PREPARED:
            cursor.execute(sql, _adapted(values))
            return
        name = f"plain_{len(names)}"
        numbered = sql % tuple(f"${place}" for place in range(1, len(values) + 1))
        # Past Django's count of queries, as it is none of those that the next time takes.
        with connection.wrap_database_errors:
            cursor.cursor.execute(f"PREPARE {name} AS {numbered}")
        names[sql] = name
    cursor.execute(f"EXECUTE {names[sql]} ({', '.join(['%s'] * len(values))})", _adapted(values))


def _adapted(values: Sequence[object]) -> list[Any]:  # Any: what the driver takes
    """Return values as the database keeps them: SQLite has no type for times."""
    adapt = connection.ops.adapt_datetimefield_value
    return [adapt(value) if isinstance(value, datetime) else value for value in values]


def fill(model: type[Model], columns: Sequence[str], values: Iterable[Sequence[object]]) -> None:
    """Add many new rows to a model's table, which may be hundreds of thousands in a bootstrap."""
    filled = {field.attname for field in model._meta.concrete_fields if not field.null}
    fill_table(model._meta.db_table, columns, values, filled=filled)


def fill_table(
    table: str, columns: Sequence[str], values: Iterable[Sequence[object]], *, filled: Collection[str]
) -> None:
    """Add many new rows to a table; columns that are `filled` cannot be NULL.

    PostgreSQL has a way of its own for that, which takes a tenth of the time of an INSERT by the ORM.
    """
    names = ", ".join(columns)
    with transaction.mark_for_rollback_on_error(using=connection.alias), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            lines = StringIO()
            csv.writer(lines, lineterminator="\n").writerows(values)
            lines.seek(0)
            # In CSV, None and "" look alike; a column that may be NULL holds no "" here.
            texts = ", ".join(column for column in columns if column in filled)
            copy = f"COPY {table} ({names}) FROM STDIN WITH (FORMAT csv, FORCE_NOT_NULL ({texts}))"
            with connection.wrap_database_errors:
                cursor.cursor.copy_expert(copy, lines)
        else:
            places = ", ".join(["%s"] * len(columns))
            insert = f"INSERT INTO {table} ({names}) VALUES ({places})"  # noqa: S608
            cursor.executemany(insert, [_adapted(row) for row in values])
