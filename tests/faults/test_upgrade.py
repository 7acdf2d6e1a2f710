"""The database of a million versions is migrated under the code of before, which goes on at its work.

The code of before is that of the commit before the last one that added a migration, from git;
PIWHEELS_TEST_BEFORE names another.
"""

import json
import os
import re
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from deploy.farm import QUIET, ROOT
from deploy.scratch import free_port
from tests import services
from tests.stack import NOWHERE, wait_for_answer

pytestmark = [
    pytest.mark.whole,
    pytest.mark.faults,
    pytest.mark.skipif("DATABASE_URL" not in os.environ, reason="SQLite locks the whole of itself"),
]

VERSIONS = int(os.environ.get("PIWHEELS_TEST_VERSIONS", "1000000"))
BEFORE = os.environ.get("PIWHEELS_TEST_BEFORE", "")
# Nobody may wait for longer than this (T22).
LONGEST_S = 5.0
# What old code is asked for meanwhile, of packages that are there.
PATHS = ("/project/p{}/", "/simple/p{}/", "/queue/", "/project/p{}/json", "/packages.html?q=p{}")
# Some of these packages have wheels by then, and most do not.
EXPECTED = {"/simple/p{}/": {200, 404}}

FILL = """
from benchmarks.many_versions import fill
from builds.builders.host import host_target
host_target()
fill({versions})
"""
# Old code's own ORM writes what it writes at work until it is told to end, and says how long that took.
WRITE = """
import json, sys, time
from pathlib import Path
from typing import Any
from django.utils import timezone
from builds.models import Build, Builder, Target
from packages.models import Package, Version
stop, target, slowest, done = Path({stop!r}), Target.objects.filter(is_active=True).first(), 0.0, 0
while not stop.exists():
    began = time.monotonic()
    package = Package.objects.create(name=f"written-{{done}}", display_name=f"written-{{done}}")
    version = Version.objects.create(package=package, number="1.0", canonical="1")
    Build.objects.create(version=version, target=target, attempt=1, released_at=timezone.now())
    Package.objects.filter(name=f"p{{done % 1000 + 1}}").update(plan_needed=True)
    Build.objects.filter(pk=done + 1).update(losses=1)
    package.delete() if done % 2 else None
    slowest, done = max(slowest, time.monotonic() - began), done + 1
    time.sleep(0.02)
print(json.dumps([done, slowest]))
"""


def git(*words):
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=True).stdout


def commit_before():
    """Return the last commit that lacks a migration of ours, and has all others as we have them."""
    ours = "*/migrations/0*.py"
    for commit in git("log", "--first-parent", "--format=%H", "--", ours).decode().split():
        changes = git("diff", "--no-renames", "--name-status", f"{commit}^", "HEAD", "--", ours).decode()
        if changes and all(line.startswith("A") for line in changes.splitlines()):
            return f"{commit}^"
    pytest.skip("There is no such commit in this history.")


@pytest.fixture
def old_code(tmp_path):
    """Return the folder of the code of before."""
    if not (ROOT / ".git").exists():
        pytest.skip("There is no history here.")
    folder = tmp_path / "old"
    folder.mkdir()
    archive = git("archive", BEFORE or commit_before())
    subprocess.run(["tar", "--extract", "--directory", str(folder)], input=archive, check=True)
    return folder


class Code:
    """The code in a folder, and the farm's settings."""

    def __init__(self, folder, env):
        self.folder, self.env = folder, {**env, "PYTHONPATH": str(folder)}

    def manage(self, *words):
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            env=self.env,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def last_migrations(self):
        """Return the last migration of each app of ours."""
        return {
            app: sorted(path.stem for path in Path(self.folder, app, "migrations").glob("0*.py"))[-1]
            for app in ("packages", "builds", "simple", "piwheels_site")
        }

    @contextmanager
    def running(self, log, *module, **env):
        """Run a module of Python's, and give its process."""
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *module],
                env={**self.env, **env},
                cwd=self.folder,
                stdout=output,
                stderr=output,
            )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)

    @contextmanager
    def serving(self, log):
        """Run the site and give its address."""
        address = f"127.0.0.1:{free_port()}"
        words = ["gunicorn", "piwheels_site.wsgi", "--bind", address, "--config", "deploy/gunicorn.py"]
        with self.running(log, *words) as process:
            wait_for_answer(process, f"http://{address}/simple/", log)
            yield f"http://{address}"

    @contextmanager
    def building(self, address, folder):
        """Run beat, a worker and a builder that needs no time for a build; give what that one says."""
        target = self.ask("from builds.models import Target; print(Target.objects.active().first().key)")
        keys = json.loads(self.manage("create_builder", "pi-07", target, "--json").splitlines()[-1])
        own = {
            "PIWHEELS_SERVER": f"{address}/",
            "PIWHEELS_BUILDER": "pi-07",
            "PIWHEELS_BUILDER_TOKEN": keys["token"],
            "PIWHEELS_ORDERS_URL": self.env["REDIS_URL"],
            "PIWHEELS_WORK": str(folder),
            "QUICK_PAUSE_S": "0.05",
        }
        celery = ["celery", "--quiet", "-A", "piwheels_site"]
        worker = [*celery, "worker", "-P", "threads", "-c", "4", "-l", "warning", *QUIET]
        beat = [*celery, "beat", "-l", "warning", "--schedule", str(folder / "beat")]
        with (
            self.running(folder / "worker.log", *worker),
            self.running(folder / "beat.log", *beat),
            self.running(folder / "builder.log", "tests.quick_builders", **own),
        ):
            yield folder / "builder.log"

    def ask(self, code):
        """Return what lines of Python print."""
        return self.manage("shell", "--no-imports", "-v", "0", "-c", code).strip()

    @contextmanager
    def writing(self, stop):
        """Write all the time; what is given has, afterwards, how often and how long it took at most."""
        words = [sys.executable, "manage.py", "shell", "--no-imports", "-v", "0", "-c"]
        process = subprocess.Popen(
            [*words, WRITE.format(stop=str(stop))],
            env=self.env,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        told: dict[str, Any] = {}
        try:
            yield told
        finally:
            stop.touch()
            output, errors = process.communicate(timeout=120)
            told["errors"] = errors[-3000:] if process.returncode else ""
            told["done"], told["slowest_s"] = json.loads(output or "[0, 0]")


class Reader(threading.Thread):
    """Asks the site for one page after the other."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address, self.answers, self.wrong, self.slowest_s = address, 0, [], 0.0
        self._ended = threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self.join(90)

    def run(self):
        number = 0
        with requests.Session() as session:
            while not self._ended.wait(0.02):
                number += 1
                page = PATHS[number % len(PATHS)]
                path = page.format(number % 1000 + 1)
                began = time.monotonic()
                try:
                    status = session.get(f"{self.address}{path}", timeout=60).status_code
                except requests.RequestException as fault:
                    self.wrong.append(f"{path}: {fault!r}")
                    continue
                self.slowest_s = max(self.slowest_s, time.monotonic() - began)
                self.answers += 1
                if status not in EXPECTED.get(page, {200}):
                    self.wrong.append(f"{path}: {status}")


def migrations_of(code):
    """Return which migrations the database has had."""
    return set(re.findall(r"\[X\] (\S+)", code.manage("showmigrations")))


@pytest.fixture
def env(tmp_path, database):
    """Return the settings of a farm that follows nobody, on a Redis of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIWHEELS")}
    with services.private_redis(tmp_path / "redis") as broker:
        yield kept | {
            "DATABASE_URL": database,
            "REDIS_URL": broker,
            "PIWHEELS_VAR": str(tmp_path / "var"),
            "PIWHEELS_PYPI": NOWHERE,
            "PIWHEELS_SANDBOX": "bare",
            "LOG_LEVEL": "WARNING",
        }


def published(log):
    """Return how many wheels a builder has brought, and what else it says."""
    lines = log.read_text().splitlines()
    others = [line for line in lines if not line.startswith("published ")]
    return len(lines) - len(others), others


def test_T22_old_code_goes_on_while_the_database_is_migrated(tmp_path, old_code, env, record_property):
    old, new = Code(old_code, env), Code(ROOT, env)
    old.manage("migrate", "-v", "0")
    had = migrations_of(old)
    old.ask(FILL.format(versions=VERSIONS))

    with (
        old.serving(tmp_path / "web.log") as address,
        old.writing(tmp_path / "stop") as writer,
        old.building(address, tmp_path) as builder,
    ):
        time.sleep(5)
        with Reader(address) as reader:
            time.sleep(2)
            began = time.monotonic()
            new.manage("migrate", "-v", "0")
            up_s = time.monotonic() - began
            built_before = published(builder)[0]
            time.sleep(5)
            has = migrations_of(new)
            built = published(builder)[0] - built_before
            began = time.monotonic()
            for app, name in old.last_migrations().items():
                new.manage("migrate", "-v", "0", app, name)
            down_s = time.monotonic() - began
            time.sleep(5)
        wheels, others = published(builder)

    print(f"\n{sorted(has - had)} up in {up_s:.1f} s, down in {down_s:.1f} s")
    told = {
        "versions": VERSIONS,
        "migrations": len(has - had),
        "answers of old code": reader.answers,
        "ms for the slowest": 1000 * reader.slowest_s,
        "times written by old code": writer["done"],
        "ms for the slowest of them": 1000 * writer["slowest_s"],
        "wheels built by old code": wheels,
    }
    for name, number in told.items():
        record_property(name, number)
    print(told)
    assert has > had, "there was nothing to migrate"
    assert migrations_of(old) == had
    assert (reader.wrong, writer["errors"]) == ([], ""), (tmp_path / "web.log").read_text()[-3000:]
    assert reader.answers > 50
    assert writer["done"] > 50
    assert others == []
    assert min(built, built_before, wheels - built - built_before) > 5
    assert max(reader.slowest_s, writer["slowest_s"]) < LONGEST_S
    lost = old.ask(
        "from builds.models import Build; print(Build.objects.filter(losses__gt=0, attempt__gt=1).count())"
    )
    assert lost == "0"
