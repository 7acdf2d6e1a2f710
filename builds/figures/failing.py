"""How builds fail, for everybody: how often in which way, what waits behind it, and the last of them."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import OuterRef, QuerySet, Sum
from django.db.models.expressions import Subquery

from builds import failures
from builds.failures import Failure
from builds.models import Build, BuildDay, StandingFailure, Target

# How long ago "lately" is.
LATELY = timedelta(days=30)
# How many examples are shown of each class, and how many failures a page of one class has.
EXAMPLES = 3
A_PAGE = 25
# What a builder's silence ended has no index of its own: the last day of it is shown.
LOST_SINCE = timedelta(days=1)
# No build has a key as high.
_TOP = 2**63 - 1


@dataclass(frozen=True)
class FailureClass:
    """One class of failure, and how often it happens."""

    failure: Failure
    lately: int
    in_all: int
    packages: int
    dependents: int
    examples: tuple[Build, ...] = ()

    @property
    def sentence(self) -> str:
        """What it is, of no build in particular."""
        # What is in brackets, or at the end, says of one build what the rest says of all.
        sentence = self.failure.sentence.replace(" ({about})", "")
        return sentence.format(about="…" if sentence.endswith("{about}") else "something")

    @property
    def advice(self) -> str:
        """What may help, of no build in particular."""
        return self.failure.suggestion.format(about="what is missing", apt="the Debian package that has it")


@dataclass(frozen=True)
class Failures:
    """One page of the failures of one class and target."""

    builds: tuple[Build, ...]
    next_before: int  # from where the next page goes on; 0: there is none


def classes(now: datetime) -> list[FailureClass]:
    """Return all classes that ever happened, what happens most lately first; five queries."""
    lately, in_all = _counts(now.date() - LATELY), _counts(date.min)
    standing = {row.failure: row for row in StandingFailure.objects.all()}
    examples = _examples(standing)
    known = [failure for key, failure in failures.classes().items() if in_all.get(key) or key in standing]
    found = [
        _class(failure, lately, in_all, standing, tuple(examples.get(failure.key, ()))) for failure in known
    ]
    return sorted(found, key=lambda each: (each.lately, each.in_all), reverse=True)


def one(failure: Failure, now: datetime) -> FailureClass:
    """Return one class, without examples."""
    standing = {row.failure: row for row in StandingFailure.objects.filter(pk=failure.key)}
    lately, in_all = (_counts(since, failure.key) for since in (now.date() - LATELY, date.min))
    return _class(failure, lately, in_all, standing, ())


def _class(
    failure: Failure,
    lately: dict[str, int],
    in_all: dict[str, int],
    standing: dict[str, StandingFailure],
    examples: tuple[Build, ...],
) -> FailureClass:
    stands = standing.get(failure.key) or StandingFailure(failure.key)
    return FailureClass(
        failure=failure,
        lately=lately.get(failure.key, 0),
        in_all=in_all.get(failure.key, 0),
        packages=stands.packages,
        dependents=stands.dependents,
        examples=examples,
    )


def _counts(since: date, failure: str = "") -> dict[str, int]:
    """Return how often each class, or one of them, happened after a day."""
    rows = BuildDay.objects.filter(day__gt=since).order_by()
    rows = rows.filter(failure=failure) if failure else rows.exclude(failure="")
    return dict(rows.values_list("failure").annotate(Sum("count")))


def trend(now: datetime, failure: str = "") -> list[tuple[str, float]]:
    """Return how many builds failed on each of the last days, in one way or in any; without gaps."""
    rows = BuildDay.objects.filter(day__gt=now.date() - LATELY).order_by()
    rows = rows.filter(failure=failure) if failure else rows.exclude(failure="")
    counted = dict(rows.values_list("day").annotate(Sum("count")))
    days = [now.date() - timedelta(days=n) for n in range(LATELY.days - 1, -1, -1)]
    return [(f"{day:%Y-%m-%d}", float(counted.get(day, 0))) for day in days]


def by_target(failure: str, now: datetime) -> list[tuple[Target, int]]:
    """Return for which targets it happened lately, and how often; most often first."""
    rows = BuildDay.objects.filter(failure=failure, day__gt=now.date() - LATELY).order_by()
    counted = dict(rows.values_list("target").annotate(Sum("count")))
    targets = Target.objects.filter(pk__in=counted)
    return sorted(((target, counted[target.pk]) for target in targets), key=lambda each: -each[1])


def last(failure: str, target: Target, now: datetime, before: int = 0) -> Failures:
    """Return the last builds of a target that failed so, from one key downwards."""
    found = Build.objects.filter(target=target, failure=failure, pk__lt=before or _TOP)
    if failure == failures.LOST:
        found = found.filter(state=Build.State.LOST, finished_at__gte=now - LOST_SINCE)
    else:
        found = found.filter(state=Build.State.FAILED)
    shown = list(_shown(found).order_by("-pk")[: A_PAGE + 1])
    has_more = len(shown) > A_PAGE
    builds = tuple(shown[:A_PAGE])
    return Failures(builds, next_before=builds[-1].pk if has_more else 0)


def newest(since: datetime, most: int) -> list[Build]:
    """Return the last builds that failed since then, the last one first."""
    failed = Build.objects.ended().filter(state=Build.State.FAILED, finished_at__gte=since)
    return list(_shown(failed)[:most])


def _shown(builds: QuerySet[Build]) -> QuerySet[Build]:
    """Return builds with what is shown of them."""
    shown = ("state", "failure", "failure_about", "reason", "finished_at", "target", "version")
    return builds.select_related("version__package", "target").only(
        *shown, "version__number", "version__package__name", "target__key", "target__os_release"
    )


def _examples(keys: Iterable[str]) -> dict[str, list[Build]]:
    """Return the newest failures of each class: the last one for each target, and of these the newest.

    The index of failed builds begins with the target; so each target is asked for its last of each class.
    """
    targets = list(Target.objects.values_list("pk", flat=True))
    failed = Build.objects.filter(state=Build.State.FAILED, failure=OuterRef("pk")).order_by("-pk")
    columns = {f"of_{pk}": Subquery(failed.filter(target=pk).values("pk")[:1]) for pk in targets}
    rows = StandingFailure.objects.filter(pk__in=list(keys)).annotate(**columns)
    wanted = [
        key
        for _, *last in rows.values_list("failure", *columns)
        for key in sorted((each for each in last if each), reverse=True)[:EXAMPLES]
    ]
    found: dict[str, list[Build]] = defaultdict(list)
    for build in _shown(Build.objects.filter(pk__in=wanted)).order_by("-pk"):
        found[build.failure].append(build)
    return found
