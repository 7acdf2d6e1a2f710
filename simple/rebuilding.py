"""Makes the published tree anew, of all packages or of some, when somebody does not trust what is there."""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from packages.batches import batches
from packages.models import Package
from packages.progress_bar import ProgressBar
from simple import folders, publishing, roots, tree
from simple.models import Shown


@dataclass(frozen=True)
class Rebuilt:
    """What was done."""

    packages: int
    strangers: int  # folders of what is no package of ours
    failed: int


def rebuild(names: Collection[str], now: datetime) -> Rebuilt:
    """Write the pages and links of packages anew, all of them if none are named.

    What is right stays as it is.  Readers notice nothing, and a writer that runs meanwhile does its part.
    """
    with tree.held(publishing.LOCK, wait=True):
        strangers = sum(map(_prepare, batches(names or _on_disk())))
        marked = 0
        for batch in batches(Shown.objects.keys_of(names)):
            Package.objects.show_anew(batch)
            marked += len(batch)
    with ProgressBar(marked) as bar:
        while done := publishing.publish(now, wait=True):
            bar.advance(done)
    roots.publish(now, at_once=True)
    failing = Shown.objects.failing(now)
    failed = failing.filter(package__name__in=names) if names else failing
    return Rebuilt(packages=marked, strangers=strangers, failed=failed.count())


def count(names: Collection[str]) -> int:
    """Return of how many packages `rebuild` would write pages."""
    return sum(1 for _ in Shown.objects.keys_of(names))


def _on_disk() -> Iterator[str]:
    """Give the names of which there is a folder in any index."""
    seen: set[str] = set()
    for index in tree.published_indexes():
        for entry in os.scandir(tree.folder(index)):
            if entry.is_dir() and entry.name not in seen:
                seen.add(entry.name)
                yield entry.name


def _prepare(names: Collection[str]) -> int:
    """Have a row for each package that may be in the tree; take away folders of others, and count those."""
    known = dict(Package.objects.filter(name__in=names).values_list("name", "pk"))
    Shown.announce(known.values())
    strangers = sorted(set(names) - known.keys())
    return sum(folders.remove(name, tree.published_indexes()) for name in strangers)
