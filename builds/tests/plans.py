"""How PostgreSQL runs what is asked of it."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from django.db import connection

Result = TypeVar("Result")


def explained(run: Callable[[], Result]) -> tuple[Result, list[dict[str, Any]]]:
    """Run something; return its result, and each scan of a table that its SELECTs take.

    Prepared statements (`packages.plain_sql`) are taken for such, as their text does not tell; all run twice.
    """
    asked: list[tuple[str, Any]] = []

    def note(execute, statement, params, many, context):
        asked.append((statement, params))
        return execute(statement, params, many, context)

    with connection.execute_wrapper(note):
        result = run()
    scans = []
    with connection.cursor() as cursor:
        for statement, params in asked:
            if statement.lstrip("( \n").startswith(("SELECT", "EXECUTE")):
                cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", params)
                plan = cursor.fetchone()[0][0]["Plan"]
                scans += [node for node in _nodes(plan) if "Relation Name" in node]
    return result, scans


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from _nodes(child)
