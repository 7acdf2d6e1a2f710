"""The one clock that leases are measured with: the database's.

Web server, worker and builders may each be wrong about the time; two of them that disagree would take each
other's builds.  Doors ask here once and pass the answer on as `now`.
"""

from datetime import UTC, datetime, timedelta

from django.db import connection


def database_now() -> datetime:
    """Return the database's time."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')")
            return datetime.fromisoformat(cursor.fetchone()[0]).replace(tzinfo=UTC)
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
        return now


def is_over(since: datetime, lasts: timedelta, now: datetime) -> bool:
    """Whether what began then and was to last for so long is over.

    What begins in a time to come did so before the database's clock was put back, and is over too.
    """
    return not since <= now < since + lasts
