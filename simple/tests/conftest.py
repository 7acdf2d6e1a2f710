"""A client that closes what it was given, as a web server does."""

import pytest
from django.test import Client


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
