"""Every list of the operators': as many queries for many rows as for few, and no count of millions."""

from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver, reverse
from django.utils import timezone

from builds.models import Build, Campaign, Push, Recipe, Skip, Target
from builds.tests.rows import NOON, make_build, make_builder, make_target, make_version
from packages.bounded import BoundedPaginator
from packages.models import Package, Version
from packages.record_admin import FarmAdmin
from piwheels_site.models import Notice
from piwheels_site.sample import fill
from piwheels_site.tests.accounts import make_account

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

# Session, account with its second factor, the count of what is shown, the rows, what filters offer, and of
# some lists what is read for all of their rows together.
MOST_QUERIES = 13
MANY = 20


@pytest.fixture(autouse=True)
def _lists_are_there():
    """They are found when the addresses are read."""
    assert get_resolver().url_patterns


@pytest.fixture
def many_rows(admin_user):
    """A sample farm, with many of what that has few of."""
    cache.clear()
    fill.fill(12, 1, timezone.now())
    target = Target.objects.active().first()
    for number, package in enumerate(Package.objects.order_by("pk")[:MANY]):
        Skip.objects.get_or_create(package=package, target=target, defaults={"reason": "no"})
        Recipe.objects.get_or_create(package=package)
        Push.objects.create(package=package, target=target)
        Campaign.objects.create(name=f"campaign {number}", target=target, kind="wanted", count=1)
        Notice.objects.create(title=str(number), begins_at=timezone.now())
        make_account(f"account-{number}", "viewer")
        LogEntry.objects.create(user=admin_user, action_flag=CHANGE, object_repr="x", change_message="a: b")
    yield
    cache.clear()


def test_each_list_costs_a_few_queries_however_many_rows_it_shows(admin_client, many_rows):
    costs = {}
    for model in admin.site._registry:
        path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert admin_client.get(path).status_code == 200
        costs[model._meta.label] = len(queries)

    assert {label: cost for label, cost in costs.items() if cost > MOST_QUERIES} == {}


def test_all_lists_count_no_further_than_anybody_pages():
    assert all(isinstance(each, FarmAdmin) for each in admin.site._registry.values())


def test_a_long_list_is_counted_to_its_last_page_and_says_so(admin_client, monkeypatch):
    monkeypatch.setattr(BoundedPaginator, "MOST", 5)
    for number in range(7):
        make_version(f"1.{number}")

    with CaptureQueriesContext(connection) as queries:
        page = " ".join(admin_client.get("/admin/packages/version/").content.decode().split())

    assert "the first 5 versions: search or filter for others" in page
    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"] and "version" in query["sql"]]
    assert counts
    assert all("LIMIT 6" in count for count in counts)


def test_a_list_that_is_short_says_how_long(admin_client):
    make_version("1.0")

    assert "1 version\n" in admin_client.get("/admin/packages/version/").content.decode()


@pytest.mark.parametrize("table", [Build, Version])
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("dem", ["demo 1.0", "demo 1.1", "demo 2.0", "demon 1.0"]),
        ("Demo", ["demo 1.0", "demo 1.1", "demo 2.0", "demon 1.0"]),
        ("demo 1", ["demo 1.0", "demo 1.1"]),
        ("demo==2.0", ["demo 2.0"]),
        ("emo", []),
        ("  ", ["demo 1.0", "demo 1.1", "demo 2.0", "demon 1.0"]),
    ],
)
def test_builds_and_versions_are_found_by_package_and_version(admin_client, table, text, found):
    for number, package in (("1.0", "demo"), ("1.1", "demo"), ("2.0", "demo"), ("1.0", "demon")):
        make_build(make_version(number, package))

    rows = admin_client.get(f"/admin/{table._meta.app_label}/{table._meta.model_name}/", {"q": text})

    names = [str(row if table is Version else row.version) for row in rows.context["cl"].result_list]
    assert sorted(names) == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("stage=waiting", ["1"]),
        ("stage=pausing", ["2"]),
        ("stage=failed", ["3", "4"]),
        ("stage=lost", ["5", "6"]),
        ("stage=given-up", ["6"]),
        ("stage=cancelled", ["7"]),
        ("stage=succeeded", []),
        ("stage=running", []),
        ("failure=missing-header", ["3"]),
        ("stage=failed&failure=missing-header", ["3"]),
        ("failure=builder-lost", ["5"]),
    ],
)
def test_builds_are_narrowed_by_stage_and_failure(admin_client, query, found):
    ended = {"finished_at": NOON}
    rows = [
        {},
        {"not_before": NOON},
        {"state": "failed", "failure": "missing-header", **ended},
        {"state": "failed", "failure": "timeout", **ended},
        {"state": "lost", "failure": "builder-lost", **ended},
        {"state": "lost", "is_given_up": True, **ended},
        {"state": "cancelled", **ended},
    ]
    for number, fields in enumerate(rows, 1):
        make_build(make_version(str(number)), make_target(), **fields)

    shown = admin_client.get(f"/admin/builds/build/?{query}").context["cl"].result_list

    assert sorted(build.version.number for build in shown) == found


def test_the_builds_of_one_builder_come_in_the_order_of_their_index(admin_client):
    builder = make_builder()
    for number, hours in enumerate([1, 3, 2]):
        ended = {"state": "failed", "finished_at": NOON + timedelta(hours=hours)}
        make_build(make_version(str(number)), builder=builder, **ended)
    make_build(make_version("9"), state="failed", finished_at=NOON)

    with CaptureQueriesContext(connection) as asked:
        page = admin_client.get(f"/admin/builds/build/?builder__id__exact={builder.pk}")

    assert [build.version.number for build in page.context["cl"].result_list] == ["1", "2", "0"]
    assert any('ORDER BY "builds_build"."finished_at" DESC' in each["sql"] for each in asked)


def test_no_list_offers_to_count_what_each_choice_would_show(admin_client):
    """That reads all rows once for each choice: seconds, of a million builds."""
    lists = [each for each in admin.site._registry.values() if isinstance(each, FarmAdmin)]

    page = admin_client.get("/admin/builds/build/?_facets=True")

    assert len(lists) > 30
    assert [each for each in lists if each.show_facets is not admin.ShowFacets.NEVER] == []
    assert not page.context["cl"].add_facets
