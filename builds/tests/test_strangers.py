"""Whoever has the wrong secret: each attempt at somebody else's build is refused, and changes nothing."""

from datetime import timedelta

import pytest

from builds import dispatch
from builds.files import incoming
from builds.models import Build, Wheel
from builds.tests.pi import PURE, Pi, facts
from builds.tests.rows import make_build, make_builder, make_running_build, make_version
from builds.tests.wheels import make_wheel as wheel_bytes
from packages.clock import database_now

pytestmark = pytest.mark.django_db


@pytest.fixture
def build():
    """A build in the middle of its life, on a builder that is no stranger."""
    build, ticket = make_running_build(make_builder("pi-07", heard_at=database_now()), now=database_now())
    # Before its first word, a second claim would tell that the answer to the first one got lost.
    Pi(ticket).heartbeat(build)
    return build


def no_secret(build):
    return ""


def anothers_token(build):
    return make_builder("pi-08").token


def its_own_token(build):
    """A token is no ticket; its builder claims no build twice."""
    return build.builder.rekey()


def anothers_ticket(build):
    _, ticket = make_running_build(
        make_builder("pi-08"), now=database_now(), version=make_version("2.0", package="other")
    )
    return ticket


def a_dead_attempts_ticket(build):
    """Of the same version on another builder, before it was lost there."""
    version = make_version("3.0")
    lost, ticket = make_running_build(make_builder("pi-08"), now=database_now(), version=version)
    dispatch.close_lost(lost.lease_until + timedelta(seconds=1))
    return ticket


def a_retired_builders_token(build):
    builder = make_builder("pi-08")
    builder.retire("Sold.", database_now())
    return builder.token


def the_tickets_hash(build):
    """What a thief of the database has."""
    return Build.objects.get(pk=build.pk).ticket_hash


SECRETS = [
    no_secret,
    anothers_token,
    its_own_token,
    anothers_ticket,
    a_dead_attempts_ticket,
    a_retired_builders_token,
    the_tickets_hash,
]
DEEDS = {
    "claim": lambda pi, build: pi.claim(build),
    "heartbeat": lambda pi, build: pi.heartbeat(build, b"mine"),
    "ask for an upload": lambda pi, build: pi.client.head(
        f"/builder/v1/builds/{build.pk}/wheels/{PURE}", headers={"Upload-Sha256": "0" * 64}
    ),
    "upload": lambda pi, build: pi.upload(build, PURE, wheel_bytes()),
    "report a success": lambda pi, build: pi.report(build, (PURE, wheel_bytes())),
    "report a failure": lambda pi, build: pi.report(build, succeeded=False, reason="Mine."),
}


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("secret", SECRETS)
def test_T36_a_stranger_does_nothing_to_a_build(build, secret, deed):
    stranger = Pi(secret(build))
    before = Build.objects.filter(pk=build.pk).values().get()

    response = DEEDS[deed](stranger, build)

    assert response.status_code in (401, 404, 409)
    assert Build.objects.filter(pk=build.pk).values().get() == before
    assert not Wheel.objects.exists()
    assert incoming.builds() == []


def test_a_builder_takes_no_build_that_waits_or_was_given_to_another():
    waiting, given = make_build(), make_build(make_version("2.0"))
    given.assign(make_builder("pi-07"), database_now())
    thief = Pi(make_builder("pi-08").token)

    answers = [thief.claim(build, attempt) for build in (waiting, given) for attempt in (1, 2)]

    assert {answer.status_code for answer in answers} == {404}
    assert sorted(Build.objects.values_list("state", flat=True)) == ["dispatched", "queued"]


@pytest.mark.parametrize("secret", [no_secret, anothers_ticket, a_retired_builders_token, the_tickets_hash])
def test_a_stranger_says_no_hello(build, secret):
    assert Pi(secret(build)).post("hello", facts()).status_code == 401
