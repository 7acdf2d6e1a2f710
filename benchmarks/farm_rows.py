"""What a simulated farm has at its beginning, written by the database itself and so in minutes.

The old target has a wheel of every package.  Two thirds of them are pure and serve the new target as well;
what the plan would queue of the others for the new target is written the way a plan writes it, and compared
with what the plan itself makes of a sample.
"""

import time
from datetime import datetime, timedelta

from django.db import connection

from builds.models import Build, Target
from builds.planning import plan
from builds.planning.priority import LONG_S, Rank, span
from packages.models import Package

# Of a thousand wheels on the first piwheels, so many are pure.
PURE = 660
# Seconds on a Pi: half of all builds take less than the first; the logarithm is normal with the second.
MEDIAN_S, SPREAD = 40.0, 1.4
LONGEST_S = 3 * 3600.0
# How many packages are planned by the plan itself.
SAMPLE = 500

_RELEASED = timedelta(days=400)
# A prime, which spreads the pure ones evenly.
_STRIDE = 7919

_PACKAGES = """
    INSERT INTO packages_package (
        name, display_name, summary, status, status_reason, skip_reason, generation, fetched_at, plan_needed,
        revision
    )
    SELECT 'sim-' || n, 'sim-' || n, '', 'active', '', '', 1, %(now)s, false, 0
    FROM generate_series(0, %(packages)s - 1) n
"""
_VERSIONS = """
    INSERT INTO packages_version (
        package_id, number, canonical, is_prerelease, released_at, yanked, yanked_reason, skip_reason
    )
    SELECT id, '1.0', '1.0', false, %(released_at)s, false, '', '' FROM packages_package
"""
_FILES = """
    INSERT INTO packages_upstreamfile (
        version_id, filename, kind, url, sha256, size, requires_python, uploaded_at, yanked, yanked_reason
    )
    SELECT v.id, p.name || '-1.0.tar.gz', 'source', 'http://127.0.0.1:9/' || p.name || '-1.0.tar.gz',
           encode(sha256(p.name::bytea), 'hex'), 10000, '', v.released_at, false, ''
    FROM packages_version v JOIN packages_package p ON p.id = v.package_id
"""
# A normal number is made of two even ones (Box and Muller).
_BUILDS = f"""
    INSERT INTO builds_build (
        version_id, target_id, attempt, losses, state, failure, finished_at, queued_at, duration_s, reason,
        failure_about, may_return, priority, why, released_at, ticket_hash, rung, sandbox, size
    )
    SELECT id, %(old)s, 1, 0, 'succeeded', '', released_at, released_at,
           least({LONGEST_S}, {MEDIAN_S} * exp({SPREAD} * normal)), '', '', false, 0, '', released_at, '', '',
           '', 'small'
    FROM (
        SELECT *, sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()) AS normal FROM packages_version
    ) v
"""
_WHEELS = f"""
    INSERT INTO builds_wheel (
        build_id, package_id, version_id, filename, size, sha256, metadata_sha256, requires_python, glibc,
        glibcxx, is_portable, trial, trial_detail, held_reason, published_at, yanked, yanked_reason
    )
    SELECT b.id, p.id, v.id,
           replace(p.name, '-', '_') || '-1.0-' || CASE
               WHEN substr(p.name, 5)::bigint * {_STRIDE} %% 1000 < {PURE} THEN 'py3-none-any'
               ELSE 'cp311-cp311-linux_armv7l'
           END || '.whl',
           10000, encode(sha256(p.name::bytea), 'hex'), repeat('0', 64), '', '', '', false, '', '', '',
           b.finished_at, false, ''
    FROM builds_build b JOIN packages_version v ON v.id = b.version_id
         JOIN packages_package p ON p.id = v.package_id
"""
# As on any index, few are wanted much and most hardly at all (Pareto).
_DEMAND = """
    INSERT INTO builds_demand (package_id, downloads, misses, dependents)
    SELECT id, floor(power(1 - random(), -1 / 0.6)), 0, 0 FROM packages_package
"""

# Of each package without a pure wheel, as `builds.planning.priority` places its newest version.
_BACKLOG = f"""
    SELECT v.id AS version_id, v.released_at, b.duration_s AS expected_s, b.duration_s > {LONG_S} AS is_long,
           {span(Rank.NEWEST)[0]} + 999000
               + least(599, floor(30 * log(2, 1 + d.downloads)))
               + greatest(0, 99 - floor(11 * log(2, greatest(b.duration_s, 10)::numeric / 10))) AS priority
    FROM packages_version v
         JOIN packages_package p ON p.id = v.package_id
         JOIN builds_demand d ON d.package_id = p.id
         JOIN builds_build b ON b.version_id = v.id AND b.target_id = %(old)s
         JOIN builds_wheel w ON w.build_id = b.id
    WHERE w.filename NOT LIKE '%%-any.whl' AND p.plan_needed = %(is_rest)s AND b.state = 'succeeded'
"""
_QUEUE = f"""
    INSERT INTO builds_build (
        version_id, target_id, attempt, losses, state, failure, reason, failure_about, may_return, priority,
        why, expected_s, is_long, released_at, ticket_hash, rung, sandbox, size
    )
    SELECT version_id, %(new)s, 1, 0, 'queued', '', '', '', false, priority, 'It is the newest version.',
           expected_s, is_long, released_at, '', '', '', 'small'
    FROM ({_BACKLOG}) backlog
"""


class OtherThanPlanned(Exception):
    """What was written is not what the plan makes of it."""


def is_pure(number: int) -> bool:
    """Tell whether the wheels of the package of that number are pure."""
    return number * _STRIDE % 1000 < PURE


def populate(packages: int, old: Target, now: datetime) -> None:
    """Write packages with a version each, and the old target's wheel of each."""
    values: dict[str, int | datetime] = {
        "packages": packages,
        "old": old.pk,
        "now": now,
        "released_at": now - _RELEASED,
    }
    with connection.cursor() as cursor:
        cursor.execute("SELECT setseed(0.5)")
        # To have it checked row by row takes longer than all else.
        cursor.execute("SET session_replication_role = replica")
        for sql in (_PACKAGES, _VERSIONS, _FILES, _BUILDS, _WHEELS, _DEMAND):
            cursor.execute(sql, values)
        cursor.execute("SET session_replication_role = origin")
    refresh_statistics()


def plan_backlog(old: Target, new: Target, now: datetime) -> float:
    """Queue what all packages lack for a target that has just been activated.

    Return how many seconds of processor time the plan of one package takes.
    """
    # A look of the server's does some of it, as others write to these rows meanwhile.
    while new.ask_some():
        pass
    took_s = _plan_sample(now)
    values: dict[str, int | bool] = {"old": old.pk, "new": new.pk, "is_rest": False}
    with connection.cursor() as cursor:
        cursor.execute(_BACKLOG, values)
        written = {(row[0], int(row[4]), row[3]) for row in cursor.fetchall()}
        planned = set(Build.objects.filter(target=new).values_list("version", "priority", "is_long"))
        if written != planned:
            raise OtherThanPlanned(f"Bring _BACKLOG up to the priorities: {list(written ^ planned)[:4]}")
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(_QUEUE, {**values, "is_rest": True})
        cursor.execute("SET session_replication_role = origin")
    Package.objects.filter(plan_needed=True).update(plan_needed=False)
    refresh_statistics()
    return took_s


def _plan_sample(now: datetime) -> float:
    """Plan some packages as the server does; return the processor time for each."""
    began = time.process_time()
    for _ in range(0, SAMPLE, 100):
        plan.plan_changed(now, limit=100)
    return (time.process_time() - began) / SAMPLE


def refresh_statistics() -> None:
    """Have the database know what it has got, and what it may forget."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
