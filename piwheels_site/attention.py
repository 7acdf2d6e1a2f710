"""What needs a person at this moment, found by small looks at rows and disks.

A check is a function that gives what it found; another list of such things joins by an entry in CHECKS.
"""

import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings

from builds.models import Builder
from packages.health import sync_health

logger = logging.getLogger(__name__)

# Less than this part of a disk is too little: a build's wheel is written twice, and a database breathes.
LEAST_FREE = 0.1
# What is later than this needs a look.
LATE = timedelta(hours=1)
MANY_EVENTS = 10_000


@dataclass(frozen=True)
class Matter:
    """One thing that needs a person."""

    key: str  # the same for as long as it is the same thing
    title: str
    said: str  # what is the matter and what to do, in sentences
    url: str  # of this site, where more of it is
    since: datetime


# Gives what needs a person, as it is now.
Check = Callable[[datetime], Iterable[Matter]]


def look(now: datetime, checks: "Mapping[str, Check] | None" = None) -> tuple[dict[str, Matter], set[str]]:
    """Return what needs a person, by its key with the name of its check, and which checks failed.

    One that fails says nothing of whether its matters are over, and keeps no other from looking.
    """
    found: dict[str, Matter] = {}
    failed = set()
    for name, check in (CHECKS if checks is None else checks).items():
        try:
            found |= {f"{name}:{matter.key}": matter for matter in check(now)}
        except Exception:
            logger.exception("The check %s failed; what it found before is left as it is.", name)
            failed.add(name)
    return found, failed


def _silent_builders(now: datetime) -> Iterator[Matter]:
    """Give the builders that should be at work and are not heard of."""
    wanted = Builder.objects.filter(is_enabled=True, mode=Builder.Mode.ACTIVE)
    for builder in wanted.filter(heard_at__lt=now - Builder.SILENCE).select_related("target"):
        said = f"It builds for {builder.target}. Has it power and a network? Its own log tells more."
        yield Matter(
            builder.name,
            f"Builder {builder} is silent",
            said,
            "/farm/",
            builder.heard_at or builder.created_at,
        )


def _upstream(now: datetime) -> Iterator[Matter]:
    """Give what keeps us from following upstream."""
    health = sync_health(now)
    if health.warning:
        yield Matter("warning", "Upstream is not followed as it should be", health.warning, "/status/", now)
    if health.lag > MANY_EVENTS:
        said = f"{health.lag} events of its journal are still to be read."
        yield Matter("lag", "We are far behind upstream", said, "/status/", now)
    if health.oldest_s is not None and health.oldest_s > LATE.total_seconds():
        since = now - timedelta(seconds=health.oldest_s)
        said = "The longest waiting package should have been looked up long ago: do worker and beat run?"
        yield Matter("waiting", "Packages wait to be looked up", said, "/status/", since)


def _disks(now: datetime) -> Iterator[Matter]:
    """Give the disks of this machine that are nearly full, each once, whatever is on it."""
    seen = set()
    for name, place in disks().items():
        device = place.stat().st_dev
        told = shutil.disk_usage(place)
        if device not in seen and told.free < LEAST_FREE * told.total:
            share = 100 * told.free // told.total
            said = f"{share} % of the disk of {name} ({place}) are free: make room, or move it."
            yield Matter(name, f"The disk of {name} is nearly full", said, "/status/", now)
        seen.add(device)


def disks() -> dict[str, Path]:
    """Return the folders of this machine that the farm writes to and that are there, by what they are for."""
    places = {
        "uploads": settings.PIWHEELS_INCOMING,
        "the index": settings.PIWHEELS_PUBLIC,
        "everything else": settings.VAR,
    }
    if not settings.PIWHEELS_STORAGE.startswith("s3://"):
        places["wheels"] = settings.PIWHEELS_STORAGE
    return {name: Path(place) for name, place in places.items() if Path(place).is_dir()}


CHECKS: dict[str, Check] = {"builder": _silent_builders, "upstream": _upstream, "disk": _disks}
