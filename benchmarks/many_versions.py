"""A database with as many versions as one likes, each of which waits for three targets.

What is written fits together, so nothing is checked while it is written, and the indexes are made at the end.
Nothing is kept over a crash either: the tables are unlogged, which a real farm's are not.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.db.backends.utils import CursorWrapper

from packages.models import Package, Version

VERSIONS = 10  # of each package
FAILURE = "missing-header"  # what the failed ones failed with

# The hash of a number, from 0 to 999: a spread that is the same each time.
_SPREAD = "(abs(hashint8({})) %% 1000)"

_PACKAGES = """
    INSERT INTO packages_package (
        name, display_name, summary, status, status_reason, skip_reason, generation, fetched_at, plan_needed,
        revision
    )
    SELECT 'p' || n, 'p' || n, '', 'active', '', '', 1, now(), false, 0 FROM generate_series(%s, %s) n
"""
_VERSIONS = f"""
    INSERT INTO packages_version (
        package_id, number, canonical, is_prerelease, released_at, yanked, yanked_reason, skip_reason
    )
    SELECT p.id, '1.' || minor, '1.' || minor, false,
           now() - {_SPREAD.format("p.id")} * interval '1 day' - (10 - minor) * interval '1 hour',
           false, '', ''
    FROM packages_package p, generate_series(1, {VERSIONS}) minor WHERE p.id > %s
"""
_FILES = """
    INSERT INTO packages_upstreamfile (
        version_id, filename, kind, url, sha256, size, requires_python, yanked, yanked_reason
    )
    SELECT id, 'p' || package_id || '-' || number || '.tar.gz', 'source',
           'http://127.0.0.1:9/files/p' || package_id || '-' || number || '.tar.gz',
           encode(sha256(id::text::bytea), 'hex'), 1000, '', false, ''
    FROM packages_version WHERE id > %s
"""
# Depth, demand and length as the priorities have them; in front what only some may have now.  One build in a
# hundred has failed.
_BUILDS = f"""
    INSERT INTO builds_build (
        version_id, target_id, attempt, losses, state, failure, finished_at, reason, failure_about,
        may_return, priority, why, released_at, ticket_hash, rung, sandbox, size, is_long, not_before
    )
    SELECT v.id, t.id, 1, 0,
           CASE WHEN failed THEN 'failed' ELSE 'queued' END,
           CASE WHEN failed THEN '{FAILURE}' ELSE '' END,
           CASE WHEN failed THEN v.released_at END,
           '', '', false,
           CASE WHEN nth < 0.1 THEN 4000000 ELSE 2000000 END
               + (999 - (v.id %% {VERSIONS})) * 1000 + {_SPREAD.format("v.id")},
           'It is an older version. 7 newer versions of it come first.', v.released_at, '', '', '',
           CASE WHEN nth < 0.03 THEN 'large' WHEN nth < 0.05 THEN 'medium' ELSE 'small' END,
           nth BETWEEN 0.05 AND 0.1,
           CASE WHEN nth < 0.02 THEN now() + interval '1 day' END
    FROM (SELECT *, {_SPREAD.format("id + 7")} / 1000.0 AS nth FROM packages_version WHERE id > %s) v,
         builds_target t, LATERAL (SELECT {_SPREAD.format("v.id * 8 + t.id")} < 10 AS failed) f
    WHERE t.is_active
"""
_DEMAND = f"""
    INSERT INTO builds_demand (package_id, downloads, misses, dependents)
    SELECT id, {_SPREAD.format("id")}, 0, 0 FROM packages_package WHERE id > %s
"""

# The tables that are filled; their own indexes are made when they are full.
_FILLED = ["packages_version", "packages_upstreamfile", "builds_build"]

# Tables to whose rows no row of a logged table refers: those that can be unlogged next.
_NEXT = """
    SELECT oid::regclass::text FROM pg_class t
    WHERE relkind = 'r' AND relpersistence = 'p' AND relnamespace = 'public'::regnamespace AND NOT EXISTS (
        SELECT 1 FROM pg_constraint c JOIN pg_class other ON other.oid = c.conrelid
        WHERE c.contype = 'f' AND c.confrelid = t.oid AND other.oid <> t.oid AND other.relpersistence = 'p'
    )
"""


def unlog() -> None:
    """Keep no log of what is written, which would be as large as the database and is of no use here."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER SYSTEM SET autovacuum = off")
        cursor.execute("SELECT pg_reload_conf()")
        while tables := _column(cursor, _NEXT):
            for table in tables:
                cursor.execute(f"ALTER TABLE {table} SET UNLOGGED")


def fill(size: int) -> None:
    """Add packages, versions and builds until there are so many versions."""
    package = Package.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    version = Version.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    with connection.cursor() as cursor:
        with without_indexes(cursor, _FILLED):
            # To have it checked row by row takes longer than all else.
            cursor.execute("SET session_replication_role = replica")
            cursor.execute(_PACKAGES, [Package.objects.count() + 1, size // VERSIONS])
            cursor.execute(_VERSIONS, [package])
            cursor.execute(_FILES, [version])
            cursor.execute(_BUILDS, [version])
            cursor.execute(_DEMAND, [package])
            cursor.execute("SET session_replication_role = origin")
        cursor.execute("VACUUM ANALYZE")


@contextmanager
def without_indexes(cursor: CursorWrapper, tables: list[str]) -> Iterator[None]:
    """Keep indexes away while tables are filled: they are made faster than they grow."""
    uniques = _rows(
        cursor,
        "SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE contype = 'u' AND conrelid::regclass::text = ANY(%s)",
        [tables],
    )
    for table, name, _ in uniques:
        cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    indexes = _rows(
        cursor,
        "SELECT quote_ident(indexname), indexdef FROM pg_indexes WHERE schemaname = 'public'"
        " AND tablename = ANY(%s) AND indexname NOT IN (SELECT conname FROM pg_constraint)",
        [tables],
    )
    for name, _ in indexes:
        cursor.execute(f"DROP INDEX {name}")
    yield
    cursor.execute("SET maintenance_work_mem = '1GB'")
    for table, name, definition in uniques:
        cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
    for _, definition in indexes:
        cursor.execute(definition)


def _rows(cursor: CursorWrapper, sql: str, values: list[list[str]]) -> list[tuple[str, ...]]:
    cursor.execute(sql, values)
    return list(cursor.fetchall())


def _column(cursor: CursorWrapper, sql: str) -> list[str]:
    cursor.execute(sql)
    return [value for (value,) in cursor.fetchall()]


def held() -> tuple[int, list[tuple[str, int]]]:
    """Return how many bytes the database has, and its largest tables and indexes with theirs."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        (total,) = cursor.fetchone()
        cursor.execute(
            "SELECT relname, pg_relation_size(oid) AS size FROM pg_class WHERE relkind IN ('r', 'i')"
            " ORDER BY size DESC LIMIT 12"
        )
        return total, list(cursor.fetchall())
