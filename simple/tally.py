"""Adds downloads to the rows that count them: each client's download of a wheel once a day.

The same client is the same address with the same agent.  Who tries again, resumes, or installs the same wheel
in ten environments on one day is counted once.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from hashlib import blake2b
from itertools import islice
from typing import NamedTuple

from django.db import connection, transaction

from packages.plain_sql import change, fill_table, rows
from simple.agents import Agent, recognise
from simple.models import Client, DailySalt

# A follower's batch holds one day, at midnight two; an old log that is read holds some.
_SALTS = 4
# Each of some hundred letters, at most 2,001.
_AGENTS = 10_000
# Rows of what was counted elsewhere that are sent at a time.
_STAGED = 10_000


class Taken(NamedTuple):
    """A wheel that somebody was given, by our keys."""

    day: date
    hour: int
    wheel: int
    package: int
    address: str
    agent: str


class Counted(NamedTuple):
    """How often a wheel was taken by a kind of client, by our keys."""

    wheel: int
    package: int
    client: int
    times: int


class Tally:
    """Counts for one process, and knows by heart what it would else look up for each download."""

    def __init__(self) -> None:
        self._clients: dict[Agent, int] = {}
        # By the agent: the key of its kind, and what stands for it in fingerprints.
        self._agents: dict[str, tuple[int, bytes]] = {}
        self._salts: dict[date, bytes] = {}

    def add(self, taken: Iterable[Taken], then: Callable[[int], None] | None = None) -> int:
        """Count these downloads, all or none; return how many were new.

        What `then` does with that number belongs to the same transaction.
        """
        found = self._distinct(taken)
        with transaction.atomic():
            new = _count(found) if found else 0
            if then:
                then(new)
        return new

    def _distinct(self, taken: Iterable[Taken]) -> Sequence[Sequence[object]]:
        """Return a row for each download, and one for those that are the same."""
        found: dict[tuple[date, int], Sequence[object]] = {}
        adapted: dict[date, object] = {}
        for day, hour, wheel, package, address, agent in taken:
            client, said = self._agents.get(agent) or self._agent(agent)
            salt = self._salts.get(day) or self._salt(day)
            who = b"%b%b%d %b" % (salt, said, wheel, address.encode(errors="replace"))
            fingerprint = int.from_bytes(blake2b(who, digest_size=8).digest(), signed=True)
            if day not in adapted:
                adapted[day] = connection.ops.adapt_datefield_value(day)
            found[day, fingerprint] = (adapted[day], fingerprint, wheel, package, client, hour)
        return list(found.values())

    def _agent(self, agent: str) -> tuple[int, bytes]:
        """Return the key of an agent's kind, and what stands for it in fingerprints."""
        if len(self._agents) >= _AGENTS:
            self._agents.clear()
        said = blake2b(agent.encode(errors="replace"), digest_size=16).digest()
        self._agents[agent] = self.client(recognise(agent)), said
        return self._agents[agent]

    def _salt(self, day: date) -> bytes:
        """Return the secret of a day that is not known by heart."""
        while len(self._salts) >= _SALTS:
            del self._salts[min(self._salts)]
        self._salts[day] = DailySalt.of(day)
        return self._salts[day]

    def client(self, agent: Agent) -> int:
        """Return the key of a kind of client."""
        if not self._clients:
            self._clients = {
                Agent(*kind): key for key, *kind in Client.objects.values_list("pk", *Agent._fields)
            }
        key = self._clients.get(agent)
        if key is None:
            if len(self._clients) >= Client.MOST:
                agent = Agent(agent.installer)
            key = Client.objects.get_or_create(**agent._asdict())[0].pk
            self._clients[agent] = key
        return key


# Tables of this connection's own: what was read, what others have counted, and what is new, added up.
_TABLES = {
    "simple_staged": "day date, fingerprint bigint, wheel_id bigint, package_id bigint, client_id bigint,"
    " hour smallint",
    "simple_counted": "day date, wheel_id bigint, package_id bigint, client_id bigint, count bigint",
    "simple_fresh": "day date, wheel_id bigint, package_id bigint, client_id bigint, count integer",
}
_COLUMNS = ("day", "fingerprint", "wheel_id", "package_id", "client_id", "hour")
_OF_COUNTED = ("day", "wheel_id", "package_id", "client_id", "count")

# Whoever counts more of a day waits here for whoever does, so that none of the rest can come in one's way.
_HOLD_DAY = """
    INSERT INTO simple_downloadday (day, count, in_month) VALUES (%s, 0, FALSE)
    ON CONFLICT (day) DO UPDATE SET count = simple_downloadday.count RETURNING in_month
"""
_KEEP = {
    "postgresql": [
        """
        WITH new AS (
            INSERT INTO simple_rawdownload (day, fingerprint, wheel_id, client_id, hour)
            SELECT day, fingerprint, wheel_id, client_id, hour FROM simple_staged
            ON CONFLICT DO NOTHING RETURNING day, fingerprint
        )
        INSERT INTO simple_fresh (day, wheel_id, package_id, client_id, count)
        SELECT day, wheel_id, package_id, client_id, COUNT(*)
        FROM simple_staged JOIN new USING (day, fingerprint) GROUP BY 1, 2, 3, 4
        """
    ],
    "sqlite": [
        """
        INSERT INTO simple_fresh (day, wheel_id, package_id, client_id, count)
        SELECT day, wheel_id, package_id, client_id, COUNT(*) FROM simple_staged AS staged
        WHERE NOT EXISTS (
            SELECT 1 FROM simple_rawdownload AS raw
            WHERE raw.day = staged.day AND raw.fingerprint = staged.fingerprint
        ) GROUP BY 1, 2, 3, 4
        """,
        """
        INSERT OR IGNORE INTO simple_rawdownload (day, fingerprint, wheel_id, client_id, hour)
        SELECT day, fingerprint, wheel_id, client_id, hour FROM simple_staged
        """,
    ],
}
# SQLite takes ON CONFLICT for a join's ON where no WHERE comes before it.
_ADD_UP = [
    """
    INSERT INTO simple_download (day, wheel_id, client_id, count)
    SELECT day, wheel_id, client_id, count FROM simple_fresh WHERE TRUE
    ON CONFLICT (day, wheel_id, client_id) DO UPDATE SET count = simple_download.count + excluded.count
    """,
    """
    INSERT INTO simple_packagedownload (day, package_id, count)
    SELECT day, package_id, SUM(count) FROM simple_fresh WHERE TRUE GROUP BY 1, 2
    ON CONFLICT (package_id, day) DO UPDATE SET count = simple_packagedownload.count + excluded.count
    """,
    """
    INSERT INTO simple_downloadday (day, count, in_month)
    SELECT day, SUM(count), FALSE FROM simple_fresh WHERE TRUE GROUP BY 1
    ON CONFLICT (day) DO UPDATE SET count = simple_downloadday.count + excluded.count
    """,
]
_ADD_TO_MONTH = """
    INSERT INTO simple_monthlydownload (month, wheel_id, client_id, count)
    SELECT %s, wheel_id, client_id, count FROM {table} WHERE day = %s
    -- Two that add days to one month take its rows in one order, and so wait for each other and never both.
    ORDER BY wheel_id, client_id
    ON CONFLICT (month, wheel_id, client_id)
    DO UPDATE SET count = simple_monthlydownload.count + excluded.count
"""


def _count(found: Sequence[Sequence[object]]) -> int:
    """Add rows of `_COLUMNS` that were not added before; return how many those are."""
    days = sorted({date.fromisoformat(str(row[0])) for row in found})
    in_month = [day for day in days if hold_day(day)]
    _make_tables()
    fill_table("simple_staged", _COLUMNS, found, filled=_COLUMNS)
    for statement in [*_KEEP[connection.vendor], *_ADD_UP]:
        change(statement, [])
    for day in in_month:
        add_to_month(day, "simple_fresh")
    return int(rows("SELECT COALESCE(SUM(count), 0) FROM simple_fresh", [])[0][0])


# Of what was counted elsewhere, several kinds may be one to us.
_FRESH = """
    INSERT INTO simple_fresh (day, wheel_id, package_id, client_id, count)
    SELECT day, wheel_id, package_id, client_id, SUM(count) FROM simple_counted GROUP BY 1, 2, 3, 4
"""


def add_counted(day: date, counted: Iterable[Counted]) -> None:
    """Add what somebody else has counted of a day, of which there may be any number; in a transaction."""
    is_in_month = hold_day(day)
    _make_tables()
    told = connection.ops.adapt_datefield_value(day)
    rest = iter(counted)
    while some := list(islice(rest, _STAGED)):
        fill_table("simple_counted", _OF_COUNTED, ((told, *each) for each in some), filled=_OF_COUNTED)
    for statement in [_FRESH, *_ADD_UP]:
        change(statement, [])
    if is_in_month:
        add_to_month(day, "simple_fresh")


def hold_day(day: date) -> bool:
    """Keep others from counting more of a day until this transaction ends; tell if it is in its month."""
    return bool(rows(_HOLD_DAY, [str(day)])[0][0])


def add_to_month(day: date, table: str = "simple_download") -> int:
    """Add a day's downloads to its month's; return how many rows that has touched."""
    return change(_ADD_TO_MONTH.format(table=table), [str(day.replace(day=1)), str(day)])


def _make_tables() -> None:
    """Make the tables of this connection, or empty them."""
    is_sqlite = connection.vendor == "sqlite"
    for name, columns in _TABLES.items():
        at_commit = "" if is_sqlite else "ON COMMIT DELETE ROWS"
        change(f"CREATE TEMPORARY TABLE IF NOT EXISTS {name} ({columns}) {at_commit}", [])
        # Within a test's transaction no commit comes that would empty them.
        change(f"DELETE FROM {name}", [])
