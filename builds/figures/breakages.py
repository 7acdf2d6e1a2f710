"""New releases that fail although their package was built before: what its users meet first."""

from datetime import date, datetime, timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from builds import failures
from builds.figures.day_counts import ended_on, midnight, write
from builds.models import Breakage, Build
from builds.shown import relatives

# A release is recent for so long; of what is older, whoever needs it has another version.
RECENT = timedelta(days=30)


def note_day(day: date) -> None:
    """Note which builds that failed on a day are breakages, in the place of what was noted of it.

    What failed by no fault of the package is none.  What is no longer recent is forgotten.
    """
    faults = [key for key, failure in failures.classes().items() if failure.is_infrastructure]
    good = relatives.good_builds(OuterRef("version__package"), OuterRef("target"))
    before = good.filter(released_at__lte=OuterRef("released_at")).exclude(version=OuterRef("version"))
    failed = ended_on(day).filter(state=Build.State.FAILED, released_at__gte=midnight(day) - RECENT)
    noted = failed.exclude(failure__in=faults).annotate(good=Subquery(before.values("version")[:1]))
    rows = [
        Breakage(build_id=build, good_id=version, day=day)
        for build, version in noted.values_list("pk", "good")
        if version
    ]
    write(Breakage, day, rows)
    Breakage.objects.filter(day__lt=day - RECENT).delete()


def standing(now: datetime, behind: tuple[date, int] | None = None) -> QuerySet[Build]:
    """Return the builds whose breakage nothing has mended, the last one first, with what is shown of them.

    A later attempt settles one, and so does a later version that was built, an operator who skips it or
    builds for its target no more, and upstream by taking the release back.  Those behind one are given by its
    day and the key of its build.
    """
    package, target = OuterRef("version__package"), OuterRef("target")
    newer = relatives.good_builds(package, target).filter(released_at__gt=OuterRef("released_at"))
    mendable = Build.objects.last_attempts().mendable()
    broken = mendable.filter(~Exists(newer), breakage__day__gt=now.date() - RECENT)
    if behind:
        day, key = behind
        broken = broken.filter(Q(breakage__day__lt=day) | Q(breakage__day=day, pk__lt=key))
    shown = broken.select_related("version__package", "target", "breakage__good")
    return shown.order_by("-breakage__day", "-pk")
