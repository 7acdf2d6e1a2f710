"""An operator speaks to a builder of a running farm, also in the middle of a build."""

import time

import pytest

from tests import sdists
from tests.fake_pypi import FakePyPI
from tests.farm import Farm
from tests.test_kills import builds_on_this_machine

pytestmark = pytest.mark.whole

CANCEL = """
import time
from packages.clock import database_now
from builds.models import Build
Build.objects.assigned().get().cancel("Enough.", database_now())
print(time.time())
"""


@pytest.fixture
def farm(tmp_path, database):
    with FakePyPI() as upstream:
        upstream.add_sdist("endless", "1.0", sdists.slow_sdist("endless", "1.0", 600))
        with Farm(tmp_path, upstream.simple_url, "endless", database=database) as farm:
            farm.upstream = upstream
            yield farm


def test_a_builder_is_obeyed_within_seconds(farm):
    farm.wait_until(lambda: builds_on_this_machine(farm))
    farm.wait_until(lambda: farm.states("endless") == ["building"])

    assert "paused" in farm.manage("builder", "local-1", "pause").stdout
    time.sleep(3)
    assert builds_on_this_machine(farm), "a pause ended a build"
    clicked_at = farm.ask(CANCEL)
    farm.wait_until(lambda: not builds_on_this_machine(farm), seconds=5)
    assert time.time() - clicked_at < 5

    farm.upstream.add_sdist("endless", "2.0", sdists.pure_sdist("endless", "2.0"))
    farm.wait_until(lambda: "queued" in farm.states("endless"))
    time.sleep(3)
    assert "queued" in farm.states("endless"), "a paused builder got a build"
    farm.manage("builder", "local-1", "resume")
    farm.wait_until(lambda: "succeeded" in farm.states("endless"), seconds=30)

    farm.manage("builder", "local-1", "stop")
    assert farm.processes["builder"].wait(20) == 3
