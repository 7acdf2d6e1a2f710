import pytest
from celery import current_app

from packages import sync, tasks
from packages.models import Dirty, Package, SyncCursor, Version

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
    assert {"packages.poll", "packages.watch", "packages.sync", "packages.reconcile"} <= set(
        current_app.tasks
    )


def test_all_runs_share_their_connections(followed):
    assert sync.upstream() is sync.upstream()


def test_an_upstream_without_a_journal_is_followed_without_one(followed):
    followed.xmlrpc = False

    assert tasks.poll() == 0

    assert SyncCursor.objects.get().journal == "absent"


def test_what_happens_upstream_is_known_after_a_poll_and_a_look_up(followed, settings):
    settings.PIWHEELS_WATCH = ["demo"]
    followed.add_sdist("demo", "1.0")
    tasks.watch()
    tasks.refresh()
    assert tasks.poll() == 1  # the first poll has everything looked at once more
    tasks.refresh()

    followed.yank("demo", "1.0")
    assert (tasks.poll(), tasks.refresh()) == (1, 1)

    assert Version.objects.get().yanked


def test_all_names_are_compared_when_it_is_time(followed, settings):
    settings.PIWHEELS_WATCH = ["all"]
    followed.add_project("demo")

    assert (tasks.compare(), tasks.compare()) == (1, 0)
