"""Whatever is asked, in whatever words, the answer is one of ours and no fault (Hypothesis, Django alone)."""

import re
from urllib.parse import urlsplit

import pytest
from django.conf import settings as site
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings

from builds.tests import rows
from builds.tests.rows import make_builder, make_running_build
from packages.clock import database_now
from simple import publishing, roots
from simple.tests.rows import make_wheel
from tests import strange_requests

pytestmark = pytest.mark.django_db

INDEX = re.compile(r"/(simple|simple-platform|simple-full|[a-z0-9.-]+/simple)(/|\Z)")
TYPES = {
    *("text/html; charset=utf-8", "text/html", "text/plain; charset=utf-8", "application/json"),
    # Prometheus says which form of its text it is.
    "text/plain; version=1.0.0; charset=utf-8",
    *("application/octet-stream", "application/vnd.pypi.simple.v1+json", "text/css", "text/javascript"),
    *("application/vnd.pypi.simple.v1+html", 'text/css; charset="utf-8"', 'text/javascript; charset="utf-8"'),
}
EVERYDAY = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


def published_with_a_build():
    """Publish a page, and return a builder's token and the ticket of its build, which is number 1000."""
    make_wheel(tag="py3-none-any")
    builder = make_builder(heard_at=database_now())
    version = rows.make_version("2.0")
    _, ticket = make_running_build(builder, now=database_now(), version=version, pk=1000)
    publishing.publish(database_now())
    roots.publish(database_now(), at_once=True)
    return builder.token, ticket


def answer(request):
    """Return what Django answers, and its whole body."""
    client = Client(headers=request.headers)
    told = {"CONTENT_LENGTH": str(len(request.body)), **request.environ}
    response = client.generic(
        request.method, "/", request.body, request.headers.get("Content-Type", ""), **told
    )
    body = response.getvalue()
    return response, body


def check(request, response, body):
    """Fail if an answer is none of ours."""
    path = request.environ["PATH_INFO"]
    # Where there is no Redis, the site says that it is not well.
    assert response.status_code < 500 or path in ("/healthz", "/readyz")
    assert b"Traceback (most recent call last)" not in body
    assert not body or response["Content-Type"] in TYPES
    if INDEX.match(path):
        assert not response.cookies
    if request.method == "HEAD":
        assert body == b""
    if "Location" in response:
        # Nobody is sent to where the request says.
        assert urlsplit(response["Location"]).hostname in (
            None,
            "testserver",
            urlsplit(site.PIWHEELS_PYPI).hostname,
        ), response["Location"]


def test_no_request_is_a_fault():
    secrets = published_with_a_build()

    @settings(EVERYDAY)
    @given(strange_requests.requests(secrets))
    def ask(request):
        with transaction.atomic():
            check(request, *answer(request))
            transaction.set_rollback(True)

    ask()
