"""The page of statistics, and its series as files."""

import csv
import gzip
import io
import re
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from builds.figures import counting
from builds.models import Build, BuildDay, BuilderDay, WheelDay
from builds.tests.rows import make_build, make_builder, make_target, make_version
from piwheels_site import series
from piwheels_site.models import SeriesRead
from piwheels_site.pages.stats import cell
from piwheels_site.series import SERIES
from simple import summing
from simple.models import DownloadShare, TopPackages
from simple.tally import Taken, Tally
from simple.tests.rows import make_wheel
from simple.tests.test_summing import agent

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]


@pytest.fixture(autouse=True)
def _nothing_cached():
    cache.clear()


@pytest.fixture
def now():
    return timezone.now()


def page(client, path="/stats.html"):
    return " ".join(client.get(path).content.decode().split())


def rows(client, key, span="30d"):
    return client.get(f"/stats/{key}.json?range={span}").json()["rows"]


def downloaded(wheel, times, day, said=""):
    Tally().add(
        Taken(day, 5, wheel.pk, wheel.package_id, f"192.0.2.{number}", said or agent())
        for number in range(times)
    )


def make_ended(at, state="succeeded", **fields):
    version = make_version(f"1.{Build.objects.count()}")
    return make_build(version, make_target(), state=state, finished_at=at, **fields)


def count(now):
    """Count all that is due, as the tasks do."""
    cache.clear()
    counting.count_due(now)
    summing.sum_due(now, for_s=60)


def busy(now):
    """Make some of everything."""
    wheel = make_wheel("numpy")
    Build.objects.update(duration_s=3600.0, finished_at=now, builder=make_builder("pi-1"))
    downloaded(wheel, 3, now.date())
    downloaded(wheel, 2, now.date() - timedelta(days=2), agent("3.11.2", "armv6l"))
    make_ended(now, "failed", failure="missing-header", builder=make_builder("pi-2"), duration_s=30.0)
    make_ended(now - timedelta(days=1), "lost", failure="builder-lost")
    count(now)


def test_where_nothing_was_counted_the_page_says_what_to_do(client):
    found = page(client)

    assert "Nobody downloaded a wheel in 30 days. No build ended." in found
    assert '<a href="/">set a Pi up</a>' in found
    assert 'href="/queue/"' in found


def test_the_first_sentence_has_the_numbers(client, now):
    busy(now)

    found = page(client)

    assert "5 downloads in 30 days saved 15 hours of compiling." in found
    assert "3 builds ended; 50&nbsp;% of those that no builder lost succeeded." in found


@pytest.mark.parametrize("span", ["30d", "90d", "12m"])
def test_the_numbers_of_each_series_add_up(client, now, span):
    busy(now)

    by_day = sum(row["downloads"] for row in rows(client, "downloads", span))

    for key in ("pythons", "systems", "architectures", "installers", "packages"):
        assert sum(row["downloads"] for row in rows(client, key, span)) == by_day == 5
    for key in ("builds", "targets"):
        found = rows(client, key, span)
        assert [sum(row[end] for row in found) for end in ("succeeded", "failed", "lost")] == [1, 1, 1]
    assert [(row["failure"], row["builds"]) for row in rows(client, "failures", span)] == [
        ("builder-lost", 1),
        ("missing-header", 1),
    ]
    assert sum(row["seconds"] for row in rows(client, "saved", span)) == 3 * 3600 + 2 * 6 * 3600


@pytest.mark.parametrize(("span", "periods"), [("30d", 30), ("90d", 13), ("12m", 12)])
def test_a_range_has_all_its_periods_and_nothing_from_before(client, now, span, periods):
    wheel = make_wheel()
    downloaded(wheel, 1, now.date() - timedelta(days=400))
    downloaded(wheel, 2, now.date() - timedelta(days=25))
    count(now)

    found = rows(client, "downloads", span)

    assert len(found) == periods
    assert sum(row["downloads"] for row in found) == 2
    assert page(client, f"/stats.html?range={span}").count('aria-current="page"') == 1


def test_what_comes_late_is_on_the_page_when_it_was_counted_again(client, now):
    wheel = make_wheel()
    old = now.date() - timedelta(days=20)
    downloaded(wheel, 1, old)
    count(now)
    downloaded(wheel, 3, old)
    count(now)

    assert sum(row["downloads"] for row in rows(client, "pythons")) == 3


def test_targets_and_builders_have_their_share_of_success(client, now):
    busy(now)

    assert {row["target"]: row["percent_succeeded"] for row in rows(client, "targets")} == {
        "test-armhf-cp313": 100.0,
        "trixie-armhf-cp313": 0.0,
    }
    assert 'data-label="Build time">1 h 0 min<' in client.get("/stats.html").content.decode()
    assert rows(client, "builders") == [
        {"builder": "pi-1", "succeeded": 1, "failed": 0, "lost": 0, "seconds": 3600},
        {"builder": "pi-2", "succeeded": 0, "failed": 1, "lost": 0, "seconds": 30},
    ]
    assert rows(client, "wheels")[0]["kind"] == "cp313-armhf"


def test_a_series_as_json_says_what_it_is_of_and_anybody_may_read_it(client, now):
    busy(now)

    answer = client.get("/stats/packages.json?range=12m")

    assert answer["Access-Control-Allow-Origin"] == "*"
    found = answer.json()
    assert found.pop("from") < found.pop("to") == f"{now.date()}"
    assert found == {
        "series": "packages",
        "title": "Top packages",
        "range": "12m",
        "step": "month",
        "columns": ["package", "downloads"],
        "rows": [{"package": "numpy", "downloads": 5}],
    }


@pytest.mark.parametrize("key", SERIES)
def test_a_series_as_csv_has_what_it_has_as_json(client, now, key):
    busy(now)

    answer = client.get(f"/stats/{key}.csv?range=90d")

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert f'attachment; filename="piwheels-{key}-90d-' in answer["Content-Disposition"]
    found = list(csv.DictReader(io.StringIO(answer.content.decode())))
    wanted = rows(client, key, "90d")
    assert found == [{name: str(value) for name, value in row.items()} for row in wanted]
    assert found


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_no_spreadsheet_takes_a_cell_for_a_formula(text):
    assert cell(text) == f"'{text}"


def test_a_number_stays_a_number():
    assert (cell(-1), cell(0.5), cell("numpy")) == (-1, 0.5, "numpy")


def test_hostile_names_are_text(client, now):
    bad = "<img src=x>"
    day = now.date()
    downloaded(make_wheel(), 1, day)
    DownloadShare.objects.bulk_create(
        DownloadShare(day=day, fact=fact, name=bad, count=9) for fact in DownloadShare.Fact
    )
    target = make_target("=cmd-armhf-cp313")
    BuildDay.objects.create(day=day, target=target, state="failed", failure=bad, count=1)
    WheelDay.objects.create(day=day, kind=bad, count=1)
    TopPackages.objects.create(span="30d", found=[["a<b", 1]])

    found = page(client)

    assert "<img" not in found
    assert "a<b" not in found
    assert "&lt;img src=x&gt;" in found
    assert b"\n'=cmd-armhf-cp313,0,1,0,0.0" in client.get("/stats/targets.csv").content


def test_an_unknown_range_is_explained_to_programs_and_the_usual_one_on_the_page(client):
    answer = client.get("/stats/downloads.json?range=10y")

    assert answer.status_code == 400
    assert "30d, 90d, 12m" in answer.content.decode()
    assert client.get("/stats.html?range=10y").status_code == 200


@pytest.mark.parametrize("path", ["/stats/nothing.csv", "/stats/nothing.json", "/stats/downloads.xml"])
def test_an_unknown_series_is_not_there(client, path):
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/stats", "/stats/"])
def test_other_spellings_lead_to_the_page(client, path):
    answer = client.get(f"{path}?range=12m")

    assert (answer.status_code, answer["Location"]) == (301, "/stats.html?range=12m")


@pytest.mark.parametrize("span", ["30d", "90d", "12m"])
def test_the_page_takes_as_many_queries_whatever_there_is(client, now, span, django_assert_num_queries):
    busy(now)
    for number in range(5):
        downloaded(
            make_wheel(f"other-{number}"), 1, now.date() - timedelta(days=number), agent(f"3.{number}.1")
        )
        make_ended(
            now - timedelta(days=number), "failed", failure="timeout", builder=make_builder(f"pi-x{number}")
        )
    count(now)

    # The time, the notices, what was read before, and each series, of which the totals take three.
    with django_assert_num_queries(3 + len(SERIES) + 2):
        page(client, f"/stats.html?range={span}")


def test_what_was_read_for_all_costs_a_reader_one_query(client, now, django_assert_num_queries):
    busy(now)
    wanted = rows(client, "downloads")
    assert series.read_due(now) == 3
    page(client)
    cache.clear()

    # And the time, and the notices that all pages have.
    with django_assert_num_queries(3):
        found = page(client)

    assert "5 downloads in 30 days saved 15 hours of compiling." in found
    assert rows(client, "downloads") == wanted


def test_what_is_new_is_read_after_a_minute(client, now):
    series.read_due(now)
    busy(now)

    assert series.read_due(now + timedelta(seconds=59)) == 0
    assert sum(row["downloads"] for row in rows(client, "downloads")) == 0
    assert series.read_due(now + timedelta(seconds=60)) == 3
    assert sum(row["downloads"] for row in rows(client, "downloads")) == 5


def test_without_the_task_a_reader_sees_what_is_there_now(client, now):
    series.read_due(now - timedelta(hours=1))
    busy(now)

    assert sum(row["downloads"] for row in rows(client, "downloads")) == 5


def test_what_takes_long_is_read_seldom(now):
    row = SeriesRead(at=now, took_s=6.0)

    assert not row.is_due(now + timedelta(seconds=299))
    assert row.is_due(now + timedelta(seconds=300))
    assert row.is_due(now - timedelta(days=1)), "the clock was put back"


def test_a_full_page_is_light_and_no_part_of_it_has_a_style_of_its_own(client, now):
    day = now.date()
    downloaded(make_wheel(), 1, day)
    count(now)
    names = [f"debian {number}" for number in range(12)]
    DownloadShare.objects.all().delete()
    DownloadShare.objects.bulk_create(
        DownloadShare(day=day - timedelta(days=ago), fact=fact, name=name, count=1000 + 137 * ago * number)
        for fact in DownloadShare.Fact
        for ago in range(30)
        for number, name in enumerate(names)
    )
    builders = [make_builder(f"pi-{number}") for number in range(20)]
    for builder in builders:
        BuilderDay.objects.create(day=day, builder=builder, state="succeeded", count=7 * builder.pk)
    TopPackages.objects.update(found=[[f"package-{number}", 9000 - number] for number in range(50)])

    content = client.get("/stats.html").content

    assert len(gzip.compress(content)) < 30_000
    assert not re.search(rb"style=|<style|<script|\son[a-z]+=", content)
