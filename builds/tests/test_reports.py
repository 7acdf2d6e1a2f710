"""The builders' door: how a build ends."""

import errno
import fcntl
import hashlib
import json
import os

import pytest
from botocore.config import Config
from django.core.files.storage import default_storage

from builds import dispatch
from builds.files import incoming
from builds.models import Build, Refusal, Wheel
from builds.tests.pi import PURE
from builds.tests.storages import use
from builds.tests.wheels import make_wheel as wheel_bytes
from packages import disk
from packages.clock import database_now
from packages.models import Package
from tests import buckets

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]


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


@pytest.mark.parametrize("is_taken_back", [True, False])
def test_T17_a_report_that_comes_after_its_build_was_taken_back_is_thrown_away(running, is_taken_back):
    build, pi = running
    content = wheel_bytes()
    pi.upload(build, PURE, content)
    Build.objects.update(lease_until=build.claimed_at)
    if is_taken_back:
        assert dispatch.close_lost(database_now()) == 1

    assert pi.report(build, (PURE, content)).status_code == (409 if is_taken_back else 200)
    assert Wheel.objects.exists() != is_taken_back
    assert dispatch.close_lost(database_now()) == 0


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


def test_a_report_while_the_bucket_is_away_leaves_the_build_running_and_is_taken_later(running, settings):
    build, pi = running
    wheel = wheel_bytes()
    with buckets.server_of_its_own() as url:
        away = buckets.make_bucket("wheels", url)
    away["OPTIONS"]["client_config"] = Config(retries={"total_max_attempts": 1}, connect_timeout=1)
    use(settings, away)

    refused = pi.report_with(build, wheel, (PURE, wheel), attached=True)

    assert refused.status_code == 507
    build.refresh_from_db()
    assert (build.state, build.finished_at) == ("building", None)
    assert not Wheel.objects.exists()
    use(settings, buckets.make_bucket("wheels"))
    assert pi.report_with(build, wheel, (PURE, wheel), attached=True).status_code == 200
    assert Wheel.objects.get().filename == PURE
