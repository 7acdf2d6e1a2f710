import json
from datetime import timedelta

import pytest
from django.utils import timezone

from builds.figures import counting
from builds.models import (
    Build,
)
from builds.tests.rows import (
    NOON,
    make_built,
    make_running_build,
)

pytestmark = pytest.mark.django_db


def text(response):
    return " ".join(response.content.decode().split())


def test_a_running_build_page_looks_again_and_a_finished_one_does_not(client):
    build, _ = make_running_build()
    assert 'http-equiv="refresh"' in text(client.get(f"/builds/{build.pk}/"))

    build.close(Build.State.FAILED, "no compiler", NOON)

    page = text(client.get(f"/builds/{build.pk}/"))
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
    assert answer["tasks"] == {"state": "none has run yet", "last_s": None}
    del answer["sync"], answer["storage"], answer["tasks"]
    assert answer == {
        "status": "ok",
        "database": "ok",
        "broker": "ok",
        "orders": "ok",
    }


@pytest.mark.embedded
@pytest.mark.parametrize(("age", "state", "status"), [(14, "ok", 200), (16, "stand still", 503)])
def test_who_watches_learns_that_the_tasks_stand_still_and_a_load_balancer_is_not_moved(
    client, broker, age, state, status
):
    counting.count_due(timezone.now() - timedelta(minutes=age))

    everyone, watcher = client.get("/healthz"), client.get("/healthz?tasks")

    assert everyone.json()["tasks"]["state"] == state
    assert everyone.json()["tasks"]["last_s"] == pytest.approx(age * 60, abs=30)
    assert (everyone.status_code, watcher.status_code) == (200, status)
    assert (watcher.json()["status"] == "ok") == (status == 200)


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
