"""What each build asks of the database several times over, as plain SQL for either database.

The ORM takes 0.4 to 1.5 ms of Python to make one of these statements, each time anew; to run it takes 0.06 to
0.1 ms.  The models' own methods say what they mean, and nobody else calls them.  What is not done for every
build is the ORM's.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from packages.batches import batches
from packages.plain_sql import as_it_stands, change, changed, rows, unless_locked

# The columns of `build` and `given`, by the table that each run of them is from.
BUILD = (
    *("id", "version_id", "target_id", "attempt", "state", "build_tag"),
    *("source_id", "builder_id", "claimed_at"),
)
VERSION = ("id", "package_id", "number")
PACKAGE = ("id", "name")
TARGET = ("id", "key", "os_release", "architecture", "python", "abi", "platform_tags", "glibc", "is_active")
SOURCE = ("id", "filename", "url", "sha256", "uploaded_at")
ITS_BUILDER = ("id", "name")


def _columns(table: str, names: Sequence[str]) -> str:
    """Return columns of a table as SQL has them."""
    return ", ".join(f"{table}.{name}" for name in names)


_BUILD = f"""
    SELECT {_columns("build", BUILD)}, {_columns("version", VERSION)},
           {_columns("package", PACKAGE)}, {_columns("target", TARGET)},
           {_columns("source", SOURCE)}, {_columns("builder", ITS_BUILDER)}
    FROM builds_build build
    JOIN packages_version version ON version.id = build.version_id
    JOIN packages_package package ON package.id = version.package_id
    JOIN builds_target target ON target.id = build.target_id
    LEFT JOIN packages_upstreamfile source ON source.id = build.source_id
    LEFT JOIN builds_builder builder ON builder.id = build.builder_id
    WHERE build.id = %s
"""

BUILDER = ("id", "name", "target_id", "is_enabled", "mode", "size", "problem", "heard_at")
_BY_TOKEN = f"""
    SELECT {_columns("builder", BUILDER)}, {_columns("target", TARGET)}
    FROM builds_builder builder
    JOIN builds_target target ON target.id = builder.target_id
    WHERE builder.token_hash = %s AND builder.is_enabled
"""

_PROLONG = "UPDATE builds_build SET lease_until = %s WHERE id = %s AND state IN ('building', 'uploading')"
_RENEW = f"""{_PROLONG}
    AND ticket_hash = %s AND must_end_at >= %s
    AND EXISTS (SELECT 1 FROM builds_builder builder WHERE builder.id = builder_id AND builder.is_enabled)
"""

# Rows of four values; SQLite takes 999 values in older versions.
_AT_ONCE = 200


class Waiting(NamedTuple):
    """What a dispatcher has to know of a waiting build; the columns in the order of the model's fields."""

    id: int
    version_id: int
    target_id: int
    attempt: int
    state: str
    priority: int
    is_long: bool
    size: str
    avoid_id: int | None


# The conditions are those of the index, word for word, and the order is its order.
_LANE = f"""
    SELECT * FROM (
        SELECT {", ".join(Waiting._fields)}, released_at FROM builds_build
        WHERE target_id = %s AND size = %s AND is_long = %s AND state = 'queued' AND not_before IS NULL
              AND (avoid_id IS NULL OR avoid_id <> %s)
        ORDER BY priority DESC, released_at DESC, id LIMIT %s
    ) lane
"""


def lanes(target: int, counts: Mapping[str, int], avoid: int | None) -> list[Waiting]:
    """Return so many of the first builds of each lane, the next one first; not those that avoid a builder."""
    each = [(size, is_long, count) for size, count in counts.items() for is_long in (False, True)]
    values = [value for size, is_long, n in each for value in (target, size, is_long, avoid or 0, n)]
    sql = f"SELECT {', '.join(Waiting._fields)} FROM ({' UNION ALL '.join([_LANE] * len(each))}) lanes"
    return [
        Waiting(*row)
        for row in rows(f"{sql} ORDER BY priority DESC, released_at DESC, id", values, is_frequent=True)
    ]


# Two steps, each of them a part of the lanes' index: a comparison of all three columns at once, of which the
# last goes the other way, would look at all builds of the same priority.
_BEFORE = """
    SELECT 1 FROM builds_build
    WHERE target_id = %s AND size = %s AND is_long = %s AND state = 'queued' AND not_before IS NULL
          AND (priority, released_at) > (%s, %s)
    UNION ALL
    SELECT 1 FROM builds_build
    WHERE target_id = %s AND size = %s AND is_long = %s AND state = 'queued' AND not_before IS NULL
          AND priority = %s AND released_at = %s AND id < %s
"""


# What goes before a build: its target and its priority, when it was released, its key.
Standing = tuple[int, int, datetime, int]


def counts_before(standings: Sequence[Standing], sizes: Sequence[str], most: int) -> list[int]:
    """Return how many builds are in the lanes of each one's target before it; so many at the most."""
    lanes = [(size, is_long) for size in sizes for is_long in (False, True)]
    before = " UNION ALL ".join([_BEFORE] * len(lanes))
    each = f"SELECT %s AS number, count(*) FROM (SELECT 1 FROM ({before}) b LIMIT %s) c"
    values: list[object] = []
    for number, (target, *place) in enumerate(standings):
        values.append(number)
        for lane in lanes:
            values += [target, *lane, *place[:2], target, *lane, *place]
        values.append(most)
    sql = " UNION ALL ".join([each] * len(standings))
    return [int(count) for _, count in sorted(rows(sql, values, is_frequent=True))]


_NEXT = """
    SELECT * FROM (
        SELECT id, priority, released_at FROM builds_build
        WHERE target_id = %s AND size = %s AND is_long = %s AND state = 'queued' AND not_before IS NULL
        ORDER BY priority DESC, released_at DESC, id LIMIT %s
    ) lane
"""


def next_in_queues(targets: Sequence[int], sizes: Sequence[str], most: int) -> list[int]:
    """Return so many of the first builds of each lane of these targets, in the order of all of them."""
    lanes = [(target, size, is_long) for target in targets for size in sizes for is_long in (False, True)]
    sql = f"SELECT id FROM ({' UNION ALL '.join([_NEXT] * len(lanes))}) lanes"
    values = [value for lane in lanes for value in (*lane, most)]
    return [int(row[0]) for row in rows(f"{sql} ORDER BY priority DESC, released_at DESC, id", values)]


_WAIT_ELSEWHERE = """
    SELECT DISTINCT build.version_id, target.glibc
    FROM builds_build build JOIN builds_target target ON target.id = build.target_id
    WHERE build.version_id IN ({}) AND build.state IN ('queued', 'dispatched', 'building', 'uploading')
          AND target.id <> %s AND target.architecture = %s AND target.is_active AND target.glibc <> ''
"""


def wait_elsewhere(versions: Sequence[int], target: int, architecture: str) -> list[tuple[int, str]]:
    """Return which of these versions other targets of an architecture wait for, and their C libraries."""
    sql = _WAIT_ELSEWHERE.format(_places(versions))
    return [(version, glibc) for version, glibc in rows(sql, [*versions, target, architecture])]


# What somebody else is at just now, as a plan that moves it, is left for the next time: to wait for it while
# other builds are held could be to wait for each other.  A builder is waited for, so that nobody who is
# turned just now gets one: so who holds a builder's row may wait for no package and no build.
_ASSIGN = """
    WITH given (build, builder) AS (VALUES {}),
         waiting AS (
             SELECT id FROM builds_build WHERE id IN (SELECT build FROM given) AND state = 'queued' {}
         ),
         able AS (
             SELECT id FROM builds_builder builder WHERE id IN (SELECT builder FROM given)
                AND is_enabled AND mode = 'active' {}
         )
    UPDATE builds_build SET state = 'dispatched', builder_id = given.builder, lease_until = %s, rang_at = %s
    FROM given JOIN waiting ON waiting.id = given.build JOIN able ON able.id = given.builder
    WHERE builds_build.id = given.build AND builds_build.state = 'queued'
    RETURNING builds_build.id
"""


def assign(pairs: Sequence[tuple[int, int]], lease: datetime, now: datetime) -> set[int]:
    """Give builds to builders that are still at work; return those that were still waiting."""
    given: set[int] = set()
    for start in range(0, len(pairs), _AT_ONCE):
        some = pairs[start : start + _AT_ONCE]
        places = ", ".join(["(%s, %s)"] * len(some))
        sql = _ASSIGN.format(places, unless_locked("builds_build"), as_it_stands("builder"))
        values = [value for pair in some for value in pair]
        given |= {build for (build,) in changed(sql, [*values, lease, now])}
    return given


def free(waiting: Sequence[int], builder: int) -> int | None:
    """Return the first of these builds that waits and that nobody else has locked, and lock it.

    None if its builder is at work no more; nobody turns it meanwhile.
    """
    places = " ".join(f"WHEN %s THEN {place}" for place, _ in enumerate(waiting))
    sql = f"""
        SELECT build.id FROM builds_build build
        JOIN builds_builder builder ON builder.id = %s AND builder.is_enabled AND builder.mode = 'active'
        WHERE build.id IN ({_places(waiting)}) AND build.state = 'queued'
        ORDER BY CASE build.id {places} END LIMIT 1 {unless_locked("build")} {as_it_stands("builder")}
    """
    found = rows(sql, [builder, *waiting, *waiting], is_frequent=True)
    return found[0][0] if found else None


def by_token(token_hash: str) -> tuple[Any, ...] | None:
    """Return the builder with that token, and its target."""
    return next(iter(rows(_BY_TOKEN, [token_hash], is_frequent=True)), None)


def hear(builder: int, now: datetime) -> None:
    """Note that a builder spoke."""
    change("UPDATE builds_builder SET heard_at = %s WHERE id = %s", [now, builder], is_frequent=True)


def build(number: int) -> tuple[Any, ...] | None:
    """Return a build with its version, package, target, source and builder."""
    return next(iter(rows(_BUILD, [number], is_frequent=True)), None)


def given(number: int, attempt: int, builder: int) -> tuple[Any, ...] | None:
    """Return the same if this attempt was given to that builder."""
    sql = f"{_BUILD} AND build.attempt = %s AND build.builder_id = %s"
    return next(iter(rows(sql, [number, attempt, builder], is_frequent=True)), None)


def prolong(build: int, lease: datetime) -> bool:
    """Give a running build a new lease."""
    return change(_PROLONG, [lease, build], is_frequent=True) == 1


def renew(build: int, lease: datetime, ticket_hash: str, now: datetime) -> bool:
    """Give a running build a new lease for its ticket, if that is alive and its builder enabled.

    Also one whose lease is over, as long as nobody has taken it back: perhaps nobody could hear its builder.
    """
    return change(_RENEW, [lease, build, ticket_hash, now], is_frequent=True) == 1


def sources(version: int) -> list[tuple[Any, ...]]:
    """Return the files that a version can be built from."""
    sql = f"""
        SELECT {_columns("source", SOURCE)} FROM packages_upstreamfile source
        WHERE version_id = %s AND kind = 'source' AND gone_at IS NULL AND NOT yanked
    """
    return rows(sql, [version], is_frequent=True)


def has_recipe(package: int) -> bool:
    """Tell whether an operator has written a recipe for a package."""
    return bool(
        rows("SELECT 1 FROM builds_recipe WHERE package_id = %s LIMIT 1", [package], is_frequent=True)
    )


def has_open_builds(version: int, states: Sequence[str]) -> bool:
    """Tell whether a version has builds in one of these states."""
    sql = f"SELECT 1 FROM builds_build WHERE version_id = %s AND state IN ({_places(states)}) LIMIT 1"
    return bool(rows(sql, [version, *states], is_frequent=True))


def published(filename: str) -> tuple[int, str] | None:
    """Return the build and the sha256 of the wheel with this name."""
    found = rows(
        "SELECT build_id, sha256 FROM builds_wheel WHERE filename = %s", [filename], is_frequent=True
    )
    return (found[0][0], found[0][1]) if found else None


def is_taken_down(filename: str) -> bool:
    """Tell whether the wheel with this name was taken down."""
    sql = "SELECT 1 FROM builds_wheel WHERE filename = %s AND taken_down_at IS NOT NULL"
    return bool(rows(sql, [filename], is_frequent=True))


# Those of the same package whose version is spelled otherwise, as 1.0-1 and 1.0.post1, have the same names.
_SPELLED = """
    FROM packages_version mine
    JOIN packages_version version
        ON version.package_id = mine.package_id AND version.canonical = mine.canonical
"""
_NAMES = f"""
    SELECT wheel.filename, 0 {_SPELLED}
    JOIN builds_wheel wheel ON wheel.version_id = version.id
    WHERE mine.id = %s
    UNION ALL
    SELECT file.filename, 1 {_SPELLED}
    JOIN packages_upstreamfile file ON file.version_id = version.id AND file.kind = 'wheel'
    WHERE mine.id = %s
"""


def names(version: int) -> list[tuple[str, bool]]:
    """Return the names of all wheels that there ever were of a version, and whether each is upstream's."""
    found = rows(_NAMES, [version, version], is_frequent=True)
    return [(filename, bool(is_upstreams)) for filename, is_upstreams in found]


WHEEL = (
    *("build_id", "package_id", "version_id", "filename", "size", "sha256", "metadata_sha256"),
    *("requires_python", "glibc", "glibcxx", "is_portable", "reproducible", "trial", "trial_detail"),
    *("content_sha256", "held_reason", "published_at", "yanked", "yanked_reason"),
)
_INSERT_WHEEL = f"""
    INSERT INTO builds_wheel ({", ".join(WHEEL)}) VALUES ({", ".join(["%s"] * len(WHEEL))}) RETURNING id
"""


def insert_wheel(columns: Mapping[str, object]) -> int:
    """Insert a wheel with all of its columns; return its number."""
    found: int = changed(_INSERT_WHEEL, [columns[column] for column in WHEEL], is_frequent=True)[0][0]
    return found


def depend(wheel: int, needs: Sequence[tuple[str, str, str]]) -> None:
    """Insert what a wheel needs, unless it is there."""
    for start in range(0, len(needs), _AT_ONCE):
        some = needs[start : start + _AT_ONCE]
        change(
            "INSERT INTO builds_dependency (wheel_id, tool, name, requirement) "
            f"VALUES {', '.join(['(%s, %s, %s, %s)'] * len(some))} ON CONFLICT DO NOTHING",
            [value for need in some for value in (wheel, *need)],
        )


def move(
    build: int, leaving: Sequence[str], columns: Mapping[str, object], builder: int | None = None
) -> bool:
    """Set columns of a build that is in one of those states, and that builder's if one is named."""
    sets = ", ".join(f"{column} = %s" for column in columns)
    sql = f"UPDATE builds_build SET {sets} WHERE id = %s AND state IN ({_places(leaving)})"
    values = [*columns.values(), build, *leaving]
    if builder is not None:
        return change(f"{sql} AND builder_id = %s", [*values, builder], is_frequent=True) == 1
    return change(sql, values, is_frequent=True) == 1


def place(places: Sequence[tuple[int, int, str, float | None, bool]]) -> None:
    """Give builds, which may be thousands, their priority, why they have it, and their length."""
    for some in batches(places):
        change(
            # Where no length is known in a whole statement, PostgreSQL would take it for a text.
            "UPDATE builds_build SET priority = place.column2, why = place.column3,"
            " expected_s = CAST(place.column4 AS double precision), is_long = place.column5"
            f" FROM (VALUES {', '.join(['(%s, %s, %s, %s, %s)'] * len(some))}) place"
            " WHERE builds_build.id = place.column1",
            [value for each in some for value in each],
        )


def _places(values: Sequence[object]) -> str:
    """Return as many placeholders as there are values."""
    return ", ".join(["%s"] * len(values))
