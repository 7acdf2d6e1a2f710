"""Takes over downloads, a day at a time, as this farm counts them: a client's of a wheel once a day.

Addresses and agents stay in that database; what comes out of it is how many there were of each kind.  A day
is taken when it is over, so that none is taken twice.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import NamedTuple

from django.db import transaction

from builds.importing.taking import LATE
from builds.models import Wheel
from packages.batches import batches
from packages.importing.original import Original, Row
from packages.importing.progress import Batch, Progress, Step
from packages.models import ImportRefusal
from simple.agents import Agent, described
from simple.tally import Counted, Tally, add_counted

SUBJECT = "downloads"
# Before the first farm of this kind there was none; a time before it is a fault.
FIRST = date(2016, 1, 1)
# Of the wheels that were taken late, as many are looked up at a time.
TOGETHER = 200

_FACTS = (
    *("installer_name", "installer_version", "py_version", "distro_name", "distro_version", "os_name"),
    "arch",
)
# Two that differ in setuptools alone are two agents.
_KINDS = f"""
    SELECT accessed_at::date, filename, count(*), count(DISTINCT (accessed_by, setuptools_version)),
           {", ".join(_FACTS)}
    FROM downloads WHERE accessed_at >= %s AND accessed_at < %s {{more}}
    GROUP BY 1, 2, {", ".join(_FACTS)} ORDER BY 1
"""  # noqa: S608 (of constants)
_YESTERDAY = "SELECT (now() AT TIME ZONE 'UTC')::date - 1"


class Kind(NamedTuple):
    """What one kind of client had of one wheel on one day."""

    filename: str
    rows: int
    clients: int
    agent: Agent


def last_day(original: Original) -> date:
    """Return the last day that is over there.

    To be asked before builds are read: what is downloaded on a later day may be of builds that come later.
    """
    day: date = original.page(_YESTERDAY)[0][0]
    return day


def take(original: Original, progress: Progress, last: date) -> None:
    """Take over the downloads of all days that were not taken, until the last one."""
    step = progress.step(SUBJECT)
    tally = Tally()
    with progress.bar(max((last - _after(step)).days, 0)) as bar:
        while day := next_day(original, "downloads", _after(step), last):
            bar.show(str(day))
            passed = (day - _after(step)).days
            batch = Batch()
            found = original.stream(_KINDS.format(more=""), [day, day + timedelta(days=1)])
            with transaction.atomic():
                _add(day, found, tally, batch, is_dry=progress.is_dry)
                step.note(batch, [str(day)])
            bar.advance(passed)
    step.finish()


def take_late(original: Original, progress: Progress) -> None:
    """Take over the downloads of wheels that were taken after those of their time.

    To be done before more days are taken, which have what these wheels had on them.
    """
    step = progress.step(SUBJECT)
    while names := list(ImportRefusal.objects.filter(subject=LATE).values_list("key", flat=True)[:TOGETHER]):
        batch, tally = Batch(), Tally()
        end = _after(step) + timedelta(days=1)
        found = original.stream(_KINDS.format(more="AND filename = ANY(%s)"), [FIRST, end, names])
        with transaction.atomic():
            for day, rows in groupby(found, key=lambda row: row[0]):
                _add(day, rows, tally, batch, is_dry=False)
            # They were read when their wheels were not there, and counted as theirs that are nobody's.
            read = batch.counts.pop((SUBJECT, "read"), 0)
            batch.noted(SUBJECT, "of no wheel here", -read)
            batch.taken |= {(LATE, name) for name in names}
            step.note(batch, step.cursor)
    step.finish()


def next_day(original: Original, table: str, after: date, last: date) -> date | None:
    """Return the first day with rows in a table after one of them; None if there is none until the last."""
    sql = f"SELECT min(accessed_at)::date FROM {table} WHERE accessed_at >= %s AND accessed_at < %s"  # noqa: S608
    values = [after + timedelta(days=1), last + timedelta(days=1)]
    found: date | None = original.page(sql, values)[0][0]
    return found


def _after(step: Step) -> date:
    """Return the last day that was taken."""
    return date.fromisoformat(str(step.cursor[0])) if step.cursor else FIRST - timedelta(days=1)


def _add(day: date, found: Iterable[Row], tally: Tally, batch: Batch, *, is_dry: bool) -> None:
    """Add the downloads of a day."""
    counted = _counted(_kinds(found), tally, batch, is_dry=is_dry)
    if is_dry:
        for _ in counted:
            pass
        return
    add_counted(day, counted)


def _kinds(found: Iterable[Row]) -> Iterator[Kind]:
    for _, filename, rows, clients, installer, version, python, distro, release, kernel, cpu in found:
        agent = described(
            installer=installer,
            installer_version=version,
            pythons=[python],
            distro=distro,
            distro_release=release,
            kernel=kernel,
            cpu=cpu,
        )
        yield Kind(filename, rows, clients, agent)


def _counted(kinds: Iterable[Kind], tally: Tally, batch: Batch, *, is_dry: bool) -> Iterator[Counted]:
    """Give what is of wheels of ours, and count what becomes of all."""
    for some in batches(kinds):
        wheels = _wheels([kind.filename for kind in some])
        told: Counter[str] = Counter()
        for kind in some:
            told["read"] += kind.rows
            if kind.filename not in wheels and not is_dry:
                told["of no wheel here"] += kind.rows
                continue
            told["written"] += kind.clients
            told["of one client on one day"] += kind.rows - kind.clients
            if not is_dry:
                yield Counted(*wheels[kind.filename], tally.client(kind.agent), kind.clients)
        for what, count in told.items():
            batch.noted(SUBJECT, what, count)


def _wheels(filenames: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return the keys of wheels and their packages, by their names."""
    rows = Wheel.objects.filter(filename__in=set(filenames)).order_by()
    return {
        filename: (wheel, package)
        for filename, wheel, package in rows.values_list("filename", "pk", "package")
    }
