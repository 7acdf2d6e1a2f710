"""Looks marked names up at PyPI, several at a time, and has what it says written down.

A mark that something changed is a hint; the state is what is fetched, and `merge` writes it.  So nothing here
depends on the order of hints, and a look-up may be done twice.  Threads fetch, and the caller's thread alone
talks to the database.
"""

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from queue import Empty, SimpleQueue

from django.conf import settings
from django.db import transaction

from packages import doubt, fetch, merge, moving
from packages.clock import database_now
from packages.doubt import ABSENT, STALE, DoubtfulAbsence, StaleAnswer, TooMuchVanishes
from packages.fetch import Unchanged, UpstreamTimeout
from packages.legible import legible
from packages.models import Dirty, Package, SyncCursor
from packages.project import Project
from packages.pulse import Pulse
from packages.pypi import NoSuchProject, PyPI, UpstreamUnavailable

logger = logging.getLogger(__name__)

# How often an answer that contradicts what we know is put off before we believe it.  With the pauses of
# `Dirty.put_off` that is half an hour, in which caches between upstream and us find out.
PATIENCE = 10
# So many look-ups that fail one after the other are an outage, for which upstream need not name a pause: then
# nobody asks for some seconds.  They are few, as whoever reads the journal waits, too.
OUTAGE, OUTAGE_S = 10, 10
# A run begins no look-up after this many seconds; the next one goes on.
RUN_S = 20
# How often a run says of the names that it holds that it is still at them.
KEEP_S = 10.0
# How many new packages are written together, and how many names are asked for meanwhile.
AT_ONCE = 100


def upstream() -> PyPI:
    """Return the client of the index that this farm follows; it is one per process, for its connections."""
    return _client(settings.PIWHEELS_PYPI)


@cache
def _client(simple_url: str) -> PyPI:
    pypi = PyPI(simple_url, fetch.Session(settings.PIWHEELS_FETCHERS, simple_url))
    moving.settle(pypi.simple_url, database_now())
    return pypi


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
    question = Question(
        Dirty(name=name, not_before=now), None, least_serial, believes_absence=believes_absence
    )
    return _write(question, lambda: pypi.project(name), now)


@dataclass(frozen=True)
class Question:
    """A look-up: of which name, and what of its answer is to be believed."""

    dirty: Dirty
    package: Package | None
    least_serial: int | None
    believes_absence: bool = False
    witness: str | None = None  # a package that upstream must have, if its word on an absence is to count
    believes_older: bool = False
    is_alone: bool = False  # written without others

    @property
    def etag(self) -> str:
        """The mark of the state that we have, unless the first answer could not be used."""
        return self.package.etag if self.package and not self.dirty.attempts else ""


def refresh(pypi: PyPI, *, now: datetime, limit: int, fetchers: int = 1) -> int:
    """Look up names that are marked, several at a time, and return how many of them are settled.

    When upstream asks for a pause or keeps us waiting, the rest waits for the next time.
    """
    if SyncCursor.current().is_paused(now):
        return 0
    doubt.relax(now)
    held = Dirty.hold_due(now, limit)
    run = _Run(pypi, now)
    keep = Pulse(KEEP_S, lambda: Dirty.keep(held, run.now))
    left: list[Dirty] = []
    with ThreadPoolExecutor(fetchers) as pool:
        questions = iter(_questions(held))
        asked: dict[Future[Project], Question] = {}
        # Each says itself that it is done: to wait for the first of a hundred costs as much as to ask.
        done: SimpleQueue[Future[Project]] = SimpleQueue()
        # One that fetches alone asks nothing before the answer is heeded; several are not to idle meanwhile.
        room = AT_ONCE if fetchers > 1 else 1
        while run.goes_on or asked:
            while run.goes_on and len(asked) < room and (question := next(questions, None)):
                future = pool.submit(_ask, pypi, question)
                asked[future] = question
                future.add_done_callback(done.put)
            if not run.goes_on:
                # Those that are done with it come by the queue, too.
                for future in asked:
                    future.cancel()
            if not asked:
                break
            future = _next(done, keep)
            question = asked.pop(future)
            if future.cancelled():
                left.append(question.dirty)
            else:
                run.settle(question, future)
        run.write_new()
    Dirty.let_go([*left, *(question.dirty for question in questions)], now)
    return run.settled


def _next(done: "SimpleQueue[Future[Project]]", keep: Pulse) -> "Future[Project]":
    """Return the next that is done, and meanwhile keep the names that are held from others."""
    while True:
        keep()
        with suppress(Empty):
            return done.get(timeout=KEEP_S)


def _questions(held: list[Dirty]) -> Iterator[Question]:
    """Return what to ask of names that we hold."""
    names = [dirty.name for dirty in held]
    packages = {package.name: package for package in Package.objects.filter(name__in=names)}
    for dirty in held:
        package = packages.get(dirty.name)
        # Attempts that failed otherwise say nothing of it: the last one, long ago, must have seen the same.
        before = dirty.error if dirty.attempts >= PATIENCE else ""
        believes_absence, believes_older = before == ABSENT, before.startswith(STALE)
        known = package.serial if package else None
        least = None if believes_older else max(dirty.wanted_serial or 0, known or 0)
        yield Question(
            dirty,
            package,
            least,
            believes_absence=believes_absence,
            witness=_witness() if believes_absence and package else None,
            believes_older=believes_older,
        )


def _witness() -> str | None:
    """Return a package that upstream had when we looked last, and of which nothing else is said."""
    certain = Package.objects.unmarked().exclude(status=Package.Status.GONE)
    return certain.order_by("-fetched_at", "-pk").values_list("name", flat=True).first()


def _ask(pypi: PyPI, question: Question) -> Project:
    """Fetch a package's state.

    An index that has lost everything says of each package that there is none, and of few of them are we to
    ask within an hour: that may be too few to be told from removals by their number.
    """
    try:
        return pypi.project(question.dirty.name, question.etag)
    except NoSuchProject as error:
        if question.witness and not pypi.has(question.witness):
            raise DoubtfulAbsence(f"Upstream has no {question.witness} either.") from error
        raise


@dataclass
class _Run:
    """One run of look-ups: what is settled, and whether to begin more."""

    pypi: PyPI
    began_at: datetime
    settled: int = 0
    is_stopped: bool = False
    failures: int = 0  # one after the other, in which upstream said nothing of a name
    new: list[tuple[Question, Project]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    @property
    def now(self) -> datetime:
        """The time of the run's caller, and what has passed since."""
        return self.began_at + timedelta(seconds=time.monotonic() - self.began)

    @property
    def goes_on(self) -> bool:
        """Whether to begin another look-up."""
        return not self.is_stopped and time.monotonic() - self.began <= RUN_S

    def settle(self, question: Question, answer: Future[Project]) -> None:
        """Write down an answer and forget the mark, or put the name off."""
        dirty, now = question.dirty, self.now
        try:
            self._take(question, answer, now)
            self.failures = 0
        except UpstreamUnavailable as error:
            logger.warning("%s is put off: %s", dirty.name, error)
            dirty.put_off(now + timedelta(seconds=error.retry_after or 0), _line(error))
            self._heed(error, now)
        # What upstream says was made by strangers, and one name must not stop the others.
        except Exception as error:
            logger.exception("%s cannot be looked up, or its rows cannot be written.", dirty.name)
            dirty.put_off(now, _line(error))

    def _take(self, question: Question, answer: Future[Project], now: datetime) -> None:
        """Write down an answer; what is new waits until there is more of it."""
        if question.package is None and (project := _new(question, answer)):
            self.new.append((question, project))
            if len(self.new) >= AT_ONCE:
                self.write_new()
        else:
            self.settled += _settle(question, answer.result, now)

    def write_new(self) -> None:
        """Write down the packages that are new to us, together if that can be."""
        new, self.new = self.new, []
        # As of most runs, which come every two seconds.
        if not new:
            return
        try:
            with transaction.atomic():
                merge.create([project for _, project in new], self.now)
                Dirty.forget([question.dirty for question, _ in new])
            self.settled += len(new)
        # Strangers made these too: one by one, to find out which of them cannot be written, and why.
        except Exception:
            for question, project in new:
                answer: Future[Project] = Future()
                answer.set_result(project)
                self.settle(replace(question, is_alone=True), answer)

    def _heed(self, error: UpstreamUnavailable, now: datetime) -> None:
        """Do what an outage asks of us."""
        if isinstance(error, TooMuchVanishes):
            doubt.note(error, now)
        if isinstance(error, StaleAnswer):
            SyncCursor.current().count_stale()
        # An old answer or an absence is an answer.
        self.failures = 0 if isinstance(error, StaleAnswer | DoubtfulAbsence) else self.failures + 1
        wait_s = error.retry_after
        if wait_s is None and self.failures >= OUTAGE:
            wait_s = OUTAGE_S
        if wait_s is not None:
            SyncCursor.current().pause(now + timedelta(seconds=wait_s))
        if wait_s is not None or isinstance(error, UpstreamTimeout):
            self.is_stopped = True


def _new(question: Question, answer: Future[Project]) -> Project | None:
    """Return the state of a package that is new to us; None if there is none, or it is written alone."""
    if question.is_alone or answer.exception() is not None:
        return None
    project = answer.result()
    _refuse_before(question.least_serial, project.serial)
    return project


def _settle(question: Question, answer: Callable[[], Project], now: datetime) -> bool:
    """Write an answer down and forget the mark; False if the name has to be looked up again."""
    dirty, before = question.dirty, question.package
    try:
        package = _write(question, answer, now)
    except merge.Forgotten:
        # And its mark with it.
        return True
    if package is None:
        # Perhaps it is so new that a cache does not know it; perhaps somebody mistyped it.
        logger.warning("Upstream has no %s, and neither have we.", dirty.name)
        if not question.believes_absence:
            dirty.put_off(now, ABSENT)
            return False
    elif question.believes_older and (package.serial or 0) < (dirty.wanted_serial or 0):
        logger.error(
            "%s has serial %s upstream, though there was an event %s half an hour ago; it is believed.",
            *(dirty.name, package.serial, dirty.wanted_serial),
        )
    elif dirty.why == Dirty.Why.LISTING and before and _is_correction(before, package):
        logger.error("The journal had not told that %s has changed.", dirty.name)
        SyncCursor.current().count_correction()
    dirty.clear()
    return True


def _write(question: Question, answer: Callable[[], Project], now: datetime) -> Package | None:
    """Write down what upstream answers; None if neither it nor we have the package."""
    name, least = question.dirty.name, question.least_serial
    try:
        project = answer()
    except NoSuchProject as error:
        if not question.believes_absence and _is_here(name):
            raise DoubtfulAbsence(ABSENT) from error
        return merge.vanish(name, now)
    except Unchanged:
        package = question.package
        _refuse_before(least, package.serial if package else None)
        if package:
            merge.confirm(package, now)
        return package
    _refuse_before(least, project.serial)
    is_ours = question.package is not None
    return merge.apply(project, now, believes_older=question.believes_older, is_ours=is_ours)


def _refuse_before(least: int | None, serial: int | None) -> None:
    """Raise StaleAnswer for an answer with a lower serial than it must have."""
    if least is not None and serial is not None and serial < least:
        raise StaleAnswer(f"{STALE} {serial}, not {least} or a later one.")


def _is_correction(before: Package, now: Package) -> bool:
    """Whether a change came to light that the journal should have told of before."""
    now.refresh_from_db(fields=["revision", "serial", "status"])
    is_told = (now.serial or 0) > max(before.serial or 0, SyncCursor.current().serial)
    is_event = now.serial != before.serial or now.status == Package.Status.GONE
    return now.revision != before.revision and is_event and not is_told


def _is_here(name: str) -> bool:
    """Whether we have a package that is not gone."""
    return Package.objects.filter(name=name).exclude(status=Package.Status.GONE).exists()


def _line(error: Exception) -> str:
    """Return what an error says on one line, without what a database cannot keep."""
    return legible(" ".join(str(error).split()) or type(error).__name__)
