"""Gives back what was lost of the work on bundles, and removes what is kept no longer."""

import logging
import time
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import QuerySet

from builds.files.stored import TEMPORARY
from builds.models import Wheel
from packages.batches import batches
from packages.models import Package, UpstreamFile
from simple.index import offered
from simple.models import Bundle

logger = logging.getLogger(__name__)

# How long the page of a bundle that is over goes on to say what it was.
KEPT = timedelta(days=1)
# How many bundles are looked at together: what is in each may be thousands of files.
_TOGETHER = 50
# A zip is there a moment before its row says so.
GRACE_S = 600


def tidy(now: datetime) -> int:
    """Do all of it; returns how many rows and files were touched."""
    touched = sum(_give_back(bundle, now) for bundle in Bundle.objects.lost(now))
    for ready in batches(Bundle.objects.ready(now).iterator(), size=_TOGETHER):
        over = [bundle.pk for bundle in withdrawn(ready)]
        touched += Bundle.objects.filter(pk__in=over).update(expires_at=now)
    touched += Bundle.objects.filter(expires_at__lt=now - KEPT).delete()[0]
    return touched + remove_files(now, time.time())


def withdrawn(bundles: Collection[Bundle]) -> list[Bundle]:
    """Return those with something that is offered no more: it was taken down, say, or may be malware."""
    entries = {bundle: bundle.content.get("entries", ()) for bundle in bundles}
    every = [entry for each in entries.values() for entry in each]
    ours = {entry["filename"] for entry in every if entry["is_ours"]}
    theirs = {entry["filename"] for entry in every if not entry["is_ours"]}
    listed = UpstreamFile.objects.listed().exclude(version__package__status__in=Package.HIDDEN)
    over = _missing(ours, offered()) | _missing(theirs, listed)
    return [bundle for bundle, each in entries.items() if any(entry["filename"] in over for entry in each)]


def _missing(filenames: Collection[str], files: QuerySet[Wheel] | QuerySet[UpstreamFile]) -> set[str]:
    """Return those of the names that none of the files has."""
    missing = set(filenames)
    for names in batches(filenames):
        missing -= set(files.filter(filename__in=names).values_list("filename", flat=True))
    return missing


def _give_back(bundle: Bundle, now: datetime) -> bool:
    """Have a bundle made by another worker, unless that was tried often enough."""
    logger.warning("The worker that made %s fell silent.", bundle)
    if bundle.tries < Bundle.TRIES:
        return bundle.give_back()
    return bundle.fail("Making it broke off again and again; ask for fewer packages.", now + KEPT)


def remove_files(now: datetime, seconds: float) -> int:
    """Remove zips that nobody can download any more, wheels of upstream's, and what crashes left behind."""
    folder: Path = settings.PIWHEELS_BUNDLES
    wanted = set(Bundle.objects.ready(now).values_list("digest", flat=True))
    longest = settings.PIWHEELS_BUNDLE_S + GRACE_S
    kept = max(settings.PIWHEELS_BUNDLES_KEPT_S, longest)
    zips = [path for path in folder.glob("*.zip") if path.stem not in wanted]
    broken = [*folder.glob(f"{TEMPORARY}*"), *folder.glob(f"upstream/{TEMPORARY}*")]
    fetched = [path for path in folder.glob("upstream/*") if not path.name.startswith(TEMPORARY)]
    return (
        _remove(zips, seconds - GRACE_S)
        + _remove(broken, seconds - longest)
        + _remove(fetched, seconds - kept)
    )


def _remove(paths: Iterable[Path], before: float) -> int:
    """Remove those that were written before a moment."""
    removed = 0
    for path in paths:
        try:
            if path.stat().st_mtime < before:
                path.unlink()
                removed += 1
        except FileNotFoundError:
            continue
    return removed
