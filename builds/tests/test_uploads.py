"""The builders' door: how wheels arrive, in pieces and whole."""

import fcntl
import hashlib

import pytest

from builder import contract
from builds.api import PIECE_LIMIT
from builds.files import incoming
from builds.tests.pi import PURE, error
from builds.tests.wheels import make_wheel as wheel_bytes

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]


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


def test_more_bytes_than_a_build_may_bring_are_refused(running, settings):
    build, pi = running
    settings.PIWHEELS_MAX_WHEEL_BYTES = 1000
    assert pi.upload(build, PURE, b"x" * 600).status_code == 200

    answer = pi.upload(build, PURE, b"y" * 500)

    assert answer.status_code == 400
    assert "All wheels of a build have 1000 bytes at most" in error(answer)
    assert pi.upload(build, PURE, b"z" * 400).status_code == 200


def test_a_disk_has_to_take_only_what_has_not_arrived_yet(running, monkeypatch):
    """And a copy of the whole in the storage."""
    build, pi = running
    assert pi.upload(build, PURE, b"x" * 300, total=400, sha256="a" * 64).status_code == 200
    spare = incoming._SPARE * 1000
    disk = {"total": 1000, "free": spare + 500}
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Disk", (), disk))

    last = pi.upload(build, PURE, b"x" * 99, offset=300, total=400, sha256="a" * 64)
    disk["free"] = spare + 400
    one_more = pi.upload(build, PURE, b"x", offset=399, total=400, sha256="a" * 64)

    assert (last.status_code, one_more.status_code) == (200, 507)


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
