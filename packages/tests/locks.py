"""Waits until somebody waits for a lock that a test holds; PostgreSQL's alone."""

import time
from contextlib import contextmanager
from threading import Thread

from django.db import connection, transaction


@contextmanager
def waiting(deed):
    """Have a deed wait elsewhere for what we have locked, for as long as this goes on."""

    def run():
        try:
            deed()
        finally:
            connection.close()

    thread = Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 30
    while not is_one_waiting():
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.01)
    yield
    transaction.on_commit(lambda: thread.join(60))


def is_one_waiting():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return cursor.fetchone()[0] > 0
