"""Packages by their names, a page at a time."""

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
    keys = [
        key for (key,) in plain_sql.rows(plain_sql.bytewise(_NEXT), [after, *beginning(prefix), limit + 1])
    ]
    packages = Package.objects.in_bulk(keys[:limit])
    found = [packages[key] for key in keys[:limit] if key in packages]
    return found, found[-1].name if len(keys) > limit and found else None


def beginning(letters: str) -> tuple[str, str]:
    """Return from which name to before which those are that begin so.

    After all that a canonical name may have comes this brace.
    """
    return letters, letters + "{"
