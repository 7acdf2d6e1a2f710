"""New releases that fail although their package was built before: what its users meet first."""

from datetime import date, datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from builds import failures, relatives
from builds.day_counts import ended_on, midnight
from builds.models import Breakage, Build, Skip

# A release is new for so long; of what is older, whoever needs it has another version.
NEW = timedelta(days=30)


@transaction.atomic
def note_day(day: date) -> None:
    """Note which builds that failed on a day are breakages, in the place of what was noted of it.

    What failed by no fault of the package is none.  What is no longer new is forgotten.
    """
    faults = [key for key, failure in failures.classes().items() if failure.is_infrastructure]
    good = relatives.good_builds(OuterRef("version__package"), OuterRef("target"))
    before = good.filter(released_at__lte=OuterRef("released_at")).exclude(version=OuterRef("version"))
    failed = ended_on(day).filter(state=Build.State.FAILED, released_at__gte=midnight(day) - NEW)
    noted = failed.exclude(failure__in=faults).annotate(good=Subquery(before.values("version")[:1]))
    Breakage.objects.filter(Q(day=day) | Q(day__lt=day - NEW)).delete()
    Breakage.objects.bulk_create(
        Breakage(build_id=build, good_id=version, day=day)
        for build, version in noted.values_list("pk", "good")
        if version
    )


def standing(now: datetime) -> QuerySet[Breakage]:
    """Return the breakages that nothing has mended, the last one first, with what is shown of them.

    A later attempt settles one, and so does a later version that was built, an operator who skips it, and
    upstream by taking the release back.
    """
    version, target = OuterRef("build__version"), OuterRef("build__target")
    package = OuterRef("build__version__package")
    later = Build.objects.filter(version=version, target=target, attempt__gt=OuterRef("build__attempt"))
    newer = relatives.good_builds(package, target).filter(released_at__gt=OuterRef("build__released_at"))
    skipped = Skip.objects.filter(package=package, target=target)
    wanted = Q(
        build__version__skip_reason="",
        build__version__package__skip_reason="",
        build__version__yanked=False,
        build__version__gone_at=None,
    )
    found = Breakage.objects.filter(
        wanted, ~Exists(later), ~Exists(newer), ~Exists(skipped), day__gt=now.date() - NEW
    )
    return found.select_related("build__version__package", "build__target", "good")
