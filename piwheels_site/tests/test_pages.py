import json
from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse

from builds.models import (
    Build,
    BuildDay,
    Campaign,
    Counting,
    Demand,
    Dependency,
    Push,
    Recipe,
    Skip,
    StandingFailure,
    StorageCheck,
    TargetQueue,
    Wheel,
)
from builds.tests.rows import (
    NOON,
    make_build,
    make_builder,
    make_running_build,
    make_target,
    make_version,
    make_wheel,
)
from tests.seen import markup

pytestmark = pytest.mark.django_db


def make_built(number="1.0", **fields):
    """A version with a wheel, as a finished build leaves it."""
    build, _ = make_running_build(version=make_version(number), **fields)
    wheel = make_wheel(build=build, filename=f"demo-{number}-cp313-cp313-linux_armv7l.whl")
    build.close(Build.State.SUCCEEDED, "", NOON, 12.5)
    return wheel


def test_a_running_build_page_looks_again_and_a_finished_one_does_not(client):
    build, _ = make_running_build()
    assert 'http-equiv="refresh"' in markup(client.get(f"/builds/{build.pk}/"))

    build.close(Build.State.FAILED, "no compiler", NOON)

    page = markup(client.get(f"/builds/{build.pk}/"))
    assert 'http-equiv="refresh"' not in page
    assert "no compiler" in page


def test_pages_set_no_cookie(client):
    make_built()

    for path in ["/", "/project/demo/", "/project/demo/json", "/healthz"]:
        response = client.get(path)
        assert not response.cookies
        assert "Cookie" not in response.headers.get("Vary", "")


@pytest.mark.embedded
def test_health_is_good_when_everything_answers(client, broker):
    response = client.get("/healthz")

    assert response.status_code == 200
    answer = json.loads(response.content)
    assert (answer["sync"]["journal"], answer["sync"]["warning"]) == ("not asked yet", "")
    assert answer["storage"]["faults"] is None  # no night was yet
    del answer["sync"], answer["storage"]
    assert answer == {
        "status": "ok",
        "database": "ok",
        "broker": "ok",
        "orders": "ok",
    }


def test_health_says_which_broker_does_not_answer(client, settings):
    from piwheels_site.celery import app

    before = app.conf.broker_url
    app.conf.broker_url = "redis+socket:///nowhere/redis.sock"
    try:
        response = client.get("/healthz")
    finally:
        app.conf.broker_url = before

    assert response.status_code == 503
    assert json.loads(response.content)["broker"].startswith("failing")
    assert json.loads(response.content)["database"] == "ok"
    assert "nowhere" not in response.content.decode()


def test_health_says_that_the_database_does_not_answer(client):
    from django.db import connection

    class Dead:
        def __call__(self, *args):
            raise connection.Database.OperationalError("gone")

    with connection.execute_wrapper(Dead()):
        response = client.get("/healthz")

    assert response.status_code == 503
    assert json.loads(response.content)["database"].startswith("failing")
    assert json.loads(response.content)["sync"] is None


RECORDED = [
    *("builds_build", "builds_wheel", "builds_dependency", "builds_refusal", "builds_storagecheck"),
    *("builds_counting", "builds_targetqueue", "builds_buildday", "builds_standingfailure"),
    *("simple_client", "simple_download", "simple_log", "simple_shown", "simple_publishedtree"),
]
# Rows with a key of two columns, which the admin cannot show, secrets, and sums that pages show.
NOT_SHOWN = {"RawDownload", "DailySalt", "BuilderDay", "WheelDay", "DownloadShare", "TopPackages"}


@pytest.fixture
def every_row():
    """One row of each of our models."""
    from packages.models import Alias, Dirty, SyncCursor
    from simple.models import (
        Bundle,
        Client,
        Download,
        DownloadDay,
        Log,
        Miss,
        MonthlyDownload,
        PackageDownload,
        PublishedTree,
        Request,
        Shown,
    )

    wheel = make_built()
    package = wheel.package
    pip = Client.objects.create(installer="pip", python="3.13")
    return [
        pip,
        wheel,
        wheel.build,
        wheel.build.builder,
        wheel.build.target,
        package,
        wheel.version,
        wheel.version.files.get(),
        Alias.objects.create(package=package, name="Demo"),
        Dirty.objects.create(name="demo"),
        SyncCursor.objects.create(),
        Download.objects.create(wheel=wheel, day=NOON.date(), client=pip, count=3),
        MonthlyDownload.objects.create(wheel=wheel, month=NOON.date(), client=pip, count=3),
        PackageDownload.objects.create(package=package, day=NOON.date(), count=3),
        DownloadDay.objects.create(day=NOON.date(), count=3),
        Log.objects.create(path="/var/log/nginx/access.log"),
        Miss.objects.create(package=package, day=NOON.date(), count=3),
        Dependency.objects.create(wheel=wheel, tool="apt", name="libpq5"),
        wheel.build.refusals.create(filename="x.whl", reason="no"),
        Recipe.objects.create(package=package, apt=["libffi-dev"]),
        Demand.objects.create(package=package, downloads=3),
        Push.objects.create(package=package),
        Skip.objects.create(package=package, target=wheel.build.target, reason="no"),
        Campaign.objects.create(name="spring", target=wheel.build.target, kind="wanted", count=10),
        Counting.objects.create(thing="queue"),
        TargetQueue.objects.create(target=wheel.build.target),
        BuildDay.objects.create(day=NOON.date(), target=wheel.build.target, state="lost"),
        StandingFailure.objects.create(failure="timeout"),
        StorageCheck.objects.create(prefix="ab"),
        Shown.objects.create(package=package, indexes="simple"),
        PublishedTree.current(),
        Request.objects.create(day=NOON.date(), client=1, name="demo"),
        Bundle.objects.create(
            day=NOON.date(), client=1, target=wheel.build.target, wanted="demo", asked_at=NOON
        ),
    ]


def test_the_admin_shows_every_model(admin_client, every_row):
    from django.apps import apps

    ours = {m for app in ("packages", "builds", "simple") for m in apps.get_app_config(app).get_models()}
    assert {type(row) for row in every_row} == {model for model in ours if model.__name__ not in NOT_SHOWN}

    for row in every_row:
        name = f"{row._meta.app_label}_{row._meta.model_name}"
        assert admin_client.get(reverse(f"admin:{name}_changelist")).status_code == 200
        assert admin_client.get(reverse(f"admin:{name}_change", args=[row.pk])).status_code == 200


def test_what_is_only_recorded_cannot_be_edited_added_or_deleted(admin_client, every_row):
    for row in every_row:
        name = f"{row._meta.app_label}_{row._meta.model_name}"
        if name in RECORDED:
            assert admin_client.post(reverse(f"admin:{name}_change", args=[row.pk])).status_code == 403
            assert admin_client.get(reverse(f"admin:{name}_add")).status_code == 403
            assert admin_client.post(reverse(f"admin:{name}_delete", args=[row.pk])).status_code == 403


def act(admin_client, model, action, *rows):
    response = admin_client.post(
        reverse(f"admin:builds_{model}_changelist"),
        {"action": action, "_selected_action": [row.pk for row in rows]},
        follow=True,
    )
    return [str(message) for message in response.context["messages"]]


def test_an_operator_cancels_and_requeues(admin_client):
    build = make_build()

    assert act(admin_client, "build", "cancel", build) == ["1 builds cancelled."]
    assert act(admin_client, "build", "requeue", build) == ["demo: 1 build is queued."]

    assert sorted(Build.objects.values_list("attempt", "state")) == [(1, "cancelled"), (2, "queued")]


def test_an_operator_sees_a_new_token_once(admin_client):
    builder = make_builder()

    (said,) = act(admin_client, "builder", "rekey", builder)

    token = said.split("token")[1].split()[0]
    assert type(builder).objects.by_token(token) == builder


def test_an_operator_activates_a_target(admin_client):
    target = make_target(is_active=False)

    act(admin_client, "target", "activate", target)

    target.refresh_from_db()
    assert target.is_active


def test_an_operator_releases_what_was_held(admin_client):
    wheel = make_wheel(held_reason="demo.pth runs at each start.")

    page = admin_client.post(
        reverse("admin:builds_wheel_changelist"),
        {"action": "release", "_selected_action": [wheel.pk]},
        follow=True,
    )

    assert "1 wheels are shown from now on." in markup(page)
    assert list(Wheel.objects.listed()) == [wheel]


def test_an_operator_yanks_and_withdraws(admin_client):
    wheel = make_built()

    act(admin_client, "wheel", "yank", wheel)
    wheel.refresh_from_db()
    assert wheel.yanked_reason == "Yanked by admin."

    act(admin_client, "wheel", "withdraw", wheel)
    wheel.refresh_from_db()
    assert wheel.withdrawn_at - datetime.now(UTC) < timedelta(minutes=1)


@pytest.mark.embedded
def test_a_load_balancer_learns_that_this_process_is_ready(client, broker):
    response = client.get("/readyz")

    assert (response.status_code, response.json()) == (200, {"status": "ready"})


def test_a_stranger_does_not_learn_why_it_is_not(client, settings, caplog):
    from piwheels_site.celery import app

    before = app.conf.broker_url
    app.conf.broker_url = "redis+socket:///nowhere/redis.sock"
    try:
        response = client.get("/readyz")
    finally:
        app.conf.broker_url = before

    assert (response.status_code, response.json()) == (503, {"status": "not ready"})
    assert "not ready: broker is failing" in caplog.text
    assert "nowhere" not in caplog.text


def test_a_database_that_is_older_than_the_code_is_not_ready(client, monkeypatch, caplog, broker):
    from django.db.migrations.recorder import MigrationRecorder

    from piwheels_site.pages import health

    newest = MigrationRecorder.Migration.objects.filter(app="builds").latest("pk")
    newest.delete()
    monkeypatch.setitem(health.READY, "migrations", health._Migrations().check)

    assert client.get("/readyz").status_code == 503
    assert "migrations is failing: NotMigrated" in caplog.text

    newest.save()
    assert client.get("/readyz").status_code == 200
