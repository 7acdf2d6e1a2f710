"""Clients of the index: of pages from rows, of the published tree, and of nginx before both.

Each test of a line of the checklist (standards.md 1.5; its number is in the test's name) is asked of all
three, unless it looks into the process.
"""

import inspect
import os
import re
import shutil
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from builds.files.stored import MARK
from simple import downloads, publishing, roots
from simple.models import PublishedTree, Shown
from simple.tests import production
from tests.original.fixtures import original, original_server  # noqa: F401 (fixtures)
from tests.stack import Stack, database_of_tests


class Reader(Client):
    """Remembers its answers, because files that nobody reads to the end stay open."""

    # nginx has rules of its own for a few things that the standards leave open; the tests say which.
    is_nginx = False

    def __init__(self, *, reads_tree=False):
        super().__init__(enforce_csrf_checks=True)
        self.answers = []
        self.reads_tree = reads_tree
        self._publishes = reads_tree

    def request(self, **request):
        if self._publishes:
            publish_all()
        response = super().request(**request)
        self.answers.append(response)
        return response

    @contextmanager
    def quiet(self):
        """Publish now, and nothing meanwhile."""
        if self._publishes:
            publish_all()
        before, self._publishes = self._publishes, False
        yield
        self._publishes = before

    def outlast_readers(self):
        """Have the time pass for which a file stays that a page listed just now."""
        if self._publishes:
            publish_all()
            publish_all(after=Shown.LINGER * 2)

    @contextmanager
    def costing(self, queries):
        """Have answers take so many queries when they are made from rows, and none from the tree."""
        with self.quiet(), CaptureQueriesContext(connection) as asked:
            yield
        assert len(asked) == (0 if self.reads_tree else queries), asked.captured_queries


def publish_all(after=timedelta(0)):
    """Publish what is marked as changed, and nothing else, as the worker does; or does after a time.

    A deed that forgets its mark is seen by no reader.  A test that writes rows itself has to set it.
    """
    now = timezone.now() + after
    publishing.publish(now, wait=True, run_s=600)
    state = PublishedTree.current()
    if state.names != state.names_listed:
        roots.publish(now, at_once=True)


# What a test does with these happens in its own process, of which another one knows nothing.
IN_PROCESS = {"monkeypatch", "settings", "caplog", "live_server"}
NUMBERED = re.compile(r"test_[SNJHFCX][0-9]{2}_")
ON_SERVERS = os.environ.get("DATABASE_URL", "").startswith("postgresql")


def pytest_generate_tests(metafunc):
    """Ask what stands in the checklist of the production stack too, where there is one."""
    if "client" not in metafunc.fixturenames:
        return
    test = metafunc.function
    is_asked = NUMBERED.match(test.__name__) and not IN_PROCESS & {*inspect.signature(test).parameters}
    of_production = ["production"] if is_asked and ON_SERVERS else []
    metafunc.parametrize("client", ["rows", "tree", *of_production], indirect=True)


@pytest.fixture(scope="session")
def stack(django_db_setup, tmp_path_factory):
    """Run nginx and gunicorn on the database of the tests.

    They never see a test's rows, as those are not committed; all that is published is in the tree.
    """
    with Stack(tmp_path_factory.mktemp("production"), database_of_tests()) as running:
        yield running


@pytest.fixture
def client(request):
    """Return a reader of pages that are made from rows, of those that are published, or of the stack."""
    if request.param == "production":
        yield production_reader(request.getfixturevalue("stack"), request.getfixturevalue("settings"))
        return
    reader = Reader(reads_tree=request.param == "tree")
    yield reader
    for response in reader.answers:
        response.close()


@pytest.fixture(autouse=True)
def _counted_at_once(monkeypatch):
    """Write each download as it is counted, with nothing remembered of another test's rows."""
    monkeypatch.setattr(downloads, "of_this_process", downloads.Downloads(every_s=0))


def production_reader(stack, settings):
    """Return a reader of the stack, whose folders are the test's own."""
    for folder in (stack.public, stack.files):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    (stack.files / MARK).touch()
    settings.PIWHEELS_PUBLIC = stack.public
    storage = {**settings.STORAGES["default"], "OPTIONS": {"location": str(stack.files)}}
    settings.STORAGES = {**settings.STORAGES, "default": storage}
    return production.Reader(stack, publish_all)
