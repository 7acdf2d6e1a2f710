"""What it costs to choose and to give out the next 100 builds, however many wait.

A database is filled to 100,000 versions and then to a million, each waiting for three targets; to as many as
QUEUE_VERSIONS says, if that is set.  Of what waits, the first tenth waits for a time, for larger builders, or
is long: whoever looks at those one by one is found out.

The fastest of 30 times is what it costs; the median has in it what else the machine does.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from statistics import median

from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction

from benchmarks.figures import Figure, show
from builds import dispatch, position, queue
from builds.clock import database_now
from builds.models import Build, Builder, Size, Target
from packages.models import Package, Version
from tests import services

SIZES = (100_000, 1_000_000)
BUILDERS = 100
VERSIONS = 10  # of each package
REPEATED = 30

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
# Depth, demand and length as builds.priority has them; in front what only some may have now.
_BUILDS = f"""
    INSERT INTO builds_build (
        version_id, target_id, attempt, losses, state, reason, failure, failure_about, may_return, priority,
        why, released_at, ticket_hash, rung, sandbox, size, is_long, not_before
    )
    SELECT v.id, t.id, 1, 0, 'queued', '', '', '', false,
           CASE WHEN nth < 0.1 THEN 4000000 ELSE 2000000 END
               + (999 - (v.id %% {VERSIONS})) * 1000 + {_SPREAD.format("v.id")},
           'It is an older version. 7 of its package''s are newer.', v.released_at, '', '', '',
           CASE WHEN nth < 0.03 THEN 'large' WHEN nth < 0.05 THEN 'medium' ELSE 'small' END,
           nth BETWEEN 0.05 AND 0.1,
           CASE WHEN nth < 0.02 THEN now() + interval '1 day' END
    FROM (SELECT *, {_SPREAD.format("id + 7")} / 1000.0 AS nth FROM packages_version WHERE id > %s) v,
         builds_target t WHERE t.is_active
"""


def main() -> int:
    """Measure and print."""
    sizes = sorted({*SIZES, int(os.environ.get("QUEUE_VERSIONS", SIZES[-1]))})
    choosing, wrong = [], 0
    call_command("migrate", verbosity=0)
    with services.private_redis(settings.VAR / "redis") as settings.PIWHEELS_ORDERS_URL:
        target = enrol()
        for size in sizes:
            began = time.monotonic()
            fill(size)
            print(f"  {size:,} versions, filled in {time.monotonic() - began:.0f} s", flush=True)
            _hear(database_now())
            took = repeated(lambda: chosen(target))
            choosing.append(min(took))
            wrong += measure(size, target, took)
    show(Figure("choosing, the largest to the smallest", choosing[-1] / choosing[0], "times", "under 2"))
    return 1 if wrong else 0


def enrol() -> Target:
    """Build for three targets, and have builders for the one that is returned."""
    targets = list(Target.objects.order_by("key")[:3])
    for target in targets:
        target.activate()
    Builder.objects.bulk_create(
        Builder(name=f"b-{n}", target=targets[0], token_hash=str(n), size=_size(n)) for n in range(BUILDERS)
    )
    return targets[0]


def _size(number: int) -> Size:
    """Return the size of a builder: most are small."""
    return Size.LARGE if number % 10 == 0 else Size.MEDIUM if number % 10 < 4 else Size.SMALL


def fill(size: int) -> None:
    """Add packages, versions and builds until there are so many versions."""
    package = Package.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    version = Version.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    with connection.cursor() as cursor, without_indexes():
        # What is written here fits together; to have it checked row by row takes longer than all else.
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(_PACKAGES, [Package.objects.count() + 1, size // VERSIONS])
        cursor.execute(_VERSIONS, [package])
        cursor.execute(_FILES, [version])
        cursor.execute(_BUILDS, [version])
        cursor.execute("SET session_replication_role = origin")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


@contextmanager
def without_indexes() -> Iterator[None]:
    """Keep indexes away while tables are filled: they are made faster than they grow."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = ANY(%s)"
            " AND indexname NOT IN (SELECT conname FROM pg_constraint)",
            [["packages_version", "packages_upstreamfile", "builds_build"]],
        )
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f'DROP INDEX "{name}"')
        yield
        cursor.execute("SET maintenance_work_mem = '1GB'")
        for _, definition in indexes:
            cursor.execute(definition)


def measure(size: int, target: Target, choosing: list[float]) -> int:
    """Print what choosing and giving out cost; return whether something came out wrong."""
    give_out()
    began = time.monotonic()
    given = give_out()
    giving = time.monotonic() - began
    last = Build.objects.in_lane(target, Size.SMALL, is_long=False).last()
    asking = min(repeated(lambda: position.of(last, database_now()) if last else None))
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        (held,) = cursor.fetchone()
    show(
        Figure(
            f"choosing {BUILDERS} builds, {size:,} versions, the fastest",
            1000 * min(choosing),
            "ms",
            "under 50",
        ),
        Figure("the same, the median", 1000 * median(choosing), "ms"),
        Figure("and giving them to builders, with their rings", 1000 * giving, "ms"),
        Figure("telling how many builds are before the last, the fastest", 1000 * asking, "ms"),
        Figure("database, per version with three builds", held / size, "bytes"),
    )
    return int(given != BUILDERS)


def give_out() -> int:
    """Give builds to all builders, and put them back into the queue."""
    now = database_now()
    _hear(now)
    given = dispatch.dispatch(now)
    Build.objects.assigned().update(state="queued", builder=None, lease_until=None, rang_at=None)
    return given


def chosen(target: Target) -> int:
    """Choose builds for all builders of a target, and leave them where they are."""
    now = database_now()
    with transaction.atomic():
        return len(queue.next_for(target, dispatch.free(target, now), now))


def _hear(now: datetime) -> None:
    Builder.objects.update(heard_at=now)


def repeated(measured: Callable[[], object]) -> list[float]:
    """Return how many seconds something takes, some times over; the first time warms up."""
    took = []
    for _ in range(1 + REPEATED):
        began = time.monotonic()
        measured()
        took.append(time.monotonic() - began)
    return took[1:]
