"""Keeps up with PyPI: which packages to look up, and looking them up.

A mark that something changed is a hint; the state is what is fetched, and `merge` writes it.  So nothing here
depends on the order of hints.
"""

import logging
import time
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from functools import cache
from itertools import islice

from django.conf import settings
from django.db.models import Q
from packaging.utils import InvalidName, canonicalize_name

from packages.fetch import UpstreamTimeout
from packages.journal import ALL
from packages.merge import BATCH, apply, vanish
from packages.models import Dirty, Package, SyncCursor
from packages.pypi import NoSuchProject, PyPI, UpstreamUnavailable

logger = logging.getLogger(__name__)

# How often to read the list of all names, and when to try again if that failed.
LISTING = timedelta(hours=1)
LISTING_AGAIN = timedelta(minutes=5)
# How often an answer that contradicts what we know is put off before we believe it.  With the pauses of
# `Dirty.put_off` that is half an hour, in which caches between upstream and us find out.
PATIENCE = 10
# A run begins no look-up after this many seconds: it keeps a worker's thread from giving out builds.
RUN_S = 20
# What is noted of a name that upstream does not have.
ABSENT = "Upstream has no such package."


class StaleAnswer(UpstreamUnavailable):
    """Upstream's answer is older than what it said before: it came from a cache."""


class DoubtfulAbsence(UpstreamUnavailable):
    """Upstream has no such package, but had it before: during an outage it says so too."""


def upstream() -> PyPI:
    """Return the client of the index that this farm follows; it is one per process, for its connections."""
    return _client(settings.PIWHEELS_PYPI)


@cache
def _client(simple_url: str) -> PyPI:
    return PyPI(simple_url)


def watch(pypi: PyPI, names: Collection[str], *, now: datetime, refresh_s: float, limit: int) -> int:
    """Mark what has to be looked up: watched names that we lack, and packages that were long not looked at.

    Names that wait already keep their place.  Returns how many were marked, of the packages `limit` at most.
    """
    if SyncCursor.current().is_journal_heard(now):
        refresh_s = max(refresh_s, settings.PIWHEELS_RESCAN_S)
    missing = _list_all(pypi, now) if ALL in names else _mark_missing(_canonical(names), now)
    old = Package.objects.to_refresh(now - timedelta(seconds=refresh_s))
    waiting = Dirty.objects.values("name")
    return missing + _mark(old.exclude(name__in=waiting).values_list("name", flat=True)[:limit], now)


def refresh(pypi: PyPI, *, now: datetime, limit: int) -> int:
    """Look up names that are marked, and return how many of them are settled.

    When upstream asks for a pause or keeps us waiting, the rest waits for the next time.
    """
    began = time.monotonic()
    settled = 0
    for dirty in Dirty.objects.due(now)[:limit]:
        passed_s = time.monotonic() - began
        if passed_s > RUN_S:
            break
        moment = now + timedelta(seconds=passed_s)
        if not dirty.hold(moment):
            continue
        try:
            settled += _settle(pypi, dirty, moment)
        except UpstreamUnavailable as error:
            logger.warning("%s is put off: %s", dirty.name, error)
            dirty.put_off(moment + timedelta(seconds=error.retry_after or 0), _legible(error))
            if error.retry_after is not None or isinstance(error, UpstreamTimeout):
                break
        # What upstream says was made by strangers, and one name must not stop the others.
        except Exception as error:
            logger.exception("%s cannot be looked up, or its rows cannot be written.", dirty.name)
            dirty.put_off(moment, _legible(error))
    return settled


def look_up(
    pypi: PyPI,
    name: str,
    *,
    now: datetime,
    least_serial: int | None = None,
    believes_absence: bool = False,
) -> Package | None:
    """Fetch a package's state and write it down; None if neither upstream nor we have the package.

    Raises StaleAnswer when the answer has a lower serial than it must have, and DoubtfulAbsence when upstream
    no longer has the package, unless that is to be believed.
    """
    try:
        project = pypi.project(name)
    except NoSuchProject as error:
        if not believes_absence and _is_here(name):
            raise DoubtfulAbsence(ABSENT) from error
        return vanish(name, now)
    if least_serial is not None and project.serial is not None and project.serial < least_serial:
        raise StaleAnswer(f"The answer has serial {project.serial}, not {least_serial} or a later one.")
    return apply(project, now)


def _settle(pypi: PyPI, dirty: Dirty, now: datetime) -> bool:
    """Look a marked name up and forget the mark; False if it has to be looked up again."""
    known = Package.objects.filter(name=dirty.name).values_list("serial", flat=True).first()
    is_patient = dirty.attempts < PATIENCE
    least_serial = max(dirty.wanted_serial or 0, known or 0) if is_patient else None
    # Attempts that failed otherwise say nothing of an absence: the last one, long ago, must have seen it too.
    believes_absence = not is_patient and dirty.error == ABSENT
    package = look_up(pypi, dirty.name, now=now, least_serial=least_serial, believes_absence=believes_absence)
    if package is None:
        # Perhaps it is so new that a cache does not know it; perhaps somebody mistyped it.
        logger.warning("Upstream has no %s, and neither have we.", dirty.name)
        if is_patient:
            dirty.put_off(now, ABSENT)
            return False
    dirty.clear()
    return True


def _is_here(name: str) -> bool:
    """Whether we have a package that is not gone."""
    return Package.objects.filter(name=name).exclude(status=Package.Status.GONE).exists()


def _legible(error: Exception) -> str:
    """Return what an error says on one line, without what a database cannot keep."""
    line = " ".join(str(error).split()) or type(error).__name__
    return "".join(character if character.isprintable() else "\ufffd" for character in line)


def _list_all(pypi: PyPI, now: datetime) -> int:
    """Mark all of upstream's names that we lack, unless that was done lately; return how many."""
    SyncCursor.objects.get_or_create()
    due = Q(listed_at=None) | Q(listed_at__lte=now - LISTING)
    if not SyncCursor.objects.filter(due).update(listed_at=now):
        return 0
    marked = 0
    try:
        names = pypi.names()
        while batch := list(islice(names, BATCH)):
            marked += _mark_missing(batch, now)
    except UpstreamUnavailable as error:
        logger.warning("The list of all names was not read to its end: %s", error)
        SyncCursor.objects.update(listed_at=now - LISTING + LISTING_AGAIN)
    return marked


def _mark_missing(names: Iterable[str], now: datetime) -> int:
    """Mark those of some names that are no packages of ours."""
    names = set(names)
    have = Package.objects.filter(name__in=names).values_list("name", flat=True)
    return _mark(names.difference(have), now)


def _mark(names: Iterable[str], now: datetime, why: Dirty.Why = Dirty.Why.AGE) -> int:
    """Mark some names, and return how many were not marked before."""
    return Dirty.remind(set(names), why, now)


def _canonical(names: Iterable[str]) -> Iterator[str]:
    """Return the canonical forms of names that a person wrote."""
    for name in names:
        try:
            yield canonicalize_name(name, validate=True)
        except InvalidName:
            logger.error("%r in PIWHEELS_WATCH is no package's name.", name)
