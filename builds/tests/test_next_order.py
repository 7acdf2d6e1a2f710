"""The builders' door: the next order, which comes with the answer to a report."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from builds import orders, queue
from builds.files import logs
from builds.models import Build, Builder
from builds.tests.pi import Pi, leave_logs
from builds.tests.rows import make_build, make_builder, make_version
from packages.clock import database_now

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]


def test_a_builder_that_reports_gets_its_next_order(running, waiting):
    build, pi = running
    token = build.builder.rekey()

    verdict = pi.report_with(build, b"", succeeded=False, reason="No.", next_for=token)

    order = json.loads(verdict.content)["next"]
    waiting.refresh_from_db()
    assert (order["build"], waiting.state, waiting.builder) == (waiting.pk, "building", build.builder)
    assert Pi(order["ticket"]).heartbeat(waiting).status_code == 200


def test_a_target_that_was_switched_off_has_no_next_order(running, waiting):
    build, pi = running
    token = build.builder.rekey()
    build.target.deactivate()

    verdict = pi.report_with(build, b"", succeeded=False, reason="No.", next_for=token)

    assert (verdict.status_code, json.loads(verdict.content)["next"]) == (200, None)
    assert Build.objects.waiting().filter(pk=waiting.pk).exists()


def test_who_reports_hears_its_verdict_whatever_befalls_its_next_order(running, waiting, monkeypatch, caplog):
    def fail(*_):
        raise ValueError("odd")

    monkeypatch.setattr(orders, "next_for", fail)
    build, pi = running

    verdict = pi.report_with(build, b"", succeeded=False, reason="No.", next_for=build.builder.rekey())

    told = json.loads(verdict.content)
    assert (verdict.status_code, told["state"], told["next"]) == (200, "failed", None)
    assert "got no next order" in caplog.text


def test_an_order_that_comes_with_a_verdict_has_no_log_of_another_build(running, waiting):
    build, pi = running
    leave_logs(waiting)

    pi.report_with(build, b"", succeeded=False, reason="No.", next_for=build.builder.rekey())

    assert logs.content(waiting.pk) == b""


def test_an_order_whose_answer_got_lost_waits_again_as_soon_as_its_builder_reports_again(running, waiting):
    build, pi = running
    token = build.builder.rekey()
    pi.report_with(build, b"", succeeded=False, reason="No.", next_for=token)

    again = pi.report_with(build, b"", succeeded=False, reason="No.", next_for=token)

    waiting.refresh_from_db()
    assert (again.status_code, waiting.state) == (409, "lost")
    (anew,) = Build.objects.waiting()
    assert (anew.version, anew.losses, anew.not_before) == (waiting.version, 0, None)
    assert Builder.objects.get().current_build() is None


@pytest.mark.parametrize("token", ["", "no-such-token", "another's"])
def test_nobody_else_takes_an_order_back_by_reporting_again(running, waiting, token):
    build, pi = running
    pi.report_with(build, b"", succeeded=False, reason="No.", next_for=build.builder.rekey())
    token = make_builder("pi-08").token if token == "another's" else token

    pi.report_with(build, b"", succeeded=False, reason="No.", next_for=token)

    waiting.refresh_from_db()
    assert waiting.state == "building"


def test_an_order_that_its_builder_spoke_of_stays_when_an_old_report_comes_late(running, waiting):
    build, pi = running
    token = build.builder.rekey()
    verdict = pi.report_with(build, b"", succeeded=False, reason="No.", next_for=token)
    ticket = json.loads(verdict.content)["next"]["ticket"]
    Pi(ticket).heartbeat(waiting)

    pi.report_with(build, b"", succeeded=False, reason="No.", next_for=token)

    assert Pi(ticket).heartbeat(waiting).status_code == 200


def test_an_order_that_comes_with_a_verdict_begins_after_the_report(running, waiting):
    build, pi = running
    token = build.builder.rekey()

    pi.report_with(build, b"", succeeded=False, reason="No.", next_for=token)

    build.refresh_from_db()
    waiting.refresh_from_db()
    assert waiting.claimed_at > build.finished_at


def test_a_builder_that_may_wait_for_its_verdict_no_more_gets_no_order_with_it(running, waiting, monkeypatch):
    build, pi = running
    token = build.builder.rekey()
    monkeypatch.setattr("builds.api.IN_TIME_S", 0)

    verdict = pi.report_with(build, b"", succeeded=False, reason="No.", next_for=token)

    waiting.refresh_from_db()
    assert json.loads(verdict.content)["next"] is None
    assert (json.loads(verdict.content)["state"], waiting.state) == ("failed", "queued")


def test_a_ticket_alone_or_with_a_strangers_token_brings_no_order(running, waiting):
    build, pi = running
    stranger = make_builder("pi-08", heard_at=database_now())

    verdict = pi.report_with(build, b"", succeeded=False, reason="No.", next_for=stranger.token)

    assert json.loads(verdict.content)["next"] is None
    waiting.refresh_from_db()
    assert waiting.state == "queued"


@pytest.mark.parametrize(
    "fields", [{"mode": "draining"}, {"problem": "Its disk is full."}, {"heard_at": None}]
)
def test_a_builder_that_shall_have_nothing_gets_no_order_with_its_verdict(running, waiting, fields):
    build, pi = running
    token = build.builder.rekey()
    Builder.objects.update(**fields)

    verdict = pi.report_with(build, b"", succeeded=False, reason="No.", next_for=token)

    assert json.loads(verdict.content)["next"] is None
    waiting.refresh_from_db()
    assert waiting.state == "queued"


def test_who_reports_gets_no_order_while_the_disk_is_full(running, waiting, monkeypatch):
    build, pi = running
    token = build.builder.rekey()
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Disk", (), {"total": 1000, "free": 10}))

    verdict = pi.report_with(build, b"", succeeded=False, reason="No.", next_for=token)

    assert (verdict.status_code, json.loads(verdict.content)["next"]) == (200, None)


def test_who_reports_gets_the_next_build_when_the_first_has_no_source_any_more(running, waiting):
    build, pi = running
    behind = make_build(version=make_version("3.0"), target=build.target, priority=-1)
    waiting.version.files.all().delete()
    token = build.builder.rekey()

    verdict = pi.report_with(build, b"", succeeded=False, reason="No.", next_for=token)

    assert json.loads(verdict.content)["next"]["build"] == behind.pk
    waiting.refresh_from_db()
    assert waiting.state == "cancelled"


@pytest.mark.django_db(transaction=True)
def test_who_reports_while_others_are_at_all_of_the_first_builds_gets_one_behind_them():
    """When sixteen threads ask at one moment, nobody should wait for the dispatcher's next tick."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time.")
    builder = make_builder(heard_at=database_now())
    for number in range(16):
        make_build(make_version(f"1.{number}"), builder.target)
    *first, last = [build.pk for build, _ in queue.next_for(builder.target, [builder] * 16, database_now())]

    def ask():
        try:
            return orders.next_for(builder, database_now())
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        assert len(Build.objects.select_for_update().filter(pk__in=first)) == 15
        order = pool.submit(ask).result(10)

    assert order
    assert order.build == last
