"""Where a waiting build stands, and what its page says of it."""

from datetime import timedelta

import pytest

from builds.models import Build, TargetQueue
from builds.planning.priority import Rank, span
from builds.shown import position
from builds.tests.rows import NOON, make_build, make_builder, make_target, make_version

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]


@pytest.fixture
def target():
    return make_target()


def make_waiting(target, number, **fields):
    return make_build(make_version(number), target, **{"released_at": NOON, **fields})


AHEAD: list[dict] = [
    {},
    {"size": "large"},
    {"is_long": True},
    {"priority": 50, "released_at": NOON + timedelta(days=1)},
]
BEHIND: list[dict] = [
    {"priority": 49},
    # The same place, but queued later.
    {},
    {"released_at": NOON - timedelta(days=1)},
    {"priority": 51, "not_before": NOON},
    {"priority": 51, "state": "succeeded", "finished_at": NOON},
]


def test_what_goes_before_it_is_counted_over_all_lanes(target):
    build = make_waiting(target, "1.0", priority=50)
    for number, fields in enumerate(AHEAD):
        make_waiting(target, f"2.{number}", **{"priority": 51, **fields})
    for number, fields in enumerate(BEHIND):
        make_waiting(target, f"3.{number}", **{"priority": 50, **fields})
    make_build(make_version("4.0"), make_target("bookworm-armhf-cp311"), priority=51)

    assert position.of(build, NOON).ahead == 4


def test_it_is_the_order_in_which_builds_are_given_out(target):
    for number in range(8):
        make_waiting(target, f"1.{number}", priority=number % 3, size=["small", "large"][number % 2])

    waiting = list(Build.objects.waiting())

    assert [position.of(build, NOON).ahead for build in waiting] == list(range(8))


def test_it_is_told_by_three_queries(target, django_assert_num_queries):
    build = make_waiting(target, "1.0")

    with django_assert_num_queries(3):
        position.of(build, NOON)


def test_beyond_what_anybody_reads_it_is_not_counted(target, monkeypatch):
    monkeypatch.setattr(position, "COUNTED", 3)
    for number in range(6):
        make_waiting(target, f"1.{number}", priority=-number)
    make_builder(target=target)

    found = position.of(Build.objects.waiting().last(), NOON)

    assert (found.ahead, found.is_all) == (3, False)
    assert found.said()[0] == "More than 3 builds for its target are before it."


@pytest.mark.parametrize(
    ("per_hour", "starts_in_s"),
    # Six are before it.
    [(None, None), (0.0, None), (0.5, 43_200), (1000.0, 21.6)],
)
def test_when_it_begins_is_told_by_the_pace_of_the_last_day(target, per_hour, starts_in_s):
    for number in range(6):
        make_waiting(target, f"1.{number}", priority=9)
    build = make_waiting(target, "0.9")
    if per_hour is not None:
        TargetQueue.objects.create(target=target, per_hour=per_hour)

    found = position.of(build, NOON).starts_in_s

    assert found == (starts_in_s and pytest.approx(starts_in_s))


def test_what_waits_for_a_time_does_not_begin_before_it(target):
    build = make_waiting(target, "1.0", not_before=NOON + timedelta(hours=1))
    TargetQueue.objects.create(target=target, per_hour=9000)

    assert position.of(build, NOON).starts_in_s == 3600


@pytest.mark.parametrize(("size", "fits"), [("small", False), ("large", True)])
def test_without_a_builder_that_could_have_it_that_is_said(target, size, fits):
    build = make_waiting(target, "1.0", size="medium")
    make_builder(target=target, size=size)

    said = position.of(build, NOON).said()

    assert ("No builder that could have it is at work." in said) != fits


def test_the_page_says_why_it_stands_there_and_when_it_begins(client, target):
    make_waiting(target, "2.0", priority=9)
    build = make_waiting(target, "1.0", why="It is an older version.")

    page = client.get(f"/builds/{build.pk}/").content.decode()

    assert "It is an older version." in page
    assert "About 1 build for its target is before it; new releases may overtake it." in page
    assert "No builder that could have it is at work." in page


def test_the_json_says_the_same(client, target):
    build = make_waiting(
        target, "1.0", priority=span(Rank.HISTORY, {Rank.HISTORY})[5], why="It is an older version."
    )

    response = client.get(f"/builds/{build.pk}/json")

    assert response["Access-Control-Allow-Origin"] == "*"
    assert response.json() == {
        "build_id": build.pk,
        "package": "demo",
        "version": "1.0",
        "target": "trixie-armhf-cp313",
        "attempt": 1,
        "state": "queued",
        "reason": "",
        "why": "It is an older version.",
        "class": "history",
        "raised": True,
        "priority": build.priority,
        "ahead": 0,
        "more_ahead": False,
        "starts_in_s": None,
        "duration": None,
    }


def test_what_ended_stands_nowhere(client, target):
    build = make_waiting(target, "1.0", state="cancelled", finished_at=NOON)

    assert "In the queue" not in client.get(f"/builds/{build.pk}/").content.decode()
    assert client.get(f"/builds/{build.pk}/json").json()["ahead"] is None
    assert client.get("/builds/999999/json").status_code == 404


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "a moment"), (119, "119 seconds"), (120, "2 minutes"), (7200, "2 hours"), (10**6, "12 days")],
)
def test_a_time_is_said_in_the_unit_that_fits(seconds, said):
    found = position.Position(ahead=1, is_all=True, starts_in_s=seconds, builders=1)

    assert found.said()[1] == f"At the pace of the last day it begins in about {said}."
