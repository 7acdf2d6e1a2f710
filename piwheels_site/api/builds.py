"""Builds and their logs."""

from datetime import date, datetime
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema
from pydantic import Field

from builds import failures
from builds.figures import breakages
from builds.log_pages.parts import part
from builds.models import Build
from builds.models.state import State
from builds.shown import browsing, position
from packages import keyset
from packages.clock import database_now
from piwheels_site.api.answers import (
    ROOT,
    USUALLY,
    After,
    Key,
    Limit,
    Next,
    Refused,
    kept,
    next_link,
    package_of,
    unknown,
)
from piwheels_site.api.targets import TargetKey, target_of

router = Router(tags=["Builds"])

_TEXT: dict[str, Any] = {  # Any: it is a piece of OpenAPI
    "responses": {
        200: {
            "description": "The text.",
            "headers": {
                "X-Log-Offset": {"description": "From where to go on.", "schema": {"type": "integer"}},
                "X-Build-State": {
                    "description": "The build's state: whether it is worth it.",
                    "schema": {"type": "string"},
                },
            },
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }
    }
}


class BuildBrief(Schema):
    """A build, as lists have it."""

    id: int
    package: str
    version: str
    target: str
    attempt: int
    state: State
    failure: str = Field(description="The class of its failure; the classes are at /api/v1/failures.")
    failure_about: str = Field(description="What that is about, as the header that is missing.")
    queued_at: datetime
    finished_at: datetime | None
    duration_s: float | None = Field(description="Seconds in `pip wheel`.")

    @staticmethod
    def of(build: Build) -> "BuildBrief":
        """Return it from its row."""
        return BuildBrief(
            id=build.pk,
            package=build.version.package.name,
            version=build.version.number,
            target=build.target.key,
            attempt=build.attempt,
            state=State(build.state),
            failure=build.failure,
            failure_about=build.failure_about,
            queued_at=build.queued_at,
            finished_at=build.finished_at,
            duration_s=build.duration_s,
        )


class Builds(Schema):
    """Builds, the newest first."""

    builds: list[BuildBrief]
    next: Next


class BreakageWhole(BuildBrief):
    """A new release that failed of a package that was built before."""

    built_before: str = Field(description="The last version before it that was built for the target.")


class Breakages(Schema):
    """New releases that fail, the last one first."""

    breakages: list[BreakageWhole]
    next: Next


class Waits(Schema):
    """Where a waiting build stands."""

    ahead: int = Field(description="How many builds for its target go before it.")
    more_ahead: bool = Field(description="Whether there are more than that, which nobody counted.")
    starts_in_s: int | None = Field(description="In how many seconds it may begin; null: nobody can tell.")


class BuildWhole(BuildBrief):
    """A build, and why it is as it is."""

    reason: str = Field(description="Why it ended as it did.")
    why: str = Field(description="Why it stands where it stands in the queue.")
    said: str = Field(description="What its failure is, in a sentence.")
    suggestion: str = Field(description="What may help.")
    apt: str = Field(description="The Debian package that has what was missing, where one is known.")
    builder: str | None
    claimed_at: datetime | None
    peak_memory_bytes: int | None
    rung: str = Field(description="How old the build tools were with which it was built.")
    sandbox: str
    waits: Waits | None = Field(description="Of a build in the queue.")
    wheels: list[str] = Field(description="The names of the wheels that came out.")
    log: str = Field(description="Where its log is.")
    page: str = Field(description="The path of its page for people.")


@router.get("/builds", response=kept(Builds, 404, 422), summary="List builds", url_name="builds")
def builds(
    request: HttpRequest,
    package: Annotated[str, Query(max_length=200, description="Of this package.")] = "",
    target: TargetKey = "",
    state: Annotated[State | None, Query(description="In this state.")] = None,
    failure: Annotated[
        str, Query(pattern="^[a-z0-9-]{0,30}$", description="Failed in this way (see /failures).")
    ] = "",
    after: After = None,
    limit: Limit = USUALLY,
) -> Builds:
    """Give builds, the newest first; with filters, those that all of these fit."""
    fitting = browsing.builds(target_of(target), state, failure)
    some = (
        keyset.newest_of_few(fitting.filter(version__package=package_of(package)), after, limit)
        if package
        else keyset.newest_first(fitting, after, limit)
    )
    return Builds(builds=[BuildBrief.of(each) for each in some.rows], next=next_link(request, some.after))


@router.get(
    "/breakages", response=kept(Breakages, 422), summary="New releases that fail", url_name="breakages"
)
def new_releases_that_fail(
    request: HttpRequest,
    after: Annotated[
        str,
        Query(
            pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2}\.[0-9]{1,18})?$",
            description="Go on behind this day and number; take it from `next`.",
        ),
    ] = "",
    limit: Limit = USUALLY,
) -> Breakages:
    """Give releases of the last 30 days that fail although an earlier version was built for the target.

    Not those that were mended, skipped or taken back since, nor what failed by a fault of the farm's.
    """
    found = list(breakages.standing(database_now(), _behind(after))[: limit + 1])
    shown = found[:limit]
    goes_on = f"{shown[-1].breakage.day}.{shown[-1].pk}" if len(found) > limit else None
    return Breakages(
        breakages=[
            BreakageWhole(**dict(BuildBrief.of(each)), built_before=each.breakage.good.number)
            for each in shown
        ],
        next=next_link(request, goes_on),
    )


def _behind(after: str) -> tuple[date, int] | None:
    """Return the day and the key that a page ended with; refuses a day that there is not."""
    day, _, key = after.partition(".")
    try:
        return (date.fromisoformat(day), int(key)) if after else None
    except ValueError as error:
        raise Refused(422, f"There is no such day as {day}.", "Take `after` from `next`.") from error


@router.get("/builds/{build}", response=kept(BuildWhole, 404, 422), summary="One build", url_name="build")
def build(request: HttpRequest, build: Key) -> BuildWhole:
    """Give all that is known of a build: its state and why, what came out, or what may help."""
    found = Build.objects.select_related("version__package", "target", "builder").filter(pk=build).first()
    if found is None:
        unknown("build")
    failure = failures.of(found.failure, found.failure_about)
    return BuildWhole(
        **dict(BuildBrief.of(found)),
        reason=found.reason,
        why=found.why,
        said=failure.sentence if failure else "",
        suggestion=failure.suggestion(found.target.os_release) if failure else "",
        apt=failure.apt(found.target.os_release) if failure else "",
        builder=found.builder.name if found.builder else None,
        claimed_at=found.claimed_at,
        peak_memory_bytes=found.peak_memory_bytes,
        rung=found.rung,
        sandbox=found.sandbox,
        waits=_waits(found) if found.state == State.QUEUED else None,
        wheels=sorted(found.wheels.listed().values_list("filename", flat=True)),
        log=f"{ROOT}/builds/{found.pk}/log",
        page=found.get_absolute_url(),
    )


def _waits(build: Build) -> Waits:
    """Return where a build stands in the queue."""
    stands = position.of(build, database_now())
    return Waits(
        ahead=stands.ahead,
        more_ahead=not stands.is_all,
        starts_in_s=None if stands.starts_in_s is None else round(stands.starts_in_s),
    )


@router.get(
    "/builds/{build}/log",
    response=kept(None, 404, 422),
    summary="The log of a build",
    openapi_extra=_TEXT,
    url_name="log",
)
def log(
    request: HttpRequest,
    build: Key,
    offset: Annotated[
        int,
        Query(ge=0, le=1 << 40, description="From which byte on; take it from `X-Log-Offset`."),
    ] = 0,
) -> HttpResponse:
    """Give up to 256 KiB of a log as text, from an offset on; empty when there is nothing more by now."""
    found = Build.objects.only("state").filter(pk=build).first()
    if found is None:
        unknown("build")
    come = part(found, offset)
    headers = {"X-Log-Offset": str(come.offset), "X-Build-State": found.state}
    return HttpResponse(come.text, content_type="text/plain; charset=utf-8", headers=headers)
