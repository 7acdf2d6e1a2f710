"""Builders whose cables are pulled, both or one of them, and a builder at the end of a slow line."""

import hashlib
import os
import signal
import time
from contextlib import contextmanager, suppress

import psutil
import pytest
import requests

from tests import sdists
from tests.cables import NAMES, Cable, Cabled, blocked, cables, pulled, sent, slow_down
from tests.fake_pypi import FakePyPI

pytestmark = [
    pytest.mark.whole,
    pytest.mark.faults,
    pytest.mark.skipif(os.geteuid() != 0, reason="making network namespaces needs root"),
    pytest.mark.skipif("DATABASE_URL" not in os.environ, reason="several builders need PostgreSQL"),
]

# In seconds: the ten minutes, unless somebody is in a hurry.
CUT_S = float(os.environ.get("PIWHEELS_TEST_CUT_S", "600"))
# As long as a builder tries to claim, and as the server waits for a claim, and some.
HALF_CUT_S = 150.0
# Longer than a builder waits for the next byte.
BREAK_S = 90.0
# Of the packets that nobody answers: a request costs some five, a loop without a pause thousands.
MOST_PER_S = 5
# A wheel that comes with its report, and one that needs two uploads.
RATE, SIZES = "256kbit", (400 << 10, 4300 << 10)


@contextmanager
def farm_of(tmp_path, database, names, **packages):
    """Have a farm that is to build these sdists."""
    with cables(names), FakePyPI(host=Cable.WEB.server) as upstream:
        for package, sdist in packages.items():
            upstream.add_sdist(package, "1.0", sdist)
        with Cabled(tmp_path, upstream, names, database) as farm:
            yield farm


def slow_ones(number):
    """Return that many packages which take a second each."""
    names = [f"cut{which:03d}" for which in range(number)]
    return {name: sdists.slow_sdist(name, "1.0", 1.0) for name in names}


def power_cut(processes):
    """Stop all of these at the same moment, as the loss of power does."""
    for end in (signal.SIGSTOP, signal.SIGKILL):
        for process in processes:
            # A program of a build's may have just come to its own end.
            with suppress(psutil.NoSuchProcess):
                process.send_signal(end)


def check_all_were_built_once(farm, packages, losses):
    """Check that each build ended once, however many were lost before, and that its file is as listed."""
    builds = farm.builds()
    ended = sorted(build["version__package__name"] for build in builds if build["state"] == "succeeded")
    assert ended == sorted(packages)
    assert {build["state"] for build in builds} <= {"succeeded", "lost"}
    assert len(builds) <= len(packages) + losses
    for package in packages:
        (file,) = farm.files(package).values()
        answer = requests.get(f"{farm.address}/simple/{package}/{file['filename']}", timeout=10)
        assert hashlib.sha256(answer.content).hexdigest() == file["hashes"]["sha256"]
    assert [path for name in farm.names for path in farm.work_of(name).glob("*/[0-9]*-[0-9]*")] == []


def test_T06_each_of_a_hundred_builds_ends_exactly_once(tmp_path, database):
    packages = slow_ones(100)
    with farm_of(tmp_path, database, NAMES, **packages) as farm:
        farm.wait_until(lambda: farm.count("succeeded") >= 5, seconds=300)
        farm.wait_until(lambda: farm.is_building("pi-a"))
        farm.end("pi-a", signal.SIGKILL)
        farm.wait_until(lambda: farm.is_building("pi-b"))
        power_cut(farm.tree("pi-b"))
        farm.processes["pi-b"].wait(20)
        farm.wait_until(lambda: farm.is_building("pi-c"))
        with pulled("pi-c", *Cable):
            cut_at = time.monotonic()
            farm.start("pi-a")
            farm.start("pi-b")
            farm.wait_until(lambda: farm.count("succeeded") >= len(packages) - 1, seconds=2400)
            time.sleep(max(0.0, CUT_S - (time.monotonic() - cut_at)))

        farm.wait_until(lambda: farm.count("succeeded") == len(packages), seconds=300)
        # What each of the three had may have been lost once: a report is tried for ten minutes as well.
        check_all_were_built_once(farm, packages, losses=len(NAMES))


@pytest.mark.parametrize("cable", list(Cable))
def test_T07_a_builder_that_reaches_half_of_the_server_loses_nothing(
    cable, tmp_path, database, record_property
):
    packages = slow_ones(16)
    with farm_of(tmp_path, database, NAMES[:2], **packages) as farm:
        farm.wait_until(lambda: farm.count("succeeded") >= 2, seconds=120)
        farm.wait_until(lambda: farm.is_building("pi-a"))
        with blocked("pi-a", cable):
            before = sent("pi-a", cable)
            time.sleep(HALF_CUT_S)
            in_vain = sent("pi-a", cable) - before
            built = farm.count("succeeded")

        farm.wait_until(lambda: farm.count("succeeded") == len(packages), seconds=300)
        check_all_were_built_once(farm, packages, losses=1)
    # The other builder has not waited.
    assert built >= len(packages) - 2
    assert in_vain / HALF_CUT_S < MOST_PER_S
    record_property("packets in vain", in_vain)


def test_T08_wheels_come_whole_over_a_slow_line_that_breaks(tmp_path, database, record_property):
    packages = {f"bulky{size}": sdists.bulky_sdist(f"bulky{size}", "1.0", size) for size in SIZES}
    began = time.monotonic()
    with farm_of(tmp_path, database, NAMES[:1], **packages) as farm:
        slow_down("pi-a", Cable.WEB, RATE)
        log = farm.var / "pi-a.log"
        incoming = farm.var / "incoming"

        def came():
            return sum(path.stat().st_size for path in incoming.rglob("*") if path.is_file())

        farm.wait_until(lambda: came() > 1 << 20, seconds=600)
        assert "stopped at byte" not in log.read_text()
        with blocked("pi-a", Cable.WEB):
            time.sleep(BREAK_S)
        farm.wait_until(lambda: farm.count("succeeded") == len(packages), seconds=900)
        assert "stopped at byte" in log.read_text(), "the line came back, and nothing was to be resumed"
        check_all_were_built_once(farm, packages, losses=0)
    record_property("bytes of wheels", sum(SIZES))
    record_property("seconds", time.monotonic() - began)
