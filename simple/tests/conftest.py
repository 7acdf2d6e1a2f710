"""A client that closes what it was given, as a web server does, and whose downloads count at once."""

import pytest
from django.test import Client

from simple import downloads


class Reader(Client):
    """Remembers its answers, because files that nobody reads to the end stay open."""

    def __init__(self):
        super().__init__()
        self.answers = []

    def request(self, **request):
        response = super().request(**request)
        self.answers.append(response)
        return response


@pytest.fixture
def client():
    reader = Reader()
    yield reader
    for response in reader.answers:
        response.close()


@pytest.fixture(autouse=True)
def _counted_at_once(monkeypatch):
    """Write each download as it is counted, with nothing remembered of another test's rows."""
    monkeypatch.setattr(downloads, "of_this_process", downloads.Downloads(every_s=0))
