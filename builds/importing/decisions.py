"""Takes over what operators of the other farm decided of what is here: to yank, remove or unskip it.

It is read anew with each import, as it may change behind the builds that were read.  There nobody can tell an
operator's yank from upstream's, so it is kept with the wheels, without a reason, unless upstream has told us
the same by now.  What was removed there is said and not done: a database that is not the one from before
would take everything away.
"""

from collections.abc import Mapping, Sequence

from django.db import transaction

from builds.importing.targets import NAME
from builds.importing.writing import mark_changed
from builds.models import Wheel
from packages.importing.original import Original
from packages.importing.progress import Batch, Progress
from packages.importing.unskipped import REASON as NOT_SKIPPED
from packages.importing.unskipped import unskipped
from packages.models import NEVER

BATCH = 2000
REMOVED = "it was removed there and is still here: withdraw or take it down, if the reason holds here too"

_PAGE = """
    SELECT filename, versions.yanked
    FROM files JOIN builds USING (build_id) JOIN versions USING (package, version)
    WHERE filename = ANY(%s) AND NOT ({is_deleted})
"""


def take(original: Original, progress: Progress) -> None:
    """Bring all wheels that were imported to what was decided there."""
    step = progress.step("decisions")
    step.begin_again("decisions")
    imported = (
        Wheel.objects.standing().filter(build__builder__name__startswith=NAME.format("")).order_by("pk")
    )
    sql, total, after = _PAGE.format(is_deleted=original.is_deleted), imported.count(), 0
    with progress.bar(total) as bar:
        bar.show("decisions")
        while wheels := list(imported.filter(pk__gt=after).select_related("package", "version")[:BATCH]):
            after = wheels[-1].pk
            yanks: dict[str, bool] = dict(original.page(sql, [[wheel.filename for wheel in wheels]]))
            batch = Batch()
            with transaction.atomic():
                _write(wheels, yanks, batch)
                step.note(batch, [])
            bar.advance(len(wheels))
    batch = Batch()
    for key in unskipped(original):
        batch.refuse("decisions", key, NOT_SKIPPED)
    with transaction.atomic():
        step.note(batch, [])
    step.finish()


def _write(wheels: Sequence[Wheel], yanks: Mapping[str, bool], batch: Batch) -> None:
    """Write what was decided of some wheels, and note it."""
    batch.read("decisions", len(wheels))
    for wheel in wheels:
        if wheel.filename not in yanks:
            batch.refuse("decisions", wheel.filename, REMOVED)
    there = [wheel for wheel in wheels if yanks.get(wheel.filename)]
    ours = [wheel for wheel in there if not _upstream_says_so(wheel)]
    new = [wheel for wheel in ours if not wheel.yanked]
    # Without a reason, so that it is an import's and no operator's of ours.
    imported = [wheel for wheel in wheels if wheel.is_yanked_by_hand and not wheel.yanked_reason]
    theirs = [wheel for wheel in imported if yanks.get(wheel.filename) and _upstream_says_so(wheel)]
    ended = [wheel for wheel in imported if yanks.get(wheel.filename) is False]
    mark_changed({wheel.package_id for wheel in [*new, *theirs, *ended]})
    Wheel.objects.filter(pk__in=[wheel.pk for wheel in new]).note_yank(yanked=True)
    Wheel.objects.filter(pk__in=[wheel.pk for wheel in [*theirs, *ended]]).note_yank(yanked=False)
    batch.wrote("decisions", count=len(ours))
    batch.noted("decisions", "left to upstream", len(theirs))
    batch.noted("decisions", "yanked there no more", len(ended))


def _upstream_says_so(wheel: Wheel) -> bool:
    """Tell whether upstream, as we have asked it, yanks the version."""
    return wheel.package.fetched_at != NEVER and wheel.version.yanked
