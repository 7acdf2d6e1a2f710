import pytest
from celery.fixups.django import DjangoWorkerFixup
from django.db import connection

from piwheels_site.celery import AboutTask, app

# Around a test that is a transaction, connections are left alone.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def tick():
    """A task that tells which connection it has."""

    @app.task(name="tests.which_connection", base=AboutTask, shared=False)
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
