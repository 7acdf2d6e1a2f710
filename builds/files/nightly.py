"""Checks the storage night after night, a bounded piece at a time.

Every night each part is compared with the rows, and some are read with all of their bytes, so that in a
month all of them have been.  Nothing is changed: `manage.py check_storage --fix` is an operator's to say.
"""

import logging
import time
from dataclasses import asdict, dataclass, field
from datetime import datetime

from builds.files import moving
from builds.files.checking import Check, Step
from builds.files.stored import PREFIXES
from builds.models import StorageCheck
from packages.clock import is_over

logger = logging.getLogger(__name__)


@dataclass
class Tally:
    """What a check has seen so far."""

    wheels: int = 0
    files: int = 0
    size: int = 0
    faults: int = 0
    lines: list[str] = field(default_factory=list)

    def add(self, step: Step) -> None:
        """Count what was seen."""
        self.wheels += step.wheels
        self.files += step.files
        self.size += step.size
        self.faults += len(step.faults)
        room = max(0, StorageCheck.KEPT - len(self.lines))
        self.lines += [str(fault) for fault in step.faults[:room]]


def look(now: datetime, *, for_s: float = 30.0) -> int:
    """Go on with this night's check for about so many seconds; return how many parts came to their end.

    The time is looked at between two hashes: one large wheel is always read to its end.  What fails inside a
    part is a fault of it; a storage that fails as a whole has nothing looked at.
    """
    until = time.monotonic() + for_s
    ended = 0
    try:
        while time.monotonic() < until and (part := _next(now)):
            ended += _go_on(part, now, until)
    except moving.faults() as error:
        logger.error("The storage cannot be checked: %s", error)
    return ended


def _next(now: datetime) -> StorageCheck | None:
    """Return the part to look at: one that was begun, or the one that was neglected longest."""
    if begun := StorageCheck.objects.begun().first():
        return begun
    part = StorageCheck.objects.due(now).first()
    if part is None and not StorageCheck.objects.exists():
        StorageCheck.objects.bulk_create(map(StorageCheck, PREFIXES), ignore_conflicts=True)
        return _next(now)
    if part:
        read_tonight = StorageCheck.objects.read_between(now - StorageCheck.NIGHTLY, now)
        is_old = is_over(part.read_at, StorageCheck.READ, now)
        part.begin(is_reading=is_old and read_tonight < StorageCheck.READ_PER_NIGHT)
    return part


def _go_on(part: StorageCheck, now: datetime, until: float) -> bool:
    """Compare a part until the time is over; True if it came to its end."""
    tally, position = Tally(**part.so_far), part.position
    for step in Check.of_storage(now, reads=part.is_reading).part(part.prefix, position):
        tally.add(step)
        position = step.position or position
        if step.position and time.monotonic() >= until:
            part.pause(position, asdict(tally))
            return False
    part.end(now, **asdict(tally))
    if tally.faults:
        logger.error("The storage has %d faults below %s: see `check_storage`.", tally.faults, part)
    return True
