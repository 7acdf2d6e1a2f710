"""Counts the builds that ended on one day: how, for which target, where, and which wheels came out.

Each count takes the place of what was counted of that day before, so that a day may be counted again.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from django.db import models, transaction
from django.db.models import Count, Sum
from packaging.tags import parse_tag

from builds.models import Build, BuildDay, BuilderDay, Wheel, WheelDay
from builds.wheels.coverage import is_pure

PURE, OTHER = "pure", "other"
# What a wheel may say that it needs of Python itself; a name that says anything else is one of the others.
_ABI = re.compile(r"abi3|none|cp3[0-9]{1,2}t?", re.ASCII)


def midnight(day: date) -> datetime:
    """Return when a day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def ended_on(day: date) -> models.QuerySet[Build]:
    """Return the builds that ended on a day, in no order."""
    begin, end = midnight(day), midnight(day + timedelta(days=1))
    return Build.objects.ended().filter(finished_at__gte=begin, finished_at__lt=end).order_by()


def count_by_target(day: date) -> None:
    """Count how builds ended for each target."""
    counted = ended_on(day).values_list("target", "state", "failure").annotate(Count("pk"))
    rows = [
        BuildDay(day=day, target_id=target, state=state, failure=failure, count=count)
        for target, state, failure, count in counted
    ]
    write(BuildDay, day, rows)


def count_by_builder(day: date) -> None:
    """Count how builds ended on each builder, and how long it was at them."""
    of_builders = ended_on(day).filter(builder__isnull=False)
    counted = of_builders.values_list("builder", "state").annotate(Count("pk"), Sum("duration_s"))
    rows = [
        BuilderDay(day=day, builder_id=builder, state=state, count=count, seconds=seconds or 0)
        for builder, state, count, seconds in counted
    ]
    write(BuilderDay, day, rows)


def count_wheels(day: date) -> None:
    """Count the wheels that came out, by what runs them."""
    counts: Counter[str] = Counter()
    sizes: dict[str, int] = defaultdict(int)
    wheels = Wheel.objects.filter(build__in=ended_on(day)).order_by()
    for filename, size, architecture in wheels.values_list(
        "filename", "size", "build__target__architecture"
    ).iterator():
        kind = kind_of(filename, architecture)
        counts[kind] += 1
        sizes[kind] += size
    rows = [WheelDay(day=day, kind=kind, count=count, size=sizes[kind]) for kind, count in counts.items()]
    write(WheelDay, day, rows)


def kind_of(filename: str, architecture: str) -> str:
    """Return what runs a wheel, in a word: "pure", "abi3-armhf", "cp313-arm64"."""
    parts = filename.removesuffix(".whl").rsplit("-", 3)
    return _kind("-".join(parts[-3:]), architecture) if len(parts) == 4 else OTHER


@lru_cache(maxsize=1000)
def _kind(tag: str, architecture: str) -> str:
    if is_pure(parse_tag(tag)):
        return PURE
    abi = tag.split("-")[1]
    return f"{abi}-{architecture}" if _ABI.fullmatch(abi) else OTHER


@transaction.atomic
def write(model: type[models.Model], day: date, rows: Sequence[models.Model]) -> None:
    """Write what was counted of a day in the place of what was."""
    objects = model._default_manager
    objects.filter(day=day).delete()
    objects.bulk_create(rows)
