"""The builders' door: which of the wheels that came are published, and which are refused."""

import hashlib
import json
from datetime import timedelta

import pytest
from django.test import Client

from builder import contract
from builder.tests.elves import armhf
from builds import results
from builds.attached import Attached
from builds.models import Build, Builder, Refusal, Wheel
from builds.tests.pi import PURE, Pi, error, report_of
from builds.tests.wheels import make_wheel as wheel_bytes
from packages.clock import database_now
from packages.models import Package

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]


def test_the_index_changes_with_the_publication_and_not_before(running):
    build, pi = running
    content = wheel_bytes()
    before = Package.objects.get().revision

    pi.upload(build, PURE, content)
    assert Package.objects.get().revision == before
    assert not Wheel.objects.exists()

    pi.report(build, (PURE, content))
    assert Package.objects.get().revision > before


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


def test_no_apt_package_is_named_as_apt_names_what_it_removes(running):
    assert "list of apt packages" in refusal_of(running, wheel_bytes(), apt=["libpq5", "sudo-"])


def test_a_report_of_a_wheel_that_never_came_is_refused(running):
    build, pi = running

    response = pi.report(build, (PURE, wheel_bytes()))

    assert response.status_code == 422
    assert "never uploaded" in error(response)


def begun_again():
    """Have the builder begin the next attempt at what it has built; return that, and who holds its ticket."""
    build, builder, now = Build.objects.get(), Builder.objects.get(), database_now()
    again = build.again(losses=0, priority=0, why="")
    again.assign(builder, now)
    return again, Pi(again.claim(builder, build.version.files.get(), now))


def test_T44_a_name_never_gets_other_bytes(running):
    build, pi = running
    first = wheel_bytes(files={"demo.py": b"x = 1\n"})
    pi.upload(build, PURE, first)
    pi.report(build, (PURE, first))
    again, pi = begun_again()

    other = wheel_bytes(files={"demo.py": b"x = 2\n"})
    pi.upload(again, PURE, other)
    response = pi.report(again, (PURE, other))

    assert response.status_code == 422
    assert Wheel.objects.get().sha256 == hashlib.sha256(first).hexdigest()
    assert f"build {build.pk}" in Refusal.objects.get().reason


def test_a_wheel_is_published_when_its_row_is_written_and_not_when_it_was_reported(running):
    """It may take minutes to look at and to store; builds that begin meanwhile find its name free."""
    build, pi = running
    content = wheel_bytes()
    pi.upload(build, PURE, content)
    report = contract.decode(contract.BuildReport, report_of((PURE, content)))
    meanwhile = database_now()

    found = Build.objects.of_request(build.pk)
    results.close(found, report, Attached(0, b"", None), meanwhile - timedelta(minutes=1))

    assert Wheel.objects.get().published_at >= meanwhile


def test_the_same_bytes_again_are_welcome(running):
    build, pi = running
    content = wheel_bytes()
    pi.upload(build, PURE, content)
    pi.report(build, (PURE, content))
    again, pi = begun_again()

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
