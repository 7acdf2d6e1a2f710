"""The whole import in its order: each step needs what those before it have written."""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from builds.importing import decisions, numbers, targets, theirs
from builds.importing.builds import Importer
from builds.importing.storing import Store
from builds.importing.tree import Tree
from builds.models import Counting
from packages.importing import names, versions
from packages.importing.original import NotReadable, Original
from packages.importing.progress import Progress
from packages.progress_bar import ProgressBar
from simple.importing import downloads, searches
from simple.importing.report import Report


@dataclass(frozen=True)
class Wishes:
    """What an operator wants of an import."""

    folder: Path
    archives: Mapping[str, Path] = field(default_factory=dict)
    targets: Mapping[str, str] = field(default_factory=dict)  # keys, by ABI
    by_link: bool = True
    is_dry: bool = False
    is_again: bool = False
    jobs: int = 0  # files that are read at a time; 0: one for each core


def run(
    original: Original, wishes: Wishes, now: datetime, bar: Callable[[int], ProgressBar] = ProgressBar
) -> Report:
    """Take over all that was not taken yet, and return what there is to say of it.

    Raises NotReadable for what cannot be begun or gone on with; said again, it goes on from there.
    """
    tree = Tree(wishes.folder, dict(wishes.archives))
    if lacking := tree.lacking():
        raise NotReadable(
            f"There is no folder {', '.join(map(str, lacking))}: name the one that has simple/ and logs/."
        )
    software = original.check()
    _check_archives(original, tree)
    progress = Progress(now, wishes.is_dry, bar)
    chosen = targets.of_abis(original, wishes.targets, is_dry=wishes.is_dry)
    most = numbers.reserve(original, progress)
    last = downloads.last_day(original)
    names.take(original, progress)
    versions.take(original, progress)
    with ThreadPoolExecutor(wishes.jobs or len(os.sched_getaffinity(0))) as workers:
        store = Store(tree, by_link=wishes.by_link, is_dry=wishes.is_dry)
        importer = Importer(original, progress, store, chosen, workers, most)
        importer.take()
        # Builds take hours, in which the other farm may have built what was released since.
        if not wishes.is_dry and importer.came_too_early():
            names.take(original, progress)
            versions.take(original, progress)
            importer.take_of_later_versions()
        if wishes.is_again and not wishes.is_dry:
            importer.take_again()
    if not wishes.is_dry:
        decisions.take(original, progress)
        downloads.take_late(original, progress)
    downloads.take(original, progress, last)
    searches.take(original, progress, last)
    if not wishes.is_dry:
        Counting.forget_days()
    return Report(
        software=software,
        is_dry=wishes.is_dry,
        targets={abi: target.key for abi, target in chosen.items()},
        steps=progress.told(),
        refusals=progress.refusals(),
    )


def _check_archives(original: Original, tree: Tree) -> None:
    """Raise NotReadable for places of files that have no folder, and for archives that no file is in.

    It is often most of a farm's files, and would be found out after hours.
    """
    locations = theirs.locations(original)
    if unknown := tree.unknown(locations):
        raise NotReadable(
            f"The database says that files are at {', '.join(unknown)}: say with --archive URL=FOLDER where"
            " they can be read; with an empty folder if they are lost, so that each is refused."
        )
    if unused := tree.unused(locations):
        raise NotReadable(
            f"The database says of no file that it is at {', '.join(unused)}, but at"
            f" {', '.join(sorted(locations)) or 'no place'}: write --archive as it is there, or leave it out."
        )
