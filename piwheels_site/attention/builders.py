"""What operators have to decide of builders."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from builds import dispatch, failures
from builds.builders import farm, readings
from builds.log_text import clean
from builds.models import Build, Builder
from piwheels_site.attention.matter import Matter, admin_list

# A builder that spoilt so many of its last builds is worth a look, although its peers may not do better.
SPOILT, OF_LAST = 5, farm.LAST
# A builder with a ring that it has left for so long takes none.
DEAF = timedelta(minutes=10)


def find_builders(now: datetime) -> Iterator[Matter]:
    """Find builders that do not build and should, or are done and can go."""
    rows = list(Builder.objects.filter(is_enabled=True).select_related("target").order_by("name"))
    busy = set(Build.objects.assigned().values_list("builder", flat=True))
    for row in rows:
        yield from _condition(row, row.pk in busy, now)
        yield from _disk(row)
    names = {row.pk: row for row in rows if row.mode == Builder.Mode.ACTIVE}
    last_of_each = farm.last_of_each()
    yield from _deaf([row for row in rows if row.pk not in busy and row.is_at_work(now)], last_of_each, now)
    for pk, last in last_of_each.items():
        spoilt = [build for build in last if _is_spoilt(build)]
        if pk in names and len(spoilt) >= SPOILT:
            yield Matter(
                f"builder-faults:{names[pk]}",
                f"{len(spoilt)} of the last {len(last)} builds of {names[pk]} were lost or failed by no fault"
                " of their packages.",
                spoilt[-1].finished_at,
                admin_list("builds_build", builder__id__exact=pk),
                "Read their logs",
            )


def _condition(row: Builder, is_busy: bool, now: datetime) -> Iterator[Matter]:
    """Find what a builder waits for a person to do."""
    url = admin_list("builds_builder", q=row.name)
    mode = Builder.Mode
    if row.mode == mode.QUARANTINED:
        said = f"{row} was taken out: {row.mode_reason}"
        yield Matter(f"builder-quarantined:{row}", said, row.mode_at, url, "Look and resume, or retire")
    elif row.mode == mode.DRAINING and not is_busy:
        said = f"{row} is drained: its plug can be pulled."
        yield Matter(f"builder-drained:{row}", said, row.mode_at, url, "Retire or resume")
    elif row.mode == mode.ACTIVE and row.heard_at is None:
        said = f"{row} was enrolled and never heard of."
        yield Matter(f"builder-new:{row}", said, row.created_at, url, "Set it up, or retire it")
    elif row.mode == mode.ACTIVE and row.heard_at and row.heard_at < now - Builder.SILENCE:
        said = f"{row} is silent."
        yield Matter(f"builder-silent:{row}", said, row.heard_at, url, "Look at it, or retire it")
    elif row.mode == mode.ACTIVE and row.problem:
        said = f"{row} is not fit to build: {clean(row.problem)[:300]}"
        yield Matter(f"builder-unfit:{row}", said, None, url, "Look at it")


def _deaf(
    free: Iterable[Builder], last_of_each: Mapping[int, list[Build]], now: datetime
) -> Iterator[Matter]:
    """Find builders that say hello and have long left a ring untaken, so that they get no more."""
    since = {row: last_of_each[row.pk][0].finished_at if row.pk in last_of_each else None for row in free}
    idle = {row: at or row.created_at for row, at in since.items()}
    for row in dispatch.deaf([row for row, at in idle.items() if at < now - DEAF]):
        said = f"{row} says hello and takes no orders, so it gets no builds."
        url = admin_list("builds_builder", q=row.name)
        yield Matter(f"builder-deaf:{row}", said, idle[row], url, "Read its journal, and start it anew")


def _disk(row: Builder) -> Iterator[Matter]:
    """Find a builder whose disk is full."""
    facts = row.facts if isinstance(row.facts, dict) else {}
    disk = next((each for each in readings.machine(facts).readings if each.name == "Disk"), None)
    if disk and disk.alarm:
        said = f"The disk of {row} is {disk.said} full."
        yield Matter(f"builder-disk:{row}", said, None, admin_list("builds_builder", q=row.name), "Drain it")


def _is_spoilt(build: Build) -> bool:
    """Tell whether a build ended badly by no fault of its package."""
    return build.state == Build.State.LOST or failures.is_infrastructure(build.failure)
