"""Fills a scratch farm with the sample, and refuses one in which there is anything."""

from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.core.cache import cache
from django.db import transaction

from builds.figures import counting
from builds.files import moving
from builds.models import Builder
from packages.models import Package, UpstreamFile
from piwheels_site import series
from piwheels_site.models import Notice
from piwheels_site.sample import downloads, farm, history, outcome, present, printed, upstream
from piwheels_site.sample.history import History
from simple import catalogue as listing
from simple import publishing, summing


class NotEmpty(Exception):
    """There is a farm already; the text says what to do."""


def fill(packages: int, seed: int, now: datetime) -> None:
    """Write the sample and show it; raises NotEmpty where anything could be lost, before it writes."""
    write(packages, seed, now)
    show(now)


def write(packages: int, seed: int, now: datetime) -> None:
    """Write the rows and files of the sample; raises NotEmpty as `fill` does."""
    require_empty()
    # What is missing is said before the first row.
    printed.by_name()
    # With its mark, or not at all.
    with transaction.atomic():
        present.mark(now)
        targets, builders = farm.write(seed, now)
        projects = upstream.write(packages, seed, now)
        drawn = History(targets, history.of_targets(builders), seed, now)
        outcome.write(drawn.attempts(projects), seed, now)
        downloads.write(projects, seed, now)
        present.write(projects, builders, seed, now)
        present.tell_of_an_incident(now)
    cache.clear()


def show(now: datetime) -> None:
    """Publish what was written and count it, as the processes of a farm would in time."""
    publishing.publish(now, wait=True, run_s=600)
    with transaction.atomic():
        # Two years of days, each a transaction of its own otherwise.
        counting.count_due(now, for_s=60)
    summing.sum_due(now, for_s=60)
    series.read_due(now)
    listing.publish(now)


def is_sample() -> bool:
    """Tell whether what is here was made up, all of it."""
    is_marked = Notice.objects.filter(kind=Notice.Kind.SAMPLE).exists()
    return is_marked and not UpstreamFile.objects.exclude(url__contains=upstream.PLACE).exists()


def require_empty() -> None:
    """Raise NotEmpty unless database, storage and published tree hold nothing.

    There is no way around this: a sample among real packages would be installed by somebody.
    """
    if is_sample():
        raise NotEmpty(f"The sample is here already, and is never written over. {_elsewhere()}")
    there = [
        name
        for name, is_there in (
            ("the database has packages", Package.objects.exists()),
            ("the database has builders", Builder.objects.exists()),
            ("the storage has files", any(storage.folders("") for storage in moving.both() if storage)),
            ("there is a published index", _is_published()),
        )
        if is_there
    ]
    if there:
        raise NotEmpty(f"This is a farm that somebody may need: {', '.join(there)}. {_elsewhere()}")


def _is_published() -> bool:
    public = Path(settings.PIWHEELS_PUBLIC)
    return public.is_dir() and any(public.iterdir())


def _elsewhere() -> str:
    return "`make play` makes a place of its own; or name an empty one in PIWHEELS_VAR and DATABASE_URL."
