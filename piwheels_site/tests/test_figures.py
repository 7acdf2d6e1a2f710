from datetime import UTC, date, datetime, timedelta

import pytest

from builds.models import BuildDay, Counting, WheelDay
from builds.tests.rows import make_target
from piwheels_site import figures
from piwheels_site.models import Message
from simple.models import DownloadDay

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

DAY = date(2026, 11, 30)
# 3 hours after the day is over.
MORNING = datetime(2026, 12, 1, 3, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _days(settings):
    settings.PIWHEELS_MASTODON = "http://127.0.0.1:9"
    target = make_target()
    for day, count in ((DAY, 3), (DAY - timedelta(days=1), 1000)):
        BuildDay.objects.create(day=day, target=target, state="succeeded", count=count)
        BuildDay.objects.create(day=day, target=target, state="failed", failure="no-wheel", count=1)
        WheelDay.objects.create(day=day, kind="pure", count=count, size=1)
        DownloadDay.objects.create(day=day, count=10 * count, saved_s=3600 * count)
    for thing in ("days", "wheels"):
        Counting.objects.create(thing=thing, through=DAY)


def test_a_day_that_is_over_is_told_once():
    figures.write_due(MORNING)
    figures.write_due(MORNING + timedelta(hours=5))

    assert Message.objects.get(key=f"figures:daily:{DAY}").text == (
        "Monday, 30 November 2026: 4 builds ended, 3 of them well, and brought 3 wheels. 30 wheels were"
        " downloaded, which saved 3 hours of compiling."
    )


def test_on_the_first_the_month_is_told_too():
    assert figures.write_due(MORNING) == 3

    monthly = Message.objects.get(key="figures:monthly:2026-11-01")
    assert monthly.text.startswith("November 2026: 1,005 builds ended, 1,003 of them well")
    assert monthly.facts["downloads"] == 10_030


@pytest.mark.parametrize(
    "late", [MORNING - timedelta(minutes=1), MORNING + timedelta(days=1)], ids=["too early", "not counted"]
)
def test_what_is_not_counted_for_good_is_not_told(late):
    Counting.objects.filter(thing="wheels").update(through=DAY - timedelta(days=1))

    assert figures.write_due(late) == 0 or not Message.objects.filter(key__contains=str(DAY)).exists()


@pytest.mark.parametrize("through", [DAY - timedelta(days=1), DAY])
def test_a_day_and_a_month_that_were_counted_late_are_told_late(through):
    Counting.objects.update(through=DAY - timedelta(days=1))
    figures.write_due(MORNING)
    Counting.objects.update(through=through)

    written = figures.write_due(MORNING + timedelta(days=1))

    told = set(Message.objects.values_list("key", flat=True))
    late = {f"figures:daily:{DAY}", "figures:monthly:2026-11-01"}
    assert (told & late, written) == ((late, 2) if through == DAY else (set(), 0))


@pytest.mark.parametrize(("posts", "count"), [([], 0), (["monthly"], 1), (["daily", "monthly"], 3)])
def test_only_what_is_wanted_is_told(settings, posts, count):
    settings.PIWHEELS_MASTODON_POSTS = posts

    assert figures.write_due(MORNING) == count
