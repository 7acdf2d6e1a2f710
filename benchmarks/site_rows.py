"""A farm as large as all of PyPI, for its pages: packages, ten versions of each, a build of each, downloads.

Written by the database itself; what it writes fits together and is the same each time.
"""

from datetime import datetime
from typing import Any

from django.db import connection

from benchmarks.many_versions import without_indexes
from builds import failures
from builds.figures import counting
from builds.models import Target

VERSIONS = 10  # of each package
DAYS = 30  # with downloads of each package

_FIRST = "amber brisk calm dusty eager faint grand hollow icy jolly keen lucid mellow noble odd plain"
_SECOND = "anvil bridge candle drum engine fox garden harbour island jungle kernel lantern mirror needle"

# The hash of a number, from 0 to 999: a spread that is the same each time.
_SPREAD = "(abs(hashint8({})) %% 1000)"

_PACKAGES = f"""
    INSERT INTO packages_package (
        name, display_name, summary, status, status_reason, skip_reason, generation, fetched_at, plan_needed,
        revision, shown_revision
    )
    SELECT name, name, 'What it is good for, in a sentence of some length.', 'active', '', '', 1, %(now)s,
           false, 0, 0
    FROM (
        SELECT (string_to_array('{_FIRST}', ' '))[1 + {_SPREAD.format("n")} %% 16] || '-' ||
               (string_to_array('{_SECOND}', ' '))[1 + {_SPREAD.format("n + 1")} %% 14] || '-' || n AS name
        FROM generate_series(1, %(packages)s) n
    ) names
"""
_VERSIONS = f"""
    INSERT INTO packages_version (
        package_id, number, canonical, is_prerelease, released_at, yanked, yanked_reason, skip_reason
    )
    SELECT p.id, '1.' || minor, '1.' || minor, false,
           %(now)s - {_SPREAD.format("p.id")} * interval '1 day' - (10 - minor) * interval '9 hours',
           false, '', ''
    FROM packages_package p, generate_series(1, {VERSIONS}) minor
"""
_FILES = """
    INSERT INTO packages_upstreamfile (
        version_id, filename, kind, url, sha256, size, requires_python, uploaded_at, yanked, yanked_reason
    )
    SELECT v.id, p.name || '-' || v.number || '.tar.gz', 'source',
           'http://127.0.0.1:9/' || p.name || '-' || v.number || '.tar.gz',
           encode(sha256(v.id::text::bytea), 'hex'), 10000, '', v.released_at, false, ''
    FROM packages_version v JOIN packages_package p ON p.id = v.package_id
"""
# As many builds as packages: of the newest three versions of a third of them, for one target each.
_BUILDS = f"""
    INSERT INTO builds_build (
        version_id, target_id, attempt, losses, state, failure, finished_at, queued_at, claimed_at,
        duration_s, reason, failure_about, may_return, priority, why, released_at, ticket_hash, rung, sandbox,
        size, is_long
    )
    SELECT v.id, (%(targets)s)[1 + v.id %% array_length(%(targets)s, 1)], 1, 0, state,
           CASE state WHEN 'failed' THEN
               (%(classes)s)[1 + {_SPREAD.format("v.id + 3")} %% array_length(%(classes)s, 1)] ELSE '' END,
           CASE state WHEN 'queued' THEN NULL ELSE at + interval '10 minutes' END, at,
           CASE state WHEN 'queued' THEN NULL ELSE at + interval '9 minutes' END,
           CASE state WHEN 'queued' THEN NULL ELSE 1 + {_SPREAD.format("v.id + 4")} END,
           '', '', false, 4999000 + {_SPREAD.format("v.id + 5")}, 'It is the newest version.', v.released_at,
           '', 'current', 'full', 'small', false
    FROM (
        SELECT *, %(now)s - {_SPREAD.format("id + 1")} * {_SPREAD.format("id + 2")} * interval '1 minute'
                   - interval '11 minutes' AS at,
               CASE WHEN {_SPREAD.format("id")} < 100 THEN 'queued'
                    WHEN {_SPREAD.format("id")} < 250 THEN 'failed' ELSE 'succeeded' END AS state
        FROM packages_version WHERE package_id %% 3 = 0 AND split_part(number, '.', 2)::int > 7
    ) v
"""
_WHEELS = """
    INSERT INTO builds_wheel (
        build_id, package_id, version_id, filename, size, sha256, metadata_sha256, requires_python, glibc,
        glibcxx, is_portable, trial, trial_detail, held_reason, published_at, yanked, yanked_reason
    )
    SELECT b.id, p.id, v.id,
           replace(p.name, '-', '_') || '-' || v.number || '-' || t.abi || '-' || t.abi || '-linux_'
               || CASE t.architecture WHEN 'armhf' THEN 'armv6l.linux_armv7l' ELSE 'aarch64' END || '.whl',
           100000, encode(sha256(v.id::text::bytea), 'hex'), repeat('0', 64), '', '2.17', '', false, 'works',
           '', '', b.finished_at, false, ''
    FROM builds_build b JOIN packages_version v ON v.id = b.version_id
         JOIN packages_package p ON p.id = v.package_id JOIN builds_target t ON t.id = b.target_id
    WHERE b.state = 'succeeded'
"""
_NEEDS = """
    INSERT INTO builds_dependency (wheel_id, tool, name, requirement)
    SELECT id, 'apt', 'libopenblas0-pthread', 'libopenblas0-pthread (>= 0.3)' FROM builds_wheel
"""
# As on any index, few are wanted much and most hardly at all (Pareto).
_DEMAND = f"""
    INSERT INTO builds_demand (package_id, downloads, misses, dependents)
    SELECT id, floor(power(1 - {_SPREAD.format("id")} / 1001.0, -1 / 0.6)), 0, 0 FROM packages_package
"""
_PACKAGE_DOWNLOADS = f"""
    INSERT INTO simple_packagedownload (package_id, day, count)
    SELECT id, (%(now)s)::date - day, 1 + {_SPREAD.format("id + day")}
    FROM packages_package, generate_series(0, {DAYS - 1}) day WHERE id %% 9 = 0
"""
_DAYS = """
    INSERT INTO simple_downloadday (day, count, in_month)
    SELECT (%(now)s)::date - day, 1000000, day > 2 FROM generate_series(0, 999) day
"""

# The tables that are filled; their own indexes are made when they are full.
_FILLED = [
    *("packages_version", "packages_upstreamfile", "builds_build", "builds_wheel", "builds_dependency"),
    "simple_packagedownload",
]


def fill(packages: int, now: datetime) -> None:
    """Write a farm with so many packages."""
    Target.objects.filter(os_release__in=["bookworm", "trixie"]).update(is_active=True)
    values: dict[str, Any] = {  # Any: lists, for PostgreSQL's arrays
        "packages": packages,
        "now": now,
        "targets": list(Target.objects.active().order_by("pk").values_list("pk", flat=True)),
        "classes": sorted(failures.classes()),
    }
    with connection.cursor() as cursor:
        with without_indexes(cursor, _FILLED):
            # To have it checked row by row takes longer than all else.
            cursor.execute("SET session_replication_role = replica")
            for sql in (
                *(_PACKAGES, _VERSIONS, _FILES, _BUILDS, _WHEELS, _NEEDS),
                *(_DEMAND, _PACKAGE_DOWNLOADS, _DAYS),
            ):
                cursor.execute(sql, values)
            cursor.execute("SET session_replication_role = origin")
        cursor.execute("VACUUM ANALYZE")
    counting.count_due(now)
