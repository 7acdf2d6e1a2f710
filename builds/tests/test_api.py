"""The builders' door, by HTTP alone: what it lets in, and every way that it says no."""

import errno
import fcntl
import gzip
import hashlib
import json
import os
import time
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.test import Client

from builder import contract
from builder.tests.elves import armhf
from builds import incoming, logs, storage
from builds.api import PIECE_LIMIT
from builds.models import Build, Builder, Refusal, Wheel
from builds.tests.rows import make_build, make_builder, make_running_build, make_version
from builds.tests.wheels import make_wheel as wheel_bytes
from packages import disk
from packages.clock import database_now
from packages.models import Package

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

API = "/builder/v1"


class Pi:
    """A builder as the server sees it."""

    def __init__(self, secret):
        self.secret = secret
        self.client = Client(headers={"Authorization": f"Bearer {secret}"})

    def post(self, path, body=b"", **headers):
        return self.client.post(
            f"{API}/{path}", body, content_type="application/octet-stream", headers=headers
        )

    def claim(self, build, attempt=1):
        return self.post(f"builds/{build.pk}/{attempt}/claim")

    def heartbeat(self, build, log=b"", at=0):
        return self.post(f"builds/{build.pk}/heartbeat?log={at}", log)

    def upload(self, build, filename, content, *, offset=0, total=None, sha256=None):
        return self.client.patch(
            f"{API}/builds/{build.pk}/wheels/{filename}",
            content,
            content_type="application/octet-stream",
            headers={
                "Upload-Offset": str(offset),
                "Upload-Length": str(len(content) if total is None else total),
                "Upload-Sha256": sha256 or hashlib.sha256(content).hexdigest(),
            },
        )

    def arrived(self, build, filename, content):
        response = self.client.head(
            f"{API}/builds/{build.pk}/wheels/{filename}",
            headers={"Upload-Sha256": hashlib.sha256(content).hexdigest()},
        )
        return int(response["Upload-Offset"])

    def log(self, build):
        return b"".join(self.client.get(f"/builds/{build.pk}/log").streaming_content)

    def report(self, build, *wheels, succeeded=True, reason="", apt=(), **told_of_each):
        return self.post(
            f"builds/{build.pk}/report",
            report_of(*wheels, succeeded=succeeded, reason=reason, apt=apt, **told_of_each),
        )

    def report_with(self, build, behind, *wheels, next_for="", **fields):
        """Report with bytes behind the report, which says by its fields what they are."""
        body = json.loads(report_of(*wheels)) | fields
        told = json.dumps(body).encode()
        headers = {"Report-Length": str(len(told)), **({"Next-For": next_for} if next_for else {})}
        return self.post(f"builds/{build.pk}/report", told + behind, **headers)


def report_of(*wheels, succeeded=True, reason="", apt=(), **told_of_each) -> bytes:
    """A report of wheels, given as names and contents."""
    told = [
        {
            "filename": name,
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "apt": apt,
            **told_of_each,
        }
        for name, content in wheels
    ]
    body = {
        "contract": contract.CONTRACT,
        "succeeded": succeeded,
        "reason": reason,
        "duration_s": 1.5,
        "wheels": told,
    }
    return json.dumps(body).encode()


PURE = "demo-1.0-py3-none-any.whl"


@pytest.fixture
def running():
    """A build in the middle of its life, and the builder that holds its ticket."""
    build, ticket = make_running_build(make_builder(heard_at=database_now()), now=database_now())
    return build, Pi(ticket)


def facts(**changes):
    body = {
        "contract": contract.CONTRACT,
        "python": "3.13",
        "platform": "linux-armv7l",
        "os_release": "trixie",
        "model": "Raspberry Pi 4 Model B",
        "memory_bytes": 4 << 30,
        "memory_free_bytes": 2 << 30,
        "swap_bytes": 0,
        "swap_free_bytes": 0,
        "disk_bytes": 32 << 30,
        "disk_free_bytes": 10 << 30,
        "load": 0.5,
        "temperature_c": None,
        "clock": time.time(),
        "sandbox": "full",
        "sandbox_lacks": [],
        "problems": [],
        "build": 0,
        "versions": {"pip": "26.3"},
    }
    return json.dumps({**body, **changes}).encode()


def error(response):
    return json.loads(response.content)["error"]


def test_a_builder_says_hello():
    builder = make_builder(heard_at=None)

    response = Pi(builder.token).post("hello", facts())

    assert json.loads(response.content) == {"heartbeat_s": 10.0, "stop": False, "problem": ""}
    builder.refresh_from_db()
    assert builder.heard_at is not None
    assert builder.facts["model"] == "Raspberry Pi 4 Model B"


def test_a_builder_that_speaks_another_contract_is_refused_and_its_operator_sees_why():
    builder = make_builder(heard_at=None)

    assert Pi(builder.token).post("hello", facts(contract=1)).status_code == 400

    builder.refresh_from_db()
    assert "speaks contract 2, the other 1" in builder.problem
    assert builder.heard_at is not None


def test_a_hello_that_is_far_too_long_is_refused():
    response = Pi(make_builder().token).post("hello", facts(model="x" * 70_000))

    assert response.status_code == 400


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"contract": 99}, "contract"),
        ({"load": "high"}, "load"),
        ({"memory_bytes": True}, "memory_bytes"),
        ({"memory_bytes": 10**400}, "memory_bytes"),
        ({"load": 10**400}, "load"),
        ({"load": float("nan")}, "load"),
        ({"load": float("inf")}, "load"),
        ({"model": "a\0b"}, "model"),
        ({"model": "\ud800"}, "model"),
        ({"versions": {"a\0": "b"}}, "versions"),
    ],
)
def test_a_hello_that_breaks_the_contract_is_told_so(change, says):
    response = Pi(make_builder().token).post("hello", facts(**change))

    assert response.status_code == 400
    assert says in error(response)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_message_is_told_so(body):
    assert Pi(make_builder().token).post("hello", body).status_code == 400


def test_a_builder_with_another_python_is_told_so():
    response = Pi(make_builder().token).post("hello", facts(python="3.11"))

    assert "runs Python 3.11" in json.loads(response.content)["problem"]


@pytest.mark.parametrize(
    "header", ["", "Bearer ", "Bearer wrong", "Basic abc", "Bearer \u00e9".encode().decode("latin-1")]
)
def test_an_unknown_token_opens_nothing(header, client):
    response = client.post(f"{API}/hello", headers={"Authorization": header})

    assert response.status_code == 401
    assert "token" in error(response)


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


def leave_logs(build):
    """Leave logs where a build's will be, as of one that had its number before the database was restored."""
    storage.store_bytes(logs.stored_name(build.pk), gzip.compress(b"fatal error: old.h: No such file\n" * 9))
    logs.append(build.pk, 0, b"An old build that was at work.\n" * 9)


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
    assert logs.content(build.pk) == gzip.decompress(storage.read_bytes(logs.stored_name(build.pk))) == log


def test_a_log_that_cannot_be_removed_keeps_no_build_from_being_given():
    builder, build = make_builder(), make_build()
    build.assign(builder, database_now())
    # The log's own folder, which cannot be removed as a file.
    (Path(default_storage.path(logs.stored_name(build.pk))) / "below").mkdir(parents=True)

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


def test_the_log_grows_with_the_heartbeats(running):
    build, pi = running
    pi.heartbeat(build, b"one\n")

    answer = pi.heartbeat(build, b"two\n", at=4)

    assert json.loads(answer.content)["log_size"] == 8
    assert "one\ntwo\n" in pi.log(build).decode()


def test_a_chunk_of_log_that_comes_twice_or_too_early_does_no_harm(running):
    build, pi = running
    pi.heartbeat(build, b"one\n")

    pi.heartbeat(build, b"one\n")
    hole = pi.heartbeat(build, b"three\n", at=50)

    assert json.loads(hole.content)["log_size"] == 4
    assert pi.log(build) == b"one\n"


def test_a_log_cannot_act_on_a_terminal_or_a_browser(running):
    build, pi = running
    pi.heartbeat(build, b"\x1b[31mred\x1b[0m \x00 \xff </pre><script>alert(1)</script>")

    page = pi.client.get(f"/builds/{build.pk}/").content.decode()

    assert "\x1b" not in page
    assert "\x00" not in page
    assert "<script>" not in page
    assert pi.client.get(f"/builds/{build.pk}/log")["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize("at", ["x", "-1", "1e9", ""])
def test_an_offset_that_is_none_breaks_nothing(running, at):
    build, pi = running

    assert pi.heartbeat(build, b"text", at=at).status_code in (200, 400)


def test_a_wheel_is_uploaded_reported_and_published(running, django_capture_on_commit_callbacks):
    build, pi = running
    content = wheel_bytes(requires=["requests>=2", "tomli; python_version < '3.11'"])

    assert pi.upload(build, PURE, content).status_code == 200
    assert Build.objects.get().state == "uploading"
    verdict = pi.report(build, (PURE, content), apt=["libc6 (>= 2.14)", "libpq5"])

    assert json.loads(verdict.content) == {"state": "succeeded", "reason": "", "next": None}
    wheel = Wheel.objects.get()
    assert (wheel.filename, wheel.size) == (PURE, len(content))
    assert sorted(wheel.dependencies.values_list("tool", "name")) == [
        ("apt", "libc6"),
        ("apt", "libpq5"),
        ("pip", "requests"),
        ("pip", "tomli"),
    ]
    assert Build.objects.get().duration_s == 1.5
    assert incoming.builds() == []


def test_a_small_wheel_and_a_log_come_with_the_report(running):
    build, pi = running
    content = wheel_bytes()

    verdict = pi.report_with(build, b"done\n" + content, (PURE, content), log_length=5, attached=True)

    assert json.loads(verdict.content)["state"] == "succeeded"
    assert Wheel.objects.get().sha256 == hashlib.sha256(content).hexdigest()
    with default_storage.open(Wheel.objects.get().path) as file:
        assert file.read() == content
    assert pi.log(build) == b"done\n"


def test_the_end_of_a_log_that_has_grown_before_comes_with_the_report(running):
    build, pi = running
    pi.heartbeat(build, b"one\n")

    pi.report_with(build, b"two\n", succeeded=False, reason="No.", log_offset=4, log_length=4)

    assert pi.log(build) == b"one\ntwo\n"


def test_a_wheel_that_comes_with_the_report_is_checked_as_any_other(running):
    build, pi = running
    content = wheel_bytes()
    other = wheel_bytes(files={"evil.py": b"x"})
    bad = other[: len(content)].ljust(len(content), b"x")

    response = pi.report_with(build, bad, (PURE, content), attached=True)

    assert response.status_code == 422
    assert not Wheel.objects.exists()
    assert Refusal.objects.get().filename == PURE
    assert Build.objects.get().state == "failed"


@pytest.mark.parametrize(
    ("behind", "fields"),
    [
        (b"x", {}),
        (b"", {"log_length": 1}),
        (b"xx", {"log_length": 1}),
        (b"x", {"log_length": 2, "log_offset": -1}),
        (b"x", {"log_length": 1, "log_offset": -1}),
        (b"xxx", {"log_length": -1, "attached": True}),
    ],
)
def test_T36_what_comes_behind_a_report_must_be_what_it_says(running, behind, fields):
    build, pi = running

    response = pi.report_with(build, behind, succeeded=False, reason="No.", **fields)

    assert response.status_code == 400
    assert Build.objects.get().state == "building"


@pytest.fixture
def waiting(running):
    """A build that waits for the builder of the running one."""
    build, _ = running
    return make_build(version=make_version("2.0"), target=build.target)


def test_a_builder_that_reports_gets_its_next_order(running, waiting):
    build, pi = running
    token = build.builder.rekey()

    verdict = pi.report_with(build, b"", succeeded=False, reason="No.", next_for=token)

    order = json.loads(verdict.content)["next"]
    waiting.refresh_from_db()
    assert (order["build"], waiting.state, waiting.builder) == (waiting.pk, "building", build.builder)
    assert Pi(order["ticket"]).heartbeat(waiting).status_code == 200


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


def test_the_index_changes_with_the_publication_and_not_before(running):
    build, pi = running
    content = wheel_bytes()
    before = Package.objects.get().revision

    pi.upload(build, PURE, content)
    assert Package.objects.get().revision == before
    assert not Wheel.objects.exists()

    pi.report(build, (PURE, content))
    assert Package.objects.get().revision > before


def test_an_upload_goes_on_where_it_was_cut(running):
    build, pi = running
    content = wheel_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    pi.upload(build, PURE, content[:100], total=len(content), sha256=sha256)

    assert pi.arrived(build, PURE, content) == 100
    pi.upload(build, PURE, content[100:], offset=100, total=len(content), sha256=sha256)

    assert pi.report(build, (PURE, content)).status_code == 200


def test_an_upload_longer_than_announced_is_refused(running):
    build, pi = running

    response = pi.upload(build, PURE, b"x" * 100, total=99)

    assert response.status_code == 400
    assert "more than the 99" in error(response)
    assert pi.arrived(build, PURE, b"x" * 100) == 0


@pytest.mark.parametrize(
    ("offset", "total"), [(5, 200), (-1, 200), (0, 0), (0, 1 << 40), ("x", 200), (0, "y")]
)
def test_an_upload_that_does_not_fit_is_refused(running, offset, total):
    build, pi = running

    assert pi.upload(build, PURE, b"x" * 100, offset=offset, total=total).status_code == 400


@pytest.mark.parametrize("sha256", ["../../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_a_hash_that_is_none_is_refused(running, sha256):
    build, pi = running

    assert (
        pi.upload(build, PURE, b"x", sha256=sha256.strip("\n") + "/" * sha256.count("\n")).status_code == 400
    )


def test_a_builder_has_so_many_uploads_at_a_time_whatever_ticket_they_come_with(running):
    build, pi = running

    with incoming.place(build.builder_id), incoming.place(build.builder_id):
        assert pi.upload(build, PURE, b"x").status_code == 423

    assert pi.upload(build, PURE, b"x").status_code == 200


def test_more_of_a_wheel_than_a_builder_sends_at_a_time_is_refused(running):
    build, pi = running

    response = pi.upload(build, PURE, bytes(PIECE_LIMIT + 1))

    assert response.status_code == 400
    assert pi.arrived(build, PURE, bytes(PIECE_LIMIT + 1)) == 0


@pytest.mark.parametrize("spelling", ["bearer {}", "BEARER {}", "Bearer  {}", "Bearer {} "])
def test_a_ticket_has_one_spelling_alone(running, spelling):
    build, pi = running

    pi.client.defaults["HTTP_AUTHORIZATION"] = spelling.format(pi.secret)

    assert pi.heartbeat(build).status_code == 409


def test_more_wheels_than_a_build_may_leave_are_refused(running):
    build, pi = running
    for number in range(contract.MAX_WHEELS):
        assert pi.upload(build, PURE, b"%d" % number).status_code == 200

    assert pi.upload(build, PURE, b"one more").status_code == 400


@pytest.mark.parametrize(
    "filename",
    [
        "..%2f..%2fdemo-1.0-py3-none-any.whl",
        "../demo-1.0-py3-none-any.whl",
        "a/demo-1.0-py3-none-any.whl",
        "other-1.0-py3-none-any.whl",
        "demo-2.0-py3-none-any.whl",
        "demo-1.0-cp313-cp313-win_amd64.whl",
        "demo-1.0-cp311-cp311-linux_armv7l.whl",
        "demo-1.0.tar.gz",
        "demo-1.0-py3-none-any.whl.exe",
        "demo%00-1.0-py3-none-any.whl",
    ],
)
def test_a_name_that_was_not_ordered_is_refused_before_its_bytes(running, filename):
    build, pi = running

    response = pi.upload(build, filename, b"x")

    assert response.status_code in (404, 422)
    assert incoming.received(build.pk, hashlib.sha256(b"x").hexdigest()) == 0


def test_what_a_wheel_needs_and_what_trying_it_showed_is_recorded(running):
    build, pi = running
    code = armhf(needed=["libc.so.6"], asked={"libc.so.6": ["GLIBC_2.34"]}, names=["PyInit__demo"])
    tag = "cp313-cp313-linux_armv6l.linux_armv7l"
    content = wheel_bytes(tag=tag, files={"_demo.so": code})
    trial = {"outcome": "works", "modules": ["demo", "_demo"], "detail": ""}
    pi.upload(build, f"demo-1.0-{tag}.whl", content)

    pi.report(
        build,
        (f"demo-1.0-{tag}.whl", content),
        apt=["libc6 (>= 2.34)"],
        unresolved=["libfoo.so.1"],
        reproducible=True,
        trial=trial,
    )

    wheel = Wheel.objects.get()
    assert (wheel.glibc, wheel.glibcxx, wheel.is_portable) == ("2.34", "", True)
    assert (wheel.reproducible, wheel.trial) == (True, "works")
    assert wheel.trial_detail == "Imported: demo, _demo"
    assert set(wheel.dependencies.values_list("tool", "name")) == {("apt", "libc6"), ("lib", "libfoo.so.1")}


def test_an_outcome_that_is_none_counts_as_unknown(running):
    build, pi = running
    content = wheel_bytes()
    pi.upload(build, PURE, content)

    pi.report(build, (PURE, content), trial={"outcome": "splendid", "modules": [], "detail": "x" * 9000})

    wheel = Wheel.objects.get()
    assert (wheel.trial, wheel.reproducible) == ("unknown", None)
    assert len(wheel.trial_detail) == 4000


def test_a_wheel_that_a_person_must_see_is_kept_and_not_listed(running):
    build, pi = running
    content = wheel_bytes(files={"demo.pth": b"import demo\n"})
    pi.upload(build, PURE, content)

    assert json.loads(pi.report(build, (PURE, content)).content)["state"] == "succeeded"

    assert "demo.pth runs" in Wheel.objects.get().held_reason
    assert not Wheel.objects.listed().exists()
    assert Client().get("/simple/demo/").status_code == 404
    assert Client().get(f"/simple/demo/{PURE}").status_code == 404
    page = Client().get(f"/builds/{build.pk}/").content.decode()
    assert "Not offered to pip until an operator has looked at it: demo.pth runs" in page
    assert f"/simple/demo/{PURE}" not in page


def test_a_list_of_libraries_that_cannot_be_one_is_refused(running):
    build, pi = running
    content = wheel_bytes()
    pi.upload(build, PURE, content)

    response = pi.report(build, (PURE, content), unresolved=["../etc"])

    assert "its list of libraries has what cannot be one" in error(response)


def refusal_of(running, content, filename=PURE, apt=()):
    """Report a wheel and return why it was refused."""
    build, pi = running
    pi.upload(build, filename, content)
    response = pi.report(build, (filename, content), apt=apt)
    assert response.status_code == 422
    assert not Wheel.objects.exists()
    assert Build.objects.get(pk=build.pk).state == "failed"
    return Refusal.objects.get().reason


def test_T33_a_broken_zip_is_refused(running):
    assert refusal_of(running, b"not a zip at all")


def test_a_wheel_of_another_project_in_an_honest_name_is_refused(running):
    assert "other" in refusal_of(running, wheel_bytes(name="other"))


def test_a_wheel_whose_version_lies_is_refused(running):
    assert "2.0" in refusal_of(running, wheel_bytes(version="2.0"))


def test_a_list_of_apt_packages_that_cannot_be_one_is_refused(running):
    assert "apt" in refusal_of(running, wheel_bytes(), apt=["libpq5; rm -rf /"])


def test_a_report_of_a_wheel_that_never_came_is_refused(running):
    build, pi = running

    response = pi.report(build, (PURE, wheel_bytes()))

    assert response.status_code == 422
    assert "never uploaded" in error(response)


def test_T44_a_name_never_gets_other_bytes(running):
    build, pi = running
    first = wheel_bytes(files={"demo.py": b"x = 1\n"})
    pi.upload(build, PURE, first)
    pi.report(build, (PURE, first))
    again = Build.objects.get().again(losses=0, priority=0, why="")
    builder = Builder.objects.get()
    again.assign(builder, database_now())
    pi = Pi(again.claim(builder, build.version.files.get(), database_now()))

    other = wheel_bytes(files={"demo.py": b"x = 2\n"})
    pi.upload(again, PURE, other)
    response = pi.report(again, (PURE, other))

    assert response.status_code == 422
    assert Wheel.objects.get().sha256 == hashlib.sha256(first).hexdigest()
    assert f"build {build.pk}" in Refusal.objects.get().reason


def test_the_same_bytes_again_are_welcome(running):
    build, pi = running
    content = wheel_bytes()
    pi.upload(build, PURE, content)
    pi.report(build, (PURE, content))
    again = Build.objects.get().again(losses=0, priority=0, why="")
    builder = Builder.objects.get()
    again.assign(builder, database_now())
    pi = Pi(again.claim(builder, build.version.files.get(), database_now()))

    pi.upload(again, PURE, content)

    assert pi.report(again, (PURE, content)).status_code == 200
    assert Wheel.objects.get().build == build


def test_of_two_wheels_with_one_bad_none_is_published(running):
    build, pi = running
    good, bad = wheel_bytes(), b"bad"
    compiled = "demo-1.0-cp313-cp313-linux_armv7l.whl"
    pi.upload(build, PURE, good)
    pi.upload(build, compiled, bad)

    response = pi.report(build, (PURE, good), (compiled, bad))

    assert response.status_code == 422
    assert not Wheel.objects.exists()


def test_a_failure_is_recorded_with_its_log(running):
    build, pi = running
    pi.heartbeat(build, b"error: no compiler\n")

    verdict = pi.report(build, succeeded=False, reason="pip ended with status 1")

    assert json.loads(verdict.content)["state"] == "failed"
    assert Build.objects.get().reason == "pip ended with status 1"
    assert b"no compiler" in pi.log(build)


@pytest.mark.parametrize("duration", ["NaN", "Infinity", "1e999", "-1", "1" + "0" * 400, '"1"'])
def test_a_duration_that_is_none_is_told_so_and_the_build_goes_on(running, duration):
    build, pi = running
    body = f'{{"contract":2,"succeeded":false,"reason":"","duration_s":{duration},"wheels":[]}}'

    assert pi.post(f"builds/{build.pk}/report", body.encode()).status_code == 400
    assert pi.heartbeat(build).status_code == 200


def test_a_success_without_a_wheel_is_a_failure(running):
    build, pi = running

    assert json.loads(pi.report(build).content)["state"] == "failed"


def test_a_report_that_comes_twice_changes_nothing(running):
    build, pi = running
    content = wheel_bytes()
    pi.upload(build, PURE, content)
    pi.report(build, (PURE, content))
    revision = Package.objects.get().revision

    assert pi.report(build, (PURE, content)).status_code == 409
    assert pi.report(build, succeeded=False).status_code == 409

    assert Build.objects.get().state == "succeeded"
    assert Package.objects.get().revision == revision


def test_a_builder_has_one_report_at_a_time_whatever_ticket_it_comes_with(running):
    build, pi = running
    content = wheel_bytes()
    place = incoming.folder(build.pk).parents[1] / "places" / f"{build.builder_id}-report"
    place.parent.mkdir(parents=True)
    with place.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)

        meanwhile = pi.report_with(build, content, (PURE, content), attached=True)

    assert meanwhile.status_code == 423
    assert pi.report_with(build, content, (PURE, content), attached=True).json()["state"] == "succeeded"
    assert Wheel.objects.count() == 1


def test_T17_a_report_that_comes_too_late_is_thrown_away(running):
    build, pi = running
    content = wheel_bytes()
    pi.upload(build, PURE, content)
    Build.objects.update(lease_until=build.claimed_at)

    assert pi.report(build, (PURE, content)).status_code == 409
    assert not Wheel.objects.exists()


def test_a_cancelled_build_hears_of_it_at_its_next_heartbeat(running):
    build, pi = running

    build.cancel("enough", database_now())

    assert pi.heartbeat(build).status_code == 409


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_other_methods_are_refused(running, method):
    build, pi = running

    assert getattr(pi.client, method)(f"{API}/builds/{build.pk}/report").status_code == 405


def test_T44_two_requests_for_one_file_do_not_mix(running):
    build, pi = running
    pi.upload(build, PURE, b"half", total=8, sha256="a" * 64)

    with incoming.part(build.pk, "a" * 64).open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert pi.upload(build, PURE, b"half", offset=4, total=8, sha256="a" * 64).status_code == 423


def test_a_full_disk_is_said_before_the_bytes_are_read(running, monkeypatch):
    build, pi = running
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Disk", (), {"total": 1000, "free": 10}))

    assert pi.upload(build, PURE, b"x" * 100).status_code == 507


def test_a_report_that_the_disk_cannot_take_is_taken_when_there_is_room(running, monkeypatch):
    build, pi = running
    wheel = wheel_bytes()
    sync = disk.sync

    def full(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(disk, "sync", full)
    refused = pi.report_with(build, wheel, (PURE, wheel), attached=True)
    monkeypatch.setattr(disk, "sync", sync)

    assert refused.status_code == 507
    assert pi.report_with(build, wheel, (PURE, wheel), attached=True).status_code == 200
    assert Wheel.objects.get().filename == PURE


def test_who_reports_gets_no_order_while_the_disk_is_full(running, waiting, monkeypatch):
    build, pi = running
    token = build.builder.rekey()
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Disk", (), {"total": 1000, "free": 10}))

    verdict = pi.report_with(build, b"", succeeded=False, reason="No.", next_for=token)

    assert (verdict.status_code, json.loads(verdict.content)["next"]) == (200, None)


@pytest.mark.parametrize("number", [2**31 - 1, 2**31, 10**9, 2**63 - 1, 2**63, 10**30])
def test_numbers_that_no_row_can_have_are_nobodys_and_no_fault(running, number):
    build, pi = running
    builder = Pi(build.builder.rekey())

    assert builder.post(f"builds/{number}/1/claim").status_code == 404
    assert builder.post(f"builds/{build.pk}/{number}/claim").status_code == 404
    assert pi.post(f"builds/{number}/heartbeat").status_code in (404, 409)
    assert [Client().get(f"/builds/{number}/{page}").status_code for page in ("", "json", "log")] == [404] * 3
