"""What becomes of counts as days pass: days are added to months, single downloads and salts are dropped.

On PostgreSQL each day of single downloads is a partition, so that dropping it is one deed without a trace.
"""

import time
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db import OperationalError, connection, transaction

from packages.plain_sql import change, rows
from simple.models import DailySalt, DownloadDay, RawDownload
from simple.tally import add_to_month, hold_day

# Lines of yesterday come until then, from logs that are rotated at midnight.
SETTLED = timedelta(days=2)
# Partitions are made so many days before they are needed, so that a week without this task does no harm.
AHEAD = 7
# In one go; old logs may bring many.
MOST_DAYS = 500
_PREFIX = "simple_rawdownload_"
_DEFAULT = f"{_PREFIX}default"


def tidy(now: datetime, for_s: float) -> int:
    """Do what is due; begin nothing more of it after so many seconds.  Return how many things were done."""
    today = now.date()
    salts, _ = DailySalt.objects.filter(day__lte=today - SETTLED).delete()
    until = time.monotonic() + for_s
    return salts + add_days_to_months(today, until) + _tidy_raw(today, until)


def add_days_to_months(today: date, until: float) -> int:
    """Add days that are over to their months; what is counted of them later goes into both."""
    over = DownloadDay.objects.filter(day__lte=today - SETTLED, in_month=False).order_by("day")
    done = 0
    for day in over.values_list("day", flat=True)[:MOST_DAYS]:
        with transaction.atomic():
            if not hold_day(day):
                add_to_month(day)
                DownloadDay.objects.filter(day=day).update(in_month=True)
        done += 1
        if time.monotonic() > until:
            break
    return done


def _tidy_raw(today: date, until: float) -> int:
    """Drop single downloads that are too old, and make room for those to come."""
    first = today - timedelta(days=settings.PIWHEELS_RAW_DOWNLOADS_DAYS - 1)
    if connection.vendor != "postgresql":
        return _delete_before(first, "simple_rawdownload", until)
    deleted = _delete_before(first, _DEFAULT, until)
    try:
        there = partitions()
        dropped = sum(_drop(day) for day in sorted(there) if day < first)
        coming = [today + timedelta(days=number) for number in range(AHEAD + 1)]
        return deleted + dropped + sum(_make(day) for day in coming if day not in there)
    except OperationalError:
        # Somebody reads or counts for longer than one should wait for; the next tick is not far.
        return deleted


def _delete_before(first: date, table: str, until: float) -> int:
    """Delete single downloads from before a day, a day at a time; return of how many days."""
    sql = f"SELECT DISTINCT day FROM {table} WHERE day < %s ORDER BY day LIMIT %s"  # noqa: S608
    done = 0
    for (day,) in rows(sql, [str(first), MOST_DAYS]):
        RawDownload.objects.filter(day=day).delete()
        done += 1
        if time.monotonic() > until:
            break
    return done


def partitions() -> set[date]:
    """Return the days that have a partition."""
    sql = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'simple_rawdownload'::regclass"
    names = [name for (name,) in rows(sql, []) if name != _DEFAULT]
    return {date.fromisoformat(name.removeprefix(_PREFIX)) for name in names}


def _make(day: date) -> int:
    """Make a day's partition, unless that day's downloads are in the one for all others already."""
    name = f"{_PREFIX}{day:%Y%m%d}"
    limits = f"FROM ('{day}') TO ('{day + timedelta(days=1)}')"
    with transaction.atomic():
        _be_impatient()
        if rows(f"SELECT 1 FROM {_DEFAULT} WHERE day = %s LIMIT 1", [str(day)]):  # noqa: S608
            return 0
        change(f"CREATE TABLE {name} PARTITION OF simple_rawdownload FOR VALUES {limits}", [])
    return 1


def _drop(day: date) -> int:
    """Drop a day's partition."""
    with transaction.atomic():
        _be_impatient()
        change(f"DROP TABLE {_PREFIX}{day:%Y%m%d}", [])
    return 1


def _be_impatient() -> None:
    """Wait two seconds for a lock in this transaction: whoever counts waits behind us meanwhile."""
    change("SET LOCAL lock_timeout = '2s'", [])
