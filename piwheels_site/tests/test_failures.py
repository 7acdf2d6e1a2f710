"""The pages of how builds fail, and their feed."""

from datetime import timedelta
from xml.etree import ElementTree

import pytest
from django.core.cache import cache
from django.utils import timezone

from builds.figures import counting
from builds.models import Breakage, Build, Demand, Skip
from builds.tests.rows import make_build, make_target, make_version
from packages.models import Package, Version

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture(autouse=True)
def _nothing_cached():
    cache.clear()


@pytest.fixture
def now():
    return timezone.now()


def page(client, path="/failures/"):
    return " ".join(client.get(path).content.decode().split())


def make_failed(at, failure="missing-header", package="demo", target=None, state="failed", **fields):
    version = make_version(f"1.{Build.objects.count()}", package)
    return make_build(
        version, target or make_target(), state=state, failure=failure, finished_at=at, **fields
    )


def test_a_farm_where_nothing_failed_says_so(client):
    assert "No build has failed yet" in page(client)


def test_what_happens_most_is_first_and_says_what_may_help(client, now):
    make_failed(now, "timeout", "slow")
    for name in ("lxml", "psycopg"):
        make_failed(now, package=name, failure_about="libpq-fe.h")
    make_failed(now - timedelta(days=40), package="lxml")
    Demand.objects.create(package=Package.objects.get(name="lxml"), dependents=1200)
    counting.count_due(now)

    found = page(client)

    assert "3 builds failed in 30 days, in 2 ways; most often: A header is missing." in found
    assert found.index("/failures/missing-header/") < found.index("/failures/timeout/")
    for cell in ('In 30 days">2<', 'In all">3<', 'fail so now">2<', 'Needed by">1,200<'):
        assert cell in found
    assert "lxml 1.3</a>" in found
    assert 'href="/feeds/failures.atom"' in found


def test_the_trend_has_every_day(client, now):
    make_failed(now)
    make_failed(now - timedelta(days=3))
    counting.count_due(now)

    found = page(client)

    assert found.count("<rect") == 30
    assert f"{now:%Y-%m-%d}: 1</title>" in found
    assert f"{now - timedelta(days=1):%Y-%m-%d}: 0</title>" in found


def test_a_class_lists_the_builds_of_one_target_at_a_time(client, now):
    trixie, bookworm = make_target(), make_target("bookworm-armhf-cp311")
    make_failed(now, package="one", target=trixie, failure_about="<b>x.h")
    make_failed(now, package="two", target=bookworm)
    make_failed(now, package="three", target=bookworm)
    make_failed(now, "timeout", "four", bookworm)
    counting.count_due(now)

    most, other = (
        page(client, "/failures/missing-header/"),
        page(client, "/failures/missing-header/?target=trixie-armhf-cp313"),
    )

    assert "bookworm-armhf-cp311 (2)" in most
    assert "/project/two/" in most
    assert "/project/four/" not in most
    assert "/project/one/" not in most
    assert "&lt;b&gt;x.h" in other
    assert "/project/two/" not in other


def test_a_class_is_read_page_by_page(client, now):
    for _ in range(30):
        make_failed(now)
    counting.count_due(now)

    first = client.get("/failures/missing-header/")
    rest = client.get(f"/failures/missing-header/?before={first.context['last'].next_before}")

    shown = [build.pk for response in (first, rest) for build in response.context["last"].builds]
    assert shown == sorted(Build.objects.values_list("pk", flat=True), reverse=True)
    assert len(first.context["last"].builds) == 25
    assert rest.context["last"].next_before == 0
    assert "The newest" in rest.content.decode()


@pytest.mark.parametrize("query", ["before=x", "before=-1", "before=" + "9" * 40, "before=%00", "target='"])
def test_nonsense_in_the_address_does_no_harm(client, now, query):
    make_failed(now)
    counting.count_due(now)

    assert "/project/demo/" in page(client, f"/failures/missing-header/?{query}")


def test_a_class_that_there_is_not_has_no_page(client):
    assert client.get("/failures/nothing/").status_code == 404


def test_a_class_that_did_not_happen_says_so(client):
    assert "No build has failed so in 30 days" in page(client, "/failures/timeout/")


def test_what_was_lost_with_its_builder_is_listed_and_told_from_a_fault_of_the_package(client, now):
    make_failed(now, "builder-lost", state="lost", attempt=2)
    counting.count_due(now)

    found = page(client, "/failures/builder-lost/")

    assert "/project/demo/" in found
    assert "tried again by itself" in found


@pytest.mark.parametrize(("path", "count"), [("/failures/", 9), ("/failures/missing-header/", 8)])
def test_however_much_fails_the_queries_are_the_same(client, now, path, count, django_assert_num_queries):
    client.get(path)
    for number in range(3):
        make_failed(now, package=f"p{number}")
        make_failed(now, "timeout", target=make_target("bookworm-armhf-cp311"))
    counting.count_due(now)
    cache.delete_many(["failures", "failures-broken", "failures-trend"])

    with django_assert_num_queries(count):
        client.get(path)


def test_the_feed_has_the_newest_failures_and_what_may_help(client, now):
    make_failed(now - timedelta(hours=1), package="older")
    make_failed(now, package="newer", failure_about="libpq-fe.h", reason="pip wheel ended with 1.")
    make_build(make_version("9.0"), state="succeeded", finished_at=now)

    response = client.get("/feeds/failures.atom")
    entries = ElementTree.fromstring(response.content).findall(f"{ATOM}entry")

    assert response["Content-Type"].startswith("application/atom+xml")
    titles = [entry.findtext(f"{ATOM}title") for entry in entries]
    assert titles == [
        "newer 1.1 for trixie-armhf-cp313: A header is missing",
        "older 1.0 for trixie-armhf-cp313: A header is missing",
    ]
    assert "libpq-fe.h" in (entries[0].findtext(f"{ATOM}summary") or "")
    assert entries[0].find(f"{ATOM}link").get("href").startswith("http://testserver/builds/")


def test_the_feed_has_no_more_than_fifty(client, now):
    for _ in range(55):
        make_failed(now)

    assert client.get("/feeds/failures.atom").content.count(b"<entry>") == 50


def test_nothing_hostile_breaks_the_feed_or_becomes_markup(client, now):
    make_failed(now, "gone-class", reason="\x1b[31m\x00]]><script>alert(1)</script>&".replace("\x00", "\x07"))
    Build.objects.update(failure_about="\x08<img src=x>")

    summary = ElementTree.fromstring(client.get("/feeds/failures.atom").content).find(
        f"{ATOM}entry/{ATOM}summary"
    )

    text = summary.text or ""
    assert "&lt;script&gt;" in text
    assert "<" not in text


def test_a_feed_that_has_not_changed_is_not_sent_again(client, now):
    make_failed(now)
    first = client.get("/feeds/failures.atom")

    same = client.get("/feeds/failures.atom", headers={"If-None-Match": first["ETag"]})
    make_failed(now)
    changed = client.get("/feeds/failures.atom", headers={"If-None-Match": first["ETag"]})

    assert (same.status_code, same.content) == (304, b"")
    assert changed.status_code == 200


def make_broken(now, age=timedelta(0), **fields):
    """The build of a release that failed, of a package that was built before."""
    released = {"released_at": now - age - timedelta(days=9)}
    make_build(make_version("1.9"), state="succeeded", finished_at=now, **released)
    failed = {"state": "failed", "failure": "missing-header", "finished_at": now, "released_at": now - age}
    build = make_build(make_version("2.0"), failure_about="libpq-fe.h", **{**failed, **fields})
    counting.count_due(now)
    return build


def broken(client):
    """The new releases that fail, as programs get them."""
    return [
        (each["package"], each["version"], each["target"], each["failure"], each["built_before"])
        for each in client.get("/api/v1/breakages").json()["breakages"]
    ]


def test_a_new_release_that_fails_of_what_was_built_before_is_told(client, now):
    build = make_broken(now)

    shown = page(client).partition("New releases that fail</h2>")[2]
    feed, all_failures = (
        ElementTree.fromstring(client.get(f"/feeds/{name}.atom").content)
        for name in ("breakages", "failures")
    )
    (entry,) = feed.findall(f"{ATOM}entry")

    for cell in (f'href="/builds/{build.pk}/">2.0<', 'Built before">1.9<', ">libpq-fe.h<"):
        assert cell in shown
    assert feed.findtext(f"{ATOM}id") != all_failures.findtext(f"{ATOM}id")
    assert entry.findtext(f"{ATOM}title") == "demo 2.0 for trixie-armhf-cp313: A header is missing"
    assert entry.findtext(f"{ATOM}summary").startswith("1.9 was built. ")
    assert entry.find(f"{ATOM}link").get("href") == f"http://testserver/builds/{build.pk}/"
    assert broken(client) == [("demo", "2.0", "trixie-armhf-cp313", "missing-header", "1.9")]


@pytest.mark.parametrize(
    "fields",
    [
        {"failure": "index-unreachable"},
        {"state": "lost", "failure": "builder-lost"},
        {"age": timedelta(days=31)},
        {"target": "bookworm-armhf-cp311"},
    ],
    ids=["the farm's fault", "lost", "an old release", "a target for which nothing was built"],
)
def test_what_fails_otherwise_is_no_news(client, now, fields):
    target = make_target(fields.get("target", "trixie-armhf-cp313"))
    make_broken(now, **{**fields, "target": target})

    assert broken(client) == []
    assert "New releases that fail</h2>" not in page(client)


def test_programs_get_all_new_releases_that_fail_a_page_at_a_time(client, now):
    first = make_broken(now)
    # Of the builds of one day the last ones come first, whatever day the others are of.
    for days in (0, 2, 1, 1):
        day, build = now.date() - timedelta(days=days), make_failed(now)
        Breakage.objects.create(build=build, good=first.breakage.good, day=day)

    found, path = [], "/api/v1/breakages?limit=2"
    while path:
        answer = client.get(path).json()
        found += [each["version"] for each in answer["breakages"]]
        path = answer["next"]

    assert found == ["1.2", "2.0", "1.5", "1.4", "1.3"]


def mended(build, now):
    make_build(build.version, attempt=2, state="succeeded", finished_at=now)


def tried_again(build, now):
    make_build(build.version, attempt=2)


def followed_by_a_good_one(build, now):
    later = now + timedelta(minutes=1)
    make_build(make_version("2.1"), state="succeeded", finished_at=now, released_at=later)


def skipped(build, now):
    build.version.skip("It needs a GPU.")


def skipped_for_the_target(build, now):
    Skip(package=build.version.package, target=build.target, reason="Too big.").begin()


def skipped_as_a_whole(build, now):
    Package.objects.update(skip_reason="Nobody wants it.")


def taken_back(build, now):
    Version.objects.filter(pk=build.version_id).update(yanked=True)


def gone(build, now):
    Version.objects.filter(pk=build.version_id).update(gone_at=now)


@pytest.mark.parametrize(
    "settle",
    [
        mended,
        tried_again,
        followed_by_a_good_one,
        skipped,
        skipped_for_the_target,
        skipped_as_a_whole,
        taken_back,
        gone,
    ],
)
def test_what_is_settled_is_told_no_more(client, now, settle):
    build = make_broken(now)
    assert broken(client)

    settle(build, now)

    cache.clear()
    assert broken(client) == []


def test_a_breakage_that_fails_again_is_told_once(client, now):
    build = make_broken(now)
    again = {"attempt": 2, "state": "failed", "failure": "timeout", "finished_at": now, "released_at": now}
    make_build(build.version, **again)

    counting.count_due(now + timedelta(minutes=2))

    assert broken(client) == [("demo", "2.0", "trixie-armhf-cp313", "timeout", "1.9")]


def test_what_is_no_longer_new_is_forgotten(client, now):
    make_broken(now)
    later = now + timedelta(days=40)
    make_failed(later, package="other", released_at=later)

    counting.count_due(later)

    assert not Breakage.objects.exists()


@pytest.mark.parametrize(
    ("path", "leads_to"),
    [("/failures", "/failures/"), ("/failures/timeout", "/failures/timeout/")],
)
def test_an_address_without_its_slash_leads_to_the_page(client, path, leads_to):
    assert client.get(path)["Location"] == leads_to
