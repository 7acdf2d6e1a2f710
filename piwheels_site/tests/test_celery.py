from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest
from celery.fixups.django import DjangoWorkerFixup
from django.db import connection

from piwheels_site.celery import AT_ONCE, Tick, app

# Around a test that is a transaction, connections are left alone.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def tick():
    """A task that tells which connection it has."""

    @app.task(name="tests.which_connection", base=Tick, shared=False)
    def which_connection():
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return connection.connection

    yield which_connection
    app.tasks.unregister("tests.which_connection")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's costs nothing to make")
def test_a_task_leaves_its_connection_to_the_next(tick):
    fixup = DjangoWorkerFixup(app)

    fixup.on_task_prerun(tick)
    first = tick.apply().get()
    fixup.on_task_postrun(tick)
    fixup.on_task_prerun(tick)

    assert tick.apply().get() is first


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no server that could go away")
def test_a_task_after_postgresql_went_away_gets_a_new_connection(tick):
    first = tick.apply().get()
    with connection.cursor() as cursor:
        other = connection.copy()
        cursor.execute("SELECT pg_backend_pid()")
        with other.cursor() as killing:
            killing.execute("SELECT pg_terminate_backend(%s)", cursor.fetchone())
        other.close()

    assert tick.apply().get() is not first


def test_however_slow_all_others_are_there_is_a_thread_for_each_task_of_the_schedule():
    end, done = Event(), Event()

    def hang():
        end.wait(30)

    def hurry():
        done.set()

    slow = [app.task(name=f"tests.{name}", base=Tick, shared=False)(hang) for name in app.conf.beat_schedule]
    urgent = app.task(name="tests.urgent", base=Tick, shared=False)(hurry)

    # As a worker has them, while upstream and all disks hang: three ticks of each have come.
    with ThreadPoolExecutor(app.conf.worker_concurrency) as threads:
        for task in slow[1:] * 3:
            threads.submit(task)
        threads.submit(urgent)
        is_done = done.wait(20)
        end.set()

    for task in (*slow, urgent):
        app.tasks.unregister(task.name)
    assert is_done


def test_a_task_that_runs_is_not_begun_a_second_time():
    end, begun = Event(), Event()

    @app.task(name="tests.slow", base=Tick, shared=False)
    def slow():
        begun.set()
        return end.wait(30) and 1

    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(slow)
        assert begun.wait(30)
        second = slow()
        end.set()

    assert (first.result(), second, slow()) == (1, 0, 1)
    app.tasks.unregister("tests.slow")


def test_bundles_are_made_as_many_at_a_time_as_the_operator_wants(monkeypatch):
    monkeypatch.setitem(AT_ONCE, "tests.bundles", 2)
    both = Barrier(2)

    @app.task(name="tests.bundles", base=Tick, shared=False)
    def bundles():
        both.wait(30)
        return 1

    with ThreadPoolExecutor(2) as threads:
        done = [threads.submit(bundles) for _ in range(2)]

    assert [each.result() for each in done] == [1, 1]
    app.tasks.unregister("tests.bundles")
