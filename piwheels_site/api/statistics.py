"""What was counted: downloads, builds by day, and the ways in which builds fail."""

from datetime import date
from typing import Annotated

from django.core.cache import cache
from django.http import HttpRequest
from django.utils.timezone import now
from ninja import Query, Router, Schema
from pydantic import Field

from builds.figures import days as build_days
from builds.figures import failing
from builds.figures.failing import FailureClass
from packages.clock import database_now
from piwheels_site.api.answers import ROOT, kept
from simple import downloads

router = Router(tags=["Statistics"])

# How often failures are counted anew, in seconds, however many programs ask.
COUNTED_EVERY = 30


class BuildsOfDay(Schema):
    """How builds ended on one day (UTC)."""

    day: date
    succeeded: int
    failed: int
    lost: int


class Statistics(Schema):
    """What was counted."""

    downloads: int = Field(description="How often wheels were downloaded.")
    downloads_30_days: int
    builds: list[BuildsOfDay] = Field(description="By day, the newest first; today is one of them.")


class FailureWhole(Schema):
    """One way in which builds fail."""

    key: str
    title: str
    said: str = Field(description="What it is, in a sentence.")
    advice: str = Field(description="What may help.")
    last_30_days: int = Field(description="How many builds failed so.")
    in_all: int
    packages: int = Field(description="How many packages fail so at the moment.")
    builds: str = Field(description="Where builds that failed so are listed.")

    @staticmethod
    def of(found: FailureClass) -> "FailureWhole":
        """Return it from what was counted."""
        return FailureWhole(
            key=found.failure.key,
            title=found.failure.title,
            said=found.sentence,
            advice=found.advice,
            last_30_days=found.lately,
            in_all=found.in_all,
            packages=found.packages,
            builds=f"{ROOT}/builds?failure={found.failure.key}",
        )


class Failures(Schema):
    """The ways in which builds fail, what happens most lately first."""

    failures: list[FailureWhole]


@router.get("/statistics", response=kept(Statistics, 422), summary="What was counted", url_name="statistics")
def statistics(
    request: HttpRequest,
    days: Annotated[int, Query(ge=1, le=366, description="How many days of builds to give.")] = 30,
) -> Statistics:
    """Give how often wheels were downloaded, and how builds ended on each day."""
    return Statistics(
        downloads=downloads.total(),
        downloads_30_days=downloads.total(days=30),
        builds=[BuildsOfDay(**vars(day)) for day in build_days.last(days, now().date())],
    )


@router.get("/failures", response=kept(Failures), summary="How builds fail", url_name="failures")
def failures(request: HttpRequest) -> Failures:
    """Give the ways in which builds fail, how often that happens, and what may help."""
    found = cache.get_or_set("api-failures", lambda: failing.classes(database_now()), COUNTED_EVERY) or []
    return Failures(failures=[FailureWhole.of(each) for each in found])
