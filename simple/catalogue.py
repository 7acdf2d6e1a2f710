"""Writes the list of all packages with their downloads, in piwheels.org's shape, once an hour into the tree.

A million names are thirty megabytes, which nobody makes while somebody waits.  They are read in chunks, with
the downloads of each.  All of it is summed up, so where that takes long it is done more seldom.
"""

import gzip
import json
import time
from collections.abc import Collection, Iterable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.core.cache import cache
from django.db.models import Q, Sum

from packages.batches import batches
from packages.models import Package
from simple import folders, tree
from simple.models import PackageDownload
from simple.tree import CATALOGUE, PACKED

CHUNK_ROWS = 2000
LOCK = "catalogue"
# The list takes no more than this part of the time, and an hour lies between two ticks of the schedule.
PART, HOUR_S = 0.02, 3600
_RESTS = "catalogue-rests"
# As piwheels.org has it.
DAYS = 30


def publish(now: datetime) -> bool:
    """Write the list; False if somebody else does so now, or if this process has just spent long on it."""
    with tree.held(LOCK) as is_ours:
        if not is_ours or cache.get(_RESTS):
            return False
        began = time.monotonic()
        _write(lines(now), Path(settings.PIWHEELS_PUBLIC))
        if (rest_s := (time.monotonic() - began) / PART) > HOUR_S:
            cache.set(_RESTS, "for a while", rest_s)
        return True


def lines(now: datetime) -> Iterator[str]:
    """Return the list in pieces of one package each."""
    names = Package.objects.order_by("name").values_list("pk", "name").iterator(chunk_size=CHUNK_ROWS)
    since = (now - timedelta(days=DAYS)).date()
    before = "["
    for some in batches(names):
        counts = _counts([package for package, _ in some], since)
        for package, name in some:
            yield before + json.dumps([name, *counts.get(package, (0, 0))], separators=(",", ":"))
            before = ","
    yield "]" if before == "," else "[]"


def _counts(packages: Collection[int], since: date) -> dict[int, tuple[int, int]]:
    """Return how often the wheels of some packages were downloaded since that day, and ever."""
    rows = (
        PackageDownload.objects.filter(package__in=packages)
        .values_list("package")
        .annotate(recent=Sum("count", filter=Q(day__gt=since), default=0), total=Sum("count"))
    )
    return {package: (recent, total) for package, recent, total in rows}


def _write(lines: Iterable[str], public: Path) -> None:
    """Put the list, as it is and packed, into the place of the one before."""
    paths = [public / CATALOGUE, public / (CATALOGUE + PACKED)]
    new = [tree.new(path) for path in paths]
    with new[0].open("w") as plain, gzip.open(new[1], "wt", compresslevel=6) as packed:
        for line in lines:
            plain.write(line)
            packed.write(line)
    folders.sync(new)
    for written, path in zip(new, paths, strict=True):
        written.chmod(0o644)
        written.replace(path)
