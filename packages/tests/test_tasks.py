import pytest
from celery import current_app

from packages import sync, tasks
from packages.models import Dirty, Package, SyncCursor

pytestmark = pytest.mark.django_db


def test_what_is_watched_becomes_a_package(followed, settings):
    followed.add_sdist("demo", "1.0")
    settings.PIWHEELS_WATCH = ["demo"]

    assert tasks.watch() == 1
    assert tasks.refresh() == 1

    assert Package.objects.get().name == "demo"
    assert not Dirty.objects.exists()
    assert (tasks.watch(), tasks.refresh()) == (0, 0)


def test_the_schedule_finds_the_tasks_by_name():
    assert {"packages.poll", "packages.watch", "packages.sync"} <= set(current_app.tasks)


def test_all_runs_share_their_connections(followed):
    assert sync.upstream() is sync.upstream()


def test_an_upstream_without_a_journal_is_followed_without_one(followed):
    assert tasks.poll() == 0

    assert SyncCursor.objects.get().journal == "absent"
