"""A builder that the kernel ends because something beside it takes all the memory."""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import sdists
from tests.fake_pypi import FakePyPI
from tests.farm import Farm

GROUPS = Path("/sys/fs/cgroup")
# Version 1 of control groups has a tree for each kind of limit.
IS_V1 = (GROUPS / "memory").exists()
MEMORY = GROUPS / "memory" if IS_V1 else GROUPS
LIMIT = "memory.limit_in_bytes" if IS_V1 else "memory.max"

pytestmark = [
    pytest.mark.whole,
    pytest.mark.faults,
    pytest.mark.skipif(not os.access(MEMORY, os.W_OK), reason="to make a control group needs root"),
]

# Takes more and more, and keeps it.
HOG = """
import time
from pathlib import Path
Path({group!r}, "cgroup.procs").write_text("0")
kept = []
while True:
    kept.append(bytes(range(256)) * (8 << 12))
    time.sleep(0.02)
"""


@contextmanager
def small_group(name, size):
    """Have a control group in which there is so much memory."""
    group = MEMORY / name
    group.mkdir()
    (group / LIMIT).write_text(str(size))
    try:
        yield group
    finally:
        group.rmdir()


class Confined(Farm):
    """A farm whose builder lives in a control group."""

    group = None

    def commands(self):
        commands = super().commands()
        enter = ["sh", "-c", f'echo $$ > {self.group}/cgroup.procs; exec "$@"', "sh"]
        return commands | {"builder": [*enter, *commands["builder"]]}


def test_T19_a_builder_that_the_kernel_kills_for_memory_loses_its_build_once(tmp_path, database):
    with (
        small_group(f"piwheels-test-{os.getpid()}", 300 << 20) as Confined.group,
        FakePyPI() as upstream,
    ):
        for number in range(4):
            upstream.add_sdist("oom", f"{number}.0", sdists.slow_sdist("oom", f"{number}.0", 5.0))
        with Confined(tmp_path, upstream.simple_url, "all", database=database) as farm:
            farm.wait_until(lambda: "building" in farm.states("oom"))
            builder = farm.processes["builder"]
            # It first, and not what it has started or the hog.
            Path(f"/proc/{builder.pid}/oom_score_adj").write_text("1000")
            hog = subprocess.Popen([sys.executable, "-c", HOG.format(group=str(Confined.group))])
            try:
                status = builder.wait(60)
            finally:
                hog.kill()
                hog.wait()
            farm.end("builder")
            # As systemd does.
            farm.start("builder")
            farm.wait_until(lambda: farm.states("oom") == ["succeeded"] * 4, seconds=180)
            builds = farm.builds()

    assert status == -9
    assert sorted(build["state"] for build in builds) == ["lost", *["succeeded"] * 4]
    assert {build["losses"] for build in builds} == {0, 1}
