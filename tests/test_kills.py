"""`kill -9` of each process in the middle of real builds: every build ends once, and no link ever breaks.

That of servers is left to the campaign, as a short one beside played builders is among the everyday tests.
"""

import hashlib
from pathlib import Path

import psutil
import pytest
import requests

from tests import sdists
from tests.fake_pypi import FakePyPI
from tests.farm import Farm
from tests.readers import Reader

pytestmark = pytest.mark.whole

PACKAGES = [f"slow{number}" for number in range(4)]


@pytest.fixture
def farm(tmp_path, database):
    with FakePyPI() as upstream:
        for package in PACKAGES:
            upstream.add_sdist(package, "1.0", sdists.slow_sdist(package, "1.0", 1.5))
        with Farm(tmp_path, upstream.simple_url, *PACKAGES, database=database) as farm:
            yield farm


@pytest.mark.parametrize(
    "victim",
    ["builder", *(pytest.param(name, marks=pytest.mark.faults) for name in ("worker", "web", "redis"))],
)
def test_T01_a_kill_in_the_middle_of_a_real_build_loses_nothing(farm, victim):
    # Where the server itself is killed, what counts is what it says when it is up.
    with Reader(farm.address, PACKAGES, excuses=lambda since: victim == "web") as reader:
        farm.wait_until(lambda: "building" in farm.states(*PACKAGES))

        farm.end(victim)
        if victim == "builder":
            farm.wait_until(lambda: not builds_on_this_machine(farm))
        farm.start(victim)

        farm.wait_until(lambda: farm.states(*PACKAGES) == ["succeeded"] * len(PACKAGES), seconds=240)
    builds = farm.builds()
    ended = [build["version__package__name"] for build in builds if build["state"] == "succeeded"]
    assert sorted(ended) == PACKAGES
    assert {build["state"] for build in builds} <= {"succeeded", "lost"}
    reader.check()
    for package in PACKAGES:
        (file,) = farm.files(package).values()
        answer = requests.get(f"{farm.address}/simple/{package}/{file['filename']}", timeout=10)
        assert hashlib.sha256(answer.content).hexdigest() == file["hashes"]["sha256"]


def builds_on_this_machine(farm):
    """What still runs of the farm's builds: who names its work folder, or has parts of that in a sandbox."""
    work = str(farm.var / "work")
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if work in " ".join(process.info["cmdline"] or []) or work in mounts_of(process)
    ]


def mounts_of(process):
    """What a process has mounted, and from where; nothing of one that has ended."""
    try:
        return Path(f"/proc/{process.pid}/mountinfo").read_text()
    except OSError:
        return ""
