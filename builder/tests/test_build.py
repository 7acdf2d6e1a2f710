import errno
import hashlib
import io
import os
import platform
import sys
import sysconfig
import tempfile
import time
import zipfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import pytest

from builder import libraries, preflight
from builder.build import _Attempt, sendable
from builder.build import build as carry_out
from builder.contract import CONTRACT, REPORT_LIMIT, BuildReport, Fetched, WheelReport
from builder.log import Log
from builder.place import made
from builder.proxy import PackageProxy
from builder.sandbox import Kind, Level
from builder.source import fetch
from builder.tests.sdists import COMPILE, make_sdist
from builder.tests.server import make_order
from builder.tests.test_programs import is_alive, written_pid


@cache
def best() -> Kind:
    """The best sandbox that this machine offers, found out once."""
    with tempfile.TemporaryDirectory() as folder:
        return preflight.find(Path(folder))


def build(order, client, pi):
    """Carry out an order in the best sandbox, or in none for a builder that wants none."""
    carry_out(order, client, pi, Kind(Level.BARE) if pi.sandbox_at_most == "bare" else best())


# Too large to come with a report.
LARGE = 'members["large.bin"] = os.urandom(300_000)'


def log_of(server) -> str:
    return bytes(server.logs[1]).decode()


# An order for the machine that runs the tests.
HOST = {
    "platform": sysconfig.get_platform(),
    "platforms": (sysconfig.get_platform().replace("-", "_").replace(".", "_"),),
    "architecture": {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armhf"}[platform.machine()],
    "abi": f"cp{sys.version_info.major}{sys.version_info.minor}",
}


@pytest.fixture
def bare_pi(pi):
    """A builder without a sandbox, whose builds can tell the test of themselves through files."""
    return replace(pi, sandbox_at_most="bare")


def test_a_pure_package_becomes_a_wheel(server, client, pi):
    build(server.order("tiny-1.0.tar.gz", make_sdist()), client, pi)

    ((filename, content),) = server.uploads.items()
    (report,) = server.reports
    assert filename == "tiny-1.0-py3-none-any.whl"
    assert zipfile.ZipFile(io.BytesIO(content)).read("tiny.py") == b"answer = 42\n"
    assert report["succeeded"]
    assert report["reason"] == ""
    assert report["duration_s"] > 0
    (wheel,) = report["wheels"]
    assert wheel["filename"] == filename
    assert (wheel["size"], wheel["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert wheel["apt"] == []
    assert "Successfully built tiny" in log_of(server)
    assert [path.name for path in (pi.work / "pi-07").iterdir()] == ["cache"]


def test_a_wheel_is_tried_by_importing_what_it_brings(server, client, pi):
    before = 'members["other.py"] = b"import tiny, nowhere"'

    build(server.order("tiny-1.0.tar.gz", make_sdist(before), rebuild_under_s=0), client, pi)

    trial = server.reports[0]["wheels"][0]["trial"]
    assert trial["outcome"] == "fails"
    assert trial["detail"] == "import other: ModuleNotFoundError: No module named 'nowhere'"


def test_what_an_import_says_is_told_without_the_characters_that_no_report_can_have(server, client, pi):
    before = """members["other.py"] = b"raise SystemExit('no' + chr(0) + ' luck')" """

    build(server.order("tiny-1.0.tar.gz", make_sdist(before), rebuild_under_s=0), client, pi)

    assert server.reports[0]["wheels"][0]["trial"]["detail"] == "import other: no luck"


def test_an_import_that_does_not_end_proves_nothing_and_costs_the_builder_little(server, client, pi):
    before = 'members["other.py"] = b"import time; time.sleep(600)"'
    began = time.monotonic()

    build(server.order("tiny-1.0.tar.gz", make_sdist(before), rebuild_under_s=0, time_limit_s=8), client, pi)

    trial = server.reports[0]["wheels"][0]["trial"]
    assert (trial["outcome"], trial["detail"]) == ("unknown", "import other: it reached a limit: time")
    assert server.reports[0]["succeeded"]
    assert time.monotonic() - began < 60


def test_cargo_asks_the_proxy_for_the_crates_of_the_registry_that_the_server_names(server, client, pi):
    before = "raise SystemExit(Path(os.environ['HOME'], '.cargo', 'config.toml').read_text())"
    order = server.order("tiny-1.0.tar.gz", make_sdist(before), crates="https://crates.example.org/")

    build(order, client, pi)

    assert 'registry = "sparse+http://127.0.0.1:' in log_of(server)


def test_whose_index_failed_is_not_blamed_for_it(server, client, pi, monkeypatch):
    monkeypatch.setattr(PackageProxy, "failed", property(lambda _: True))

    build(server.order("tiny-1.0.tar.gz", make_sdist("raise SystemExit(1)")), client, pi)

    assert server.reports[0]["failure"] == "proxy-failed"


def test_a_limit_that_was_reached_is_the_packages_also_when_an_index_failed(server, client, pi, monkeypatch):
    monkeypatch.setattr(PackageProxy, "failed", property(lambda _: True))
    before = "import time; time.sleep(600)"

    build(server.order("tiny-1.0.tar.gz", make_sdist(before), time_limit_s=3), client, pi)

    assert server.reports[0]["failure"] == "timeout"


@pytest.mark.skipif(not Path("/usr/bin/gcc").exists(), reason="needs gcc")
def test_an_extension_is_named_for_the_target_and_its_libraries_are_found(server, client, pi):
    build(server.order("tiny-1.0.tar.gz", make_sdist(COMPILE), **HOST), client, pi)

    (wheel,) = server.reports[0]["wheels"]
    assert wheel["filename"].endswith(f"-{HOST['platforms'][0]}.whl")
    assert wheel["trial"]["outcome"] == "fails"  # a library, but no module of Python's
    if not libraries.DPKG.is_dir():
        pytest.skip("only dpkg knows which package a library is of")
    assert [apt.split(" ")[0] for apt in wheel["apt"]] == ["libc6"]


def test_the_same_order_gives_the_builders_own_platform_where_it_is_the_target(server, client, pi):
    order = server.order("tiny-1.0.tar.gz", make_sdist("tag = native"), **HOST)

    build(order, client, pi)

    (filename,) = server.uploads
    assert filename.endswith(sysconfig.get_platform().replace("-", "_").replace(".", "_") + ".whl")


def test_a_source_with_other_bytes_is_not_built(server, client, pi):
    build(server.order("tiny-1.0.tar.gz", make_sdist(), sha256="1" * 64), client, pi)

    (report,) = server.reports
    assert not report["succeeded"]
    assert report["reason"].startswith("The sha256 of tiny-1.0.tar.gz is ")
    assert report["duration_s"] == 0
    assert report["reason"] in log_of(server)
    assert "Processing" not in log_of(server)


def test_a_backend_that_fails_is_a_failed_build(server, client, pi):
    build(server.order("tiny-1.0.tar.gz", make_sdist("raise SystemExit('no such luck')")), client, pi)

    (report,) = server.reports
    assert report["reason"] == "`pip wheel` ended with exit code 1; the log says why."
    assert report["duration_s"] > 0
    assert "no such luck" in log_of(server)
    assert server.uploads == {}


def test_what_is_no_archive_is_a_failed_build(server, client, pi):
    build(server.order("tiny-1.0.tar.gz", b"<html>"), client, pi)

    assert server.reports[0]["reason"].startswith("tiny-1.0.tar.gz cannot be unpacked")
    assert server.reports[0]["failure"] == "bad-source"


def test_the_time_limit_ends_a_build_and_its_daemons(server, client, bare_pi, tmp_path):
    before = f"""
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        Path({str(tmp_path / "pid")!r}).write_text(str(os.getpid()))
        import time; time.sleep(600)
    os._exit(0)
import time; time.sleep(600)
"""
    build(server.order("tiny-1.0.tar.gz", make_sdist(before), time_limit_s=5), client, bare_pi)

    assert server.reports[0]["reason"] == "`pip wheel` took longer than 5 s and was stopped."
    assert server.reports[0]["failure"] == "timeout"
    assert not is_alive(written_pid(tmp_path / "pid"))
    assert [path.name for path in (bare_pi.work / "pi-07").iterdir()] == ["cache"]


def test_the_log_arrives_while_the_build_runs(server, client, bare_pi, tmp_path):
    go_on = tmp_path / "go-on"
    before = f"""
import time
os.write(2, b"half way\\n")
while not os.path.exists({str(go_on)!r}): time.sleep(0.01)
raise SystemExit("the end")
"""

    def answer():
        # pip shows what a backend prints when that has ended; the log says at once what we do.
        if b"Processing" in server.logs[1]:
            seen.append(len(server.reports))
            go_on.touch()

    seen: list[int] = []
    server.on_heartbeat = answer
    build(server.order("tiny-1.0.tar.gz", make_sdist(before)), client, bare_pi)

    assert seen[0] == 0
    assert "half way" in log_of(server)


def test_a_dead_ticket_ends_a_build_without_a_report(server, client, bare_pi, tmp_path):
    before = f"""
Path({str(tmp_path / "pid")!r}).write_text(str(os.getpid()))
import time; time.sleep(600)
"""
    order = server.order("tiny-1.0.tar.gz", make_sdist(before))
    server.on_heartbeat = lambda: setattr(server, "ticket_is_dead", (tmp_path / "pid").exists())
    began = time.monotonic()

    build(order, client, bare_pi)

    assert time.monotonic() - began < 30
    assert server.requests("POST", "report") == []
    assert not is_alive(written_pid(tmp_path / "pid"))
    assert [path.name for path in (bare_pi.work / "pi-07").iterdir()] == ["cache"]


def test_a_ticket_that_dies_at_the_report_is_forgotten(server, client, pi):
    server.fail("POST", "report", status=409)

    build(server.order("tiny-1.0.tar.gz", make_sdist()), client, pi)

    assert server.reports == []
    assert len(server.requests("POST", "report")) == 1


def test_an_upload_survives_a_cut(server, client, pi):
    server.fail("PATCH", "wheels")
    server.fail("PATCH", "wheels", status=502)

    build(server.order("tiny-1.0.tar.gz", make_sdist(LARGE)), client, pi)

    (content,) = server.uploads.values()
    assert server.reports[0]["wheels"][0]["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_small_wheel_and_the_rest_of_the_log_come_with_the_report(server, client, pi):
    build(server.order("tiny-1.0.tar.gz", make_sdist()), client, pi)

    assert server.reports[0]["attached"]
    # On a slow machine a heartbeat may have brought all of the log.
    assert server.reports[0]["log_length"] > 0 or server.requests("POST", "heartbeat")
    assert server.requests("PATCH", "wheels") == []


def test_a_wheel_that_the_server_refuses_is_a_failed_build(server, client, pi):
    server.refuses_upload = True

    build(server.order("tiny-1.0.tar.gz", make_sdist(LARGE)), client, pi)

    assert server.reports[0]["reason"] == "The server refused the wheel: That was not ordered."


def test_what_was_fetched_is_left_out_of_a_report_that_would_be_larger_than_the_server_takes():
    many = tuple(
        Fetched(f"{number}.whl", f"https://x.test/{'y' * 900}", "0" * 64, 1) for number in range(400)
    )
    report = BuildReport(CONTRACT, False, "It is not done.", 3.0, (), failure="timeout", fetched=many)

    assert sendable(report) == replace(report, fetched=())
    assert sendable(replace(report, fetched=many[:9])) == replace(report, fetched=many[:9])


def test_a_build_of_wheels_that_need_more_than_can_be_told_has_failed():
    libraries = tuple(f"{number}{'x' * 900}.so" for number in range(400))
    wheel = WheelReport("tiny-1.0.whl", 1, "0" * 64, (), unresolved=libraries)
    report = BuildReport(CONTRACT, True, "", 3.0, (wheel,), attached=True)

    told = sendable(report)

    assert (told.succeeded, told.failure, told.wheels, told.attached) == (False, "bad-output", (), False)
    assert f"{REPORT_LIMIT} are taken" in told.reason
    assert told.duration_s == 3.0


def test_a_refused_report_is_the_end(server, client, pi):
    server.refuses_report = True

    build(server.order("tiny-1.0.tar.gz", make_sdist()), client, pi)

    assert len(server.reports) == 1


def test_a_build_sees_no_secret_and_a_home_of_its_own(server, client, pi, monkeypatch):
    monkeypatch.setenv("PIWHEELS_BUILDER_TOKEN", pi.token)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")

    build(
        server.order("tiny-1.0.tar.gz", make_sdist("raise SystemExit(repr(dict(os.environ)))")),
        client,
        pi,
    )

    assert "'PIWHEELS_BUILD': '1'" in log_of(server)
    home = "/home/build" if server.reports[0]["sandbox"] != "bare" else f"{pi.work}/pi-07/1-1/home"
    assert f"'HOME': '{home}'" in log_of(server)
    assert pi.token not in log_of(server)
    assert server.orders[(1, 1)].ticket not in log_of(server)
    assert "PIP_INDEX_URL" not in log_of(server)


def test_a_build_may_leave_more_than_one_wheel(server, client, pi):
    before = """
with zipfile.ZipFile(out / "other-1.0-py3-none-any.whl", "w") as other:
    other.writestr("other-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
    other.writestr("other-1.0.dist-info/RECORD", "")
"""

    build(server.order("tiny-1.0.tar.gz", make_sdist(before)), client, pi)

    assert sorted(server.uploads) == ["other-1.0-py3-none-any.whl", "tiny-1.0-py3-none-any.whl"]
    assert len(server.reports[0]["wheels"]) == 2


def test_a_link_to_a_secret_is_not_uploaded(server, client, pi, tmp_path):
    (tmp_path / "secret").write_text("token")
    before = f'(out / "other-1.0-py3-none-any.whl").symlink_to({str(tmp_path / "secret")!r})'

    build(server.order("tiny-1.0.tar.gz", make_sdist(before)), client, pi)

    assert server.reports[0]["reason"].startswith("other-1.0-py3-none-any.whl is not a regular file")
    assert server.uploads == {}


def test_T40_a_flood_is_cut_and_its_end_arrives(server, client, pi):
    before = """
for _ in range(300): os.write(2, b"flood " * 10_000)
raise SystemExit("the last word")
"""
    build(server.order("tiny-1.0.tar.gz", make_sdist(before)), client, pi)

    log = log_of(server)
    assert len(log) <= 10 << 20
    assert "the log is too long" in log
    assert "the last word" in log[-20_000:]
    assert log.endswith("[piwheels: `pip wheel` ended with exit code 1; the log says why.]\n")


def test_a_source_that_cannot_be_reached_is_no_fault_of_the_package(server, client, pi, monkeypatch):
    monkeypatch.setitem(fetch.__kwdefaults__, "pauses_s", (0.0,))
    server.fail("GET", "sources", times=9, status=503)

    build(server.order("tiny-1.0.tar.gz", make_sdist()), client, pi)

    assert server.reports[0]["failure"] == "source-unreachable"
    assert "503" in server.reports[0]["reason"]


def test_a_source_that_is_not_there_is_a_failed_build(server, client, pi, monkeypatch):
    monkeypatch.setitem(fetch.__kwdefaults__, "pauses_s", (0.0,))
    server.fail("GET", "sources", times=9, status=404)

    build(server.order("tiny-1.0.tar.gz", make_sdist()), client, pi)

    assert "404" in server.reports[0]["reason"]
    assert server.reports[0]["failure"] == "no-source"


class FullLog(Log):
    """A log on a disk that takes nothing more."""

    def write(self, chunk):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_told_of_though_the_log_cannot_be_written(client, pi, tmp_path):
    with made(tmp_path / "1-1") as place, FullLog(tmp_path) as log:
        attempt = _Attempt(make_order(), place, client, pi, Kind(Level.BARE), log, Event())

        report = attempt.report()

    assert report.failure == "builder-disk-full"
    assert "No space left on device" in report.reason


def test_a_build_for_which_the_disk_has_no_room_says_nothing_of_its_package(server, client, pi, monkeypatch):
    size = 8 << 30
    full = SimpleNamespace(
        f_frsize=1, f_blocks=size, f_bfree=size // 8, f_bavail=size // 8, f_files=0, f_ffree=0, f_favail=0
    )
    monkeypatch.setattr(os, "statvfs", lambda folder: full)

    build(server.order("tiny-1.0.tar.gz", make_sdist()), client, pi)

    assert server.reports[0]["failure"] == "builder-disk-full"
    assert "0 bytes are left for a build" in server.reports[0]["reason"]


def test_a_fault_of_the_builder_is_no_report(server, client, pi):
    # A name that no file can have: trouble with a disk, of which the package knows nothing.
    order = server.order("x" * 300 + ".tar.gz", make_sdist())

    with pytest.raises(OSError, match="File name too long"):
        build(order, client, pi)

    assert server.requests("POST", "report") == []
    assert list((pi.work / "pi-07").iterdir()) == []
