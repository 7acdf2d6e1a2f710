"""A client that closes what it was given, as a web server does, and has the tree published before it asks."""

from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from packages.models import Package
from simple import downloads, publishing, roots


class Reader(Client):
    """Remembers its answers, because files that nobody reads to the end stay open."""

    def __init__(self, *, reads_tree=False):
        super().__init__()
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

    def costs(self, queries):
        """Return how many queries an answer takes that takes so many from rows."""
        return 0 if self.reads_tree else queries


def publish_all():
    """Publish all that there is; also what a test wrote into rows behind our backs."""
    now = timezone.now()
    for package in Package.objects.all():
        package.mark_changed()
    publishing.publish(now)
    # Whoever had just read a page has had the time to ask for its files.
    publishing.publish(now + timedelta(minutes=1))
    roots.publish(now, at_once=True)


@pytest.fixture(params=["rows", "tree"])
def client(request):
    """Return a reader of pages that are made from rows, and one of those that are published."""
    reader = Reader(reads_tree=request.param == "tree")
    yield reader
    for response in reader.answers:
        response.close()


@pytest.fixture(autouse=True)
def _counted_at_once(monkeypatch):
    """Write each download as it is counted, with nothing remembered of another test's rows."""
    monkeypatch.setattr(downloads, "of_this_process", downloads.Downloads(every_s=0))
