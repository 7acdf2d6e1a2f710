"""Takes over what pip looked for while there was nothing of it: that is wanted, and not yet there."""

from collections.abc import Iterable
from datetime import date, timedelta

from django.db import transaction

from builds.models import Wheel
from packages.batches import batches
from packages.importing.original import Original, Row
from packages.importing.progress import Batch, Progress
from packages.models import Package
from simple import misses
from simple.demand import KEPT
from simple.importing.downloads import next_day

SUBJECT = "searches"

# Their look-ups are noted for each package that is installed, whether there is something of it or not.
_COUNTS = """
    SELECT package, count(*) FROM searches WHERE accessed_at >= %s AND accessed_at < %s GROUP BY package
"""


def take(original: Original, progress: Progress, last: date) -> None:
    """Take over the look-ups of the days until the last one that are of use to anybody."""
    step = progress.step(SUBJECT)
    after = last - KEPT
    if step.cursor:
        after = max(after, date.fromisoformat(str(step.cursor[0])))
    with progress.bar((last - after).days) as bar:
        bar.show("searches")
        while day := next_day(original, "searches", after, last):
            batch = Batch()
            with transaction.atomic():
                found = original.stream(_COUNTS, [day, day + timedelta(days=1)])
                counts = _in_vain(found, batch, is_dry=progress.is_dry)
                if not progress.is_dry:
                    misses.add({(package, day): count for package, count in counts.items()})
                step.note(batch, [str(day)])
            bar.advance((day - after).days)
            after = day
    step.finish()


def _in_vain(found: Iterable[Row], batch: Batch, *, is_dry: bool) -> dict[int, int]:
    """Return how often each package was looked for of which there is nothing."""
    counts: dict[int, int] = {}
    for some in batches(found):
        batch.read(SUBJECT, sum(count for _, count in some))
        keys = dict(Package.objects.filter(name__in=[name for name, _ in some]).values_list("name", "pk"))
        served = set(
            Wheel.objects.standing().filter(package__in=keys.values()).values_list("package", flat=True)
        )
        for name, count in some:
            if name not in keys and not is_dry:
                batch.noted(SUBJECT, "of no package here", count)
            elif keys.get(name) in served:
                batch.noted(SUBJECT, "of what is here", count)
            else:
                batch.wrote(SUBJECT, count=count)
                if name in keys:
                    counts[keys[name]] = count
    return counts
