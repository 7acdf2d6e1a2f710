"""The builders' door: who gets which build, and the ticket for it."""

import gzip
import json
from pathlib import Path

import pytest
from django.core.files.storage import default_storage

from builder import contract
from builds.files import logs, storage
from builds.files.stored import log_name
from builds.models import Build
from builds.tests.pi import PURE, Pi, error, facts, leave_logs
from builds.tests.rows import make_build, make_builder, make_running_build, make_version
from packages.clock import database_now

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]


def test_a_claim_gives_the_order_and_a_ticket():
    builder = make_builder()
    build = make_build()
    build.assign(builder, database_now())

    order = contract.decode(contract.BuildOrder, Pi(builder.token).claim(build).content)

    assert (order.build, order.package, order.version) == (build.pk, "demo", "1.0")
    assert order.sha256 == build.version.files.get().sha256
    assert order.platform == "linux-armv7l"
    assert order.platforms == ("linux_armv6l", "linux_armv7l")
    assert (order.architecture, order.abi, order.lease_s) == ("armhf", "cp313", 900.0)
    assert Pi(order.ticket).heartbeat(build).status_code == 200


@pytest.mark.parametrize("by", ["heartbeats", "report"])
def test_a_log_of_a_build_that_had_the_number_before_is_in_nobodys_way(by):
    builder, build = make_builder(), make_build()
    leave_logs(build)
    build.assign(builder, database_now())
    pi = Pi(json.loads(Pi(builder.token).claim(build).content)["ticket"])
    log = b"a.c:1:10: fatal error: ffi.h: No such file or directory\n"
    if by == "heartbeats":
        assert json.loads(pi.heartbeat(build, log).content)["log_size"] == len(log)

    rest, at = (b"", len(log)) if by == "heartbeats" else (log, 0)
    pi.report_with(build, rest, succeeded=False, reason="No.", log_offset=at, log_length=len(rest))

    build.refresh_from_db()
    assert build.failure_about == "ffi.h"
    assert logs.content(build.pk) == gzip.decompress(storage.read_bytes(log_name(build.pk))) == log


def test_a_log_that_cannot_be_removed_keeps_no_build_from_being_given():
    builder, build = make_builder(), make_build()
    build.assign(builder, database_now())
    # The log's own folder, which cannot be removed as a file.
    (Path(default_storage.path(log_name(build.pk))) / "below").mkdir(parents=True)

    assert Pi(builder.token).claim(build).status_code == 200


def test_a_claim_for_a_build_that_is_taken_is_refused():
    builder = make_builder()
    build = make_build()
    build.assign(builder, database_now())
    Pi(builder.token).claim(build)

    second = Pi(builder.token).claim(build)

    assert second.status_code == 409
    assert "building" in error(second)


def test_a_claim_whose_answer_got_lost_is_said_again_and_the_build_waits_for_another():
    builder, build = make_builder(), make_build()
    build.assign(builder, database_now())
    Pi(builder.token).claim(build)

    Pi(builder.token).claim(build)

    build.refresh_from_db()
    assert build.state == "lost"
    (anew,) = Build.objects.waiting()
    assert (anew.losses, anew.not_before, anew.avoid) == (0, None, builder)


def test_a_build_that_its_builder_spoke_of_is_not_taken_back_by_a_second_claim():
    builder, build = make_builder(), make_build()
    build.assign(builder, database_now())
    ticket = json.loads(Pi(builder.token).claim(build).content)["ticket"]
    Pi(ticket).heartbeat(build)

    assert Pi(builder.token).claim(build).status_code == 409
    assert Pi(ticket).heartbeat(build).status_code == 200


def test_nobody_claims_what_was_given_to_another_or_to_nobody():
    build, other = make_build(), make_builder("pi-08")

    assert Pi(other.token).claim(build).status_code == 404
    build.assign(make_builder("pi-07"), database_now())
    assert Pi(other.token).claim(build).status_code == 404
    assert Pi(other.token).claim(build, attempt=2).status_code == 404


def test_a_claim_for_what_upstream_has_removed_is_refused_and_the_build_dropped():
    builder, build = make_builder(), make_build()
    build.assign(builder, database_now())
    build.version.files.update(gone_at=database_now())

    assert Pi(builder.token).claim(build).status_code == 409
    assert Build.objects.get().state == "cancelled"


def test_T36_a_ticket_is_good_for_its_own_build_alone(running):
    build, _ = running
    other, ticket = make_running_build(make_builder("pi-08"), now=database_now(), version=make_version("2.0"))
    thief = Pi(ticket)

    assert thief.heartbeat(build).status_code == 409
    assert thief.upload(build, PURE, b"x").status_code == 409
    assert thief.report(build).status_code == 409
    assert thief.heartbeat(other).status_code == 200


def test_a_token_is_no_ticket_and_a_ticket_no_token(running):
    build, pi = running

    assert Pi(make_builder("pi-09").token).heartbeat(build).status_code == 409
    assert pi.post("hello", facts()).status_code == 401
