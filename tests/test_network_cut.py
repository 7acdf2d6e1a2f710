"""A hundred builds on three builders: one is killed, one loses its power, one its network for ten minutes.

Each builder lives in a network namespace of its own, joined to the server's by a cable that the test can
pull.  Needs root; `make test-faults` runs it, as ten minutes without a network take ten minutes.
"""

import contextlib
import hashlib
import os
import re
import signal
import subprocess
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import environ
import psutil
import psycopg2
import pytest
import requests

from deploy import farm as miniature
from tests import sdists
from tests.fake_pypi import FakePyPI
from tests.farm import Farm

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(os.geteuid() != 0, reason="making network namespaces needs root"),
    pytest.mark.skipif("DATABASE_URL" not in os.environ, reason="several builders need PostgreSQL"),
]

BUILDS = 100
# In seconds; the ten minutes, unless somebody is in a hurry.
CUT_S = float(os.environ.get("PIWHEELS_TEST_CUT_S", "600"))
SERVER = "10.77.0.1"
NAMES = ("pi-a", "pi-b", "pi-c")
PACKAGES = [f"cut{number:03d}" for number in range(BUILDS)]


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextmanager
def network():
    """Give each builder a namespace with one cable, to a bridge that has the server's address."""
    with ExitStack() as undo:
        ip("link", "add", "pwbr0", "type", "bridge")
        undo.callback(ip, "link", "del", "pwbr0")
        ip("addr", "add", f"{SERVER}/24", "dev", "pwbr0")
        ip("link", "set", "pwbr0", "up")
        for number, name in enumerate(NAMES, start=2):
            # A run that was killed leaves its end of a cable.
            subprocess.run(["ip", "link", "del", f"pw-{name}"], check=False, capture_output=True)
            ip("netns", "add", name)
            undo.callback(ip, "netns", "del", name)
            ip("link", "add", f"pw-{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", f"pw-{name}", "master", "pwbr0", "up")
            ip("-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield


class Cabled(Farm):
    """A farm whose server listens on the bridge, with three builders, each at the end of its own cable."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.env |= {
            "ALLOWED_HOSTS": f"{SERVER},127.0.0.1",
            "PIWHEELS_LEASE_S": "900",
            "PIWHEELS_REFRESH_S": "600",
            "PIWHEELS_CLAIM_S": "30",
        }
        self.broker = self.port + 1
        self.tokens = {}

    def commands(self):
        commands = super().commands()
        commands["web"] += ["--bind", f"{SERVER}:{self.port}"]
        commands["redis"] += ["--bind", SERVER, "--port", str(self.broker), "--protected-mode", "no"]
        builder = commands.pop("builder")
        return commands | {name: ["ip", "netns", "exec", name, *builder] for name in NAMES}

    def environment(self, name):
        if name not in NAMES:
            return super().environment(name)
        if name not in self.tokens:
            done = self.manage("create_builder", name, self.target)
            assert done.returncode == 0, done.stderr
            (self.tokens[name],) = re.findall(r"\b[A-Za-z0-9_-]{43}\b", done.stdout)[:1]
        return miniature.builder_settings(self.env, f"http://{SERVER}:{self.port}") | {
            "PIWHEELS_BUILDER": name,
            "PIWHEELS_BUILDER_TOKEN": self.tokens[name],
            "PIWHEELS_ORDERS_URL": f"redis://{SERVER}:{self.broker}/0",
            "PIWHEELS_WORK": str(self.var / "work" / name),
        }

    @property
    def target(self):
        return self.ask(
            "import json; from builds.models import Target; "
            "print(json.dumps(Target.objects.get(is_active=True).key))"
        )

    def tree(self, name):
        """Return a builder's processes, those of its build included."""
        top = psutil.Process(self.processes[name].pid)
        return [top, *top.children(recursive=True)]

    def count(self, state):
        """Return how many builds are in a state; asked so often that a shell for each would be the load."""
        return self.first("SELECT count(*) FROM builds_build WHERE state = %s", state)

    def is_building(self, name):
        sql = (
            "SELECT count(*) FROM builds_build build "
            "JOIN builds_builder builder ON builder.id = build.builder_id "
            "WHERE builder.name = %s AND build.state = 'building'"
        )
        return self.first(sql, name) == 1

    def first(self, sql, *values):
        server = environ.Env.db_url_config(self.env["DATABASE_URL"])
        with (
            contextlib.closing(
                psycopg2.connect(
                    host=server["HOST"], port=server["PORT"], user=server["USER"], dbname=server["NAME"]
                )
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(sql, values)
            return cursor.fetchone()[0]


@pytest.fixture
def farm(tmp_path, database):
    with network(), FakePyPI(host=SERVER) as upstream:
        for package in PACKAGES:
            upstream.add_sdist(package, "1.0", sdists.slow_sdist(package, "1.0", 1.0))
        with Cabled(tmp_path, upstream.simple_url, *PACKAGES, database=database) as farm:
            yield farm


def power_cut(processes):
    """Stop all of these at the same moment, as the loss of power does."""
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    for process in processes:
        process.kill()


def test_T06_each_of_a_hundred_builds_ends_exactly_once(farm):
    farm.wait_until(lambda: farm.count("succeeded") >= 5, seconds=300)

    farm.wait_until(lambda: farm.is_building("pi-a"))
    farm.end("pi-a", signal.SIGKILL)
    farm.wait_until(lambda: farm.is_building("pi-b"))
    power_cut(farm.tree("pi-b"))
    farm.processes["pi-b"].wait(20)
    farm.wait_until(lambda: farm.is_building("pi-c"))
    ip("link", "set", "pw-pi-c", "down")
    cut_at = time.monotonic()
    farm.start("pi-a")
    farm.start("pi-b")
    farm.wait_until(lambda: farm.count("succeeded") >= BUILDS - 1, seconds=2400)
    time.sleep(max(0.0, CUT_S - (time.monotonic() - cut_at)))
    ip("link", "set", "pw-pi-c", "up")

    farm.wait_until(lambda: farm.count("succeeded") == BUILDS, seconds=300)
    builds = farm.builds()
    ended = sorted(build["version__package__name"] for build in builds if build["state"] == "succeeded")
    assert ended == PACKAGES
    assert {build["state"] for build in builds} <= {"succeeded", "lost"}
    # What each of the three had may have been lost once: a report is tried for ten minutes as well.
    assert len(builds) <= BUILDS + len(NAMES)
    for package in PACKAGES:
        (file,) = farm.files(package).values()
        answer = requests.get(f"{farm.address}/simple/{package}/{file['filename']}", timeout=10)
        assert hashlib.sha256(answer.content).hexdigest() == file["hashes"]["sha256"]
    assert [path for name in NAMES for path in Path(farm.var, "work", name, name).glob("[0-9]*-[0-9]*")] == []
