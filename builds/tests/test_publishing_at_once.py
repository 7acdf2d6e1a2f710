"""Builds of one version for many targets that end in the same moment, with a file of the same name each."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.core.files.storage import default_storage
from django.db import connection

from builds.files.storage import stored_sha256
from builds.models import Build, Refusal, Wheel
from builds.tests.pi import PURE, Pi
from builds.tests.rows import make_builder, make_running_build, make_target, make_version
from builds.tests.wheels import make_wheel as wheel_bytes
from packages.clock import database_now

pytestmark = pytest.mark.django_db(transaction=True)

AT_ONCE = 50


def running_builds():
    """Return a build of the same version on each of many builders, each with its ticket and other bytes."""
    version, now = make_version(), database_now()
    found = []
    for number in range(AT_ONCE):
        target = make_target(f"trixie-armhf-cp3{number + 10}")
        builder = make_builder(f"pi-{number}", target=target, heard_at=now)
        build, ticket = make_running_build(builder, now=now, version=version)
        found.append((build, ticket, wheel_bytes(files={"demo.py": b"x = %d\n" % number})))
    return found


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_T44_of_fifty_that_publish_one_name_at_once_exactly_one_wins():
    begin = Barrier(AT_ONCE)

    def report(build, ticket, wheel):
        try:
            begin.wait(60)
            return Pi(ticket).report_with(build, wheel, (PURE, wheel), attached=True)
        finally:
            connection.close()

    builds = running_builds()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = [each.result() for each in [pool.submit(report, *build) for build in builds]]

    assert {answer.status_code for answer in answers} == {200}
    told = [json.loads(answer.content) for answer in answers]
    assert Counter(each["state"] for each in told) == {"succeeded": 1, "failed": AT_ONCE - 1}
    wheel = Wheel.objects.get()
    (won,) = (build for (build, _, _), each in zip(builds, told, strict=True) if each["state"] == "succeeded")
    assert wheel.build == won
    assert stored_sha256(default_storage, wheel.path) == wheel.sha256
    states = Counter(Build.objects.values_list("state", flat=True))
    # Those that came too late are tried once more, under another name.
    assert states == {"failed": AT_ONCE - 1, "succeeded": 1, "queued": AT_ONCE - 1}
    assert set(Build.objects.filter(state="failed").values_list("failure", flat=True)) == {"name-taken"}
    reasons = [each["reason"] for each in told if each["state"] == "failed"]
    assert all(f"build {won.pk} has published another file of this name" in reason for reason in reasons)
    assert not Refusal.objects.exists()
