"""Packages by their names, a page at a time."""

from django.db import connection

from packages import plain_sql
from packages.models import Package

_NEXT = """
    SELECT id FROM packages_package
    WHERE name {after} %s AND name {from_} %s AND name {before} %s ORDER BY name {order} LIMIT %s
"""


def by_name(prefix: str, after: str, limit: int) -> tuple[list[Package], str | None]:
    """Return the packages whose names begin so and come after that one, and after which it goes on.

    One that is added meanwhile is where its name is; each of the others is given once.  Two queries.
    """
    # After all that a canonical name may have comes this brace.
    keys = [key for (key,) in plain_sql.rows(_sql(), [after, prefix, prefix + "{", limit + 1])]
    packages = Package.objects.in_bulk(keys[:limit])
    found = [packages[key] for key in keys[:limit] if key in packages]
    return found, found[-1].name if len(keys) > limit and found else None


def _sql() -> str:
    """Return the statement that compares byte by byte, for which each database has an index.

    To PostgreSQL these are the operators of the index that Django makes for LIKE; in an order of words, as in
    most of its locales, what begins alike is not one range.
    """
    if connection.vendor == "postgresql":
        return _NEXT.format(after="~>~", from_="~>=~", before="~<~", order="USING ~<~")
    return _NEXT.format(after=">", from_=">=", before="<", order="")
