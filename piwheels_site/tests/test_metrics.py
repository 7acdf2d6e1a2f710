import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from prometheus_client.parser import text_string_to_metric_families

from builds.models import Build, BuildDay, StorageCheck, TargetQueue
from builds.tests.rows import NOON, make_builder, make_running_build, make_target
from packages.models import Dirty, Package
from piwheels_site import metrics
from simple.models import DownloadDay

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

ROOT = Path(__file__).parents[2]
KEY = "trixie-armhf-cp313"


def read(now=NOON):
    """Return all samples as Prometheus reads them, by name and the values of the labels in their order."""
    families = text_string_to_metric_families(metrics._made(now).decode())
    return {
        (sample.name.removeprefix("piwheels_"), *dict(sorted(sample.labels.items())).values()): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.fixture
def farm():
    build, _ = make_running_build()
    make_builder("pi-08", heard_at=None)
    TargetQueue.objects.create(target=build.target, ready=7, pausing=2, oldest_at=NOON.replace(hour=11))
    for day, state, failure, count in (
        (NOON.date(), "succeeded", "", 40),
        (NOON.date(), "failed", "missing-header", 3),
        (NOON.date(), "lost", "builder-lost", 2),
        (NOON.date().replace(day=1), "succeeded", "", 999),
    ):
        BuildDay.objects.create(day=day, target=build.target, state=state, failure=failure, count=count)
    DownloadDay.objects.create(day=NOON.date(), count=500, saved_s=3600)
    StorageCheck.objects.create(prefix="ab", size=10, files=3, faults=1, checked_at=NOON)
    Dirty.mark("demo")
    Package.objects.update(revision=1, shown_revision=0, changed_at=NOON.replace(hour=10))
    return build


def test_figures_are_what_the_rows_say(farm, broker):
    found = read()

    assert found["queue_builds", "ready", KEY] == 7
    assert found["queue_builds", "building", KEY] == 1
    assert found["queue_oldest_seconds", KEY] == 3600
    assert found["builds_ended_total", "", "succeeded", KEY] == 40
    assert found["builds_ended_total", "missing-header", "failed", KEY] == 3
    assert found["leases_lost_total", KEY] == 2
    assert found["builders", "building", KEY] == 1
    assert found["builders", "new", KEY] == 1
    assert found["dirty_names",] == 1
    assert (found["publish_waiting",], found["publish_lag_seconds",]) == (1, 7200)
    assert (found["downloads_total",], found["saved_seconds_total",]) == (500, 3600)
    assert (found["storage_bytes",], found["storage_faults",]) == (10, 1)
    assert {name for name, *_ in found} >= {"disk_free_bytes", "redis_queue_length", "alerts"}
    assert all(value == 1 for (name, *_), value in found.items() if name == "part_up")


def test_what_happened_lately_and_not_today_is_there_for_its_next_time(farm):
    yesterday = NOON.date() - timedelta(days=1)
    for state, failure in (("failed", "rust-too-old"), ("lost", "builder-lost")):
        BuildDay.objects.create(day=yesterday, target=farm.target, state=state, failure=failure, count=7)
    make_target("bookworm-arm64-cp311")

    found = read()

    assert found["builds_ended_total", "rust-too-old", "failed", KEY] == 0
    assert found["leases_lost_total", KEY] == 2
    assert found["leases_lost_total", "bookworm-arm64-cp311"] == 0


def test_what_is_only_written_anew_is_not_late(farm):
    Package.objects.update(shown_revision=1, changed_at=NOON.replace(year=2020))
    Package.objects.show_anew([Package.objects.get().pk])

    found = read()

    assert (found["publish_waiting",], found["publish_lag_seconds",]) == (1, 0)


def test_what_changes_while_it_is_to_be_written_anew_is_waited_for(farm):
    package = Package.objects.get()
    Package.objects.show_anew([package.pk])
    package.mark_changed()
    Package.objects.update(changed_at=NOON.replace(hour=10))

    assert read()["publish_lag_seconds",] == 7200


def test_each_folder_has_the_figures_of_its_disk(farm, settings, tmp_path):
    settings.PIWHEELS_PUBLIC = settings.PIWHEELS_INCOMING = tmp_path

    found = read()

    for name in ("the index", "uploads"):
        assert 0 < found["disk_free_bytes", name] < found["disk_size_bytes", name]


def test_what_cannot_be_read_is_said_and_the_rest_is_there(farm, settings):
    from piwheels_site.celery import app

    before = app.conf.broker_url
    app.conf.broker_url = "redis+socket:///nowhere/redis.sock"
    try:
        found = read()
    finally:
        app.conf.broker_url = before

    assert found["part_up", "redis"] == 0
    assert found["part_up", "queue"] == 1
    assert found["queue_builds", "ready", KEY] == 7


def test_it_asks_as_much_of_the_database_however_much_there_is(farm, broker):
    def cost():
        with CaptureQueriesContext(
            connection,
        ) as queries:
            read()
        return len(queries)

    read()  # which makes the rows that there is one of
    before = cost()
    for number in range(30):
        make_builder(f"more-{number}")
        Build.objects.create(version=farm.version, target=make_target(f"os{number}-arm64-cp313"))

    assert cost() == before <= 25


def test_what_there_may_be_a_million_of_is_not_counted_to_its_end(monkeypatch, broker):
    monkeypatch.setattr(metrics, "MANY", 3)
    for number in range(5):
        Dirty.mark(f"name-{number}")
        Package.objects.create(name=f"name-{number}", display_name="x", revision=1)

    found = read()

    assert (found["dirty_names",], found["publish_waiting",]) == (3, 3)


@pytest.mark.parametrize(
    ("token", "headers", "address", "status"),
    [
        ("", {}, "127.0.0.1", 200),
        ("", {}, "::1", 200),
        ("", {}, "10.0.0.7", 404),
        ("", {}, "", 404),
        ("", {"X-Forwarded-For": "10.0.0.7"}, "127.0.0.1", 404),
        ("", {"X-Real-Ip": "10.0.0.7"}, "127.0.0.1", 404),
        ("", {"Authorization": "Bearer "}, "10.0.0.7", 404),
        ("secret", {}, "127.0.0.1", 404),
        ("secret", {"Authorization": "Bearer other"}, "127.0.0.1", 404),
        ("secret", {"Authorization": "Bearer secret", "X-Forwarded-For": "10.0.0.7"}, "127.0.0.1", 200),
    ],
)
def test_only_this_machine_or_the_token_reads_them(client, settings, token, headers, address, status):
    settings.PIWHEELS_METRICS_TOKEN = token

    response = client.get("/metrics", headers=headers, REMOTE_ADDR=address)

    assert response.status_code == status
    assert (b"piwheels_queue" in response.content) == (status == 200)


def test_who_scrapes_without_end_costs_no_more_than_one(client, farm):
    client.get("/metrics")
    with CaptureQueriesContext(connection) as queries:
        client.get("/metrics")

    assert len(queries) == 0


def test_every_query_of_the_dashboard_names_figures_that_there_are(farm, broker):
    names = {f"piwheels_{name}" for name, *_ in read()} | {"piwheels_sync_polled_seconds"}
    names |= {"piwheels_tasks_last_seconds"}
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "piwheels.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]

    asked = [re.findall(r"piwheels_[a-z_]+", query) for query in queries]

    assert len(queries) > 20
    assert all(asked)
    assert {name for some in asked for name in some} <= names
    # What is counted is asked for as a rate, as it begins anew each midnight.
    assert all("increase(" in query for query in queries if "_total" in query)


@pytest.fixture(autouse=True)
def _nothing_is_kept():
    from django.core.cache import cache

    cache.delete("metrics")
    yield
    cache.delete("metrics")
