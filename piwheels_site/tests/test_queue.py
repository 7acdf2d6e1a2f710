"""The page of the queue."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from builds.figures import counting
from builds.models import Build, Campaign, Counting, Target
from builds.planning.priority import Rank, span
from builds.tests.rows import make_build, make_builder, make_target, make_version
from packages.models import Package

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]


@pytest.fixture(autouse=True)
def _nothing_cached():
    cache.clear()
    Target.objects.update(is_active=False)


@pytest.fixture
def now():
    return timezone.now()


def page(client, path="/queue/"):
    return " ".join(client.get(path).content.decode().split())


def make_waiting(number, package="demo", rank=Rank.HISTORY, **fields):
    return make_build(make_version(number, package), make_target(), priority=span(rank)[1], **fields)


def make_pace(now, count):
    """So many builds an hour."""
    version = make_version("0.1", "before")
    Build.objects.bulk_create(
        Build(
            version=version,
            target=make_target(),
            attempt=n,
            state="succeeded",
            finished_at=now - timedelta(minutes=59),
        )
        for n in range(1, count + 1)
    )


def test_a_farm_that_builds_for_nothing_says_what_to_do(client):
    assert "activates a target" in page(client)


def test_an_empty_queue_says_so_and_what_to_do(client, now):
    make_target()
    counting.count_due(now)

    found = page(client)

    assert "</span> nothing waits</span>" in found
    assert "Nothing waits. What is missing can be asked for" in found


def test_before_the_first_count_nothing_is_claimed(client):
    make_target()

    assert "Nothing has been counted yet" in page(client)


def test_a_queue_says_how_long_it_is_and_when_it_will_be_empty(client, now):
    make_builder(heard_at=now, target=make_target())
    make_pace(now, 4)
    for number in range(8):
        rank = Rank.RELEASE if number == 0 else Rank.HISTORY
        make_waiting(f"1.{number}", rank=rank, queued_at=now - timedelta(days=2))
    make_waiting("2.0", not_before=now + timedelta(hours=1))
    counting.count_due(now)

    found = page(client)

    assert 'data-label="Waiting">8<br>' in found
    assert "and 1 waits to be tried again" in found
    assert "8 builds wait for a builder" in found
    assert "4 an hour" in found
    assert "1 at work" in found
    assert "in about 2 hours, if nothing else comes" in found
    assert "New releases: 1 · Older versions: 7" in found
    assert "2 days ago" in found


@pytest.mark.parametrize(
    ("is_there", "said"),
    [
        (True, "nobody can tell: nothing was built in the last day"),
        (False, "nobody can tell: no builder is at work"),
    ],
)
def test_when_nobody_can_tell_it_says_so(client, now, is_there, said):
    make_waiting("1.0")
    if is_there:
        make_builder(heard_at=now, target=make_target())
    counting.count_due(now)

    assert said in page(client)


def test_the_next_twenty_are_listed_in_their_order_with_their_reasons(client, now):
    for number in range(25):
        make_waiting(f"1.{number}", f"p{number:02}", released_at=now - timedelta(days=number), why="Old.")
    make_waiting("9.0", "fresh", Rank.RELEASE, size="large", is_long=True, why="It is a new release.")

    found = page(client)

    assert found.index("/project/fresh/") < found.index("/project/p00/") < found.index("/project/p18/")
    assert "/project/p19/" not in found
    assert "It is a new release." in found


def test_a_package_is_told_where_it_stands_and_why(client, now):
    make_builder(heard_at=now, target=make_target())
    make_pace(now, 2)
    make_waiting("9.0", "other", Rank.RELEASE)
    make_waiting("1.0", "Numpy".lower(), Rank.NEWEST, why="It is the newest version.")
    make_waiting("0.9", "numpy", why="It is an older version.")
    counting.count_due(now)

    found = page(client, "/queue/?package=NumPy")

    assert "About 1 build for its target is before it" in found
    assert "At the pace of the last day it begins in about 30 minutes." in found
    assert "It is an older version." in found
    assert found.count("before it") == 1


def test_a_package_of_which_nothing_waits_leads_to_its_page(client):
    make_version("1.0")
    Package.objects.update(plan_needed=False)

    assert 'is on <a href="/project/demo/">its page</a>' in page(client, "/queue/?package=demo")


def test_a_package_that_is_skipped_says_why(client):
    make_version("1.0")
    Package.objects.update(skip_reason="It is a joke.")

    assert "It is not built: It is a joke." in page(client, "/queue/?package=demo")


def test_names_that_somebody_may_have_meant_are_offered(client):
    for name in ("numpy", "numba", "requests"):
        make_version("1.0", name)

    found = page(client, "/queue/?package=nunpy")

    assert 'href="/queue/?package=numpy">numpy</a>' in found
    assert "requests" not in found


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "%00", "..%2f..", "a" * 5000, "é"])
def test_whatever_is_asked_for_is_answered_and_nothing_of_it_is_markup(client, name):
    response = client.get(f"/queue/?package={name}")

    assert response.status_code == 200
    assert b"<script>alert" not in response.content
    assert len(response.content) < 20_000


def test_a_campaign_says_how_far_it_is(client, now):
    campaign = Campaign.objects.create(
        name="<b>All", target=make_target(), kind="wanted", count=9, total=9, looked_at=4, started_at=now
    )
    make_waiting("1.0", campaign=campaign)
    counting.count_due(now)

    found = page(client)

    assert "&lt;b&gt;All" in found
    assert "4 of 9 looked at" in found
    assert "1 waiting" in found
    assert "nobody can tell how long it takes" in found


def test_however_much_waits_the_queries_are_the_same(client, now, django_assert_num_queries):
    client.get("/queue/")
    for target in ("trixie-armhf-cp313", "bookworm-armhf-cp311", "trixie-arm64-cp313"):
        for number in range(3):
            make_build(make_version(f"1.{number}", target), make_target(target))
    counting.count_due(now)
    cache.delete_many(["queues", "queue-campaigns"])

    # The time, when it was counted, five for the queues, one for campaigns, five for a package.
    with django_assert_num_queries(13):
        client.get("/queue/?package=trixie-armhf-cp313")
    with django_assert_num_queries(2):
        client.get("/queue/")


def test_an_address_without_its_slash_leads_to_the_page(client):
    assert client.get("/queue?package=x")["Location"] == "/queue/?package=x"


def test_the_page_says_how_old_its_numbers_are(client, now):
    make_target()
    counting.count_due(now)
    Counting.objects.update(at=now - timedelta(minutes=3))

    assert "Counted <time" in page(client)
    assert "3 minutes ago" in page(client)
