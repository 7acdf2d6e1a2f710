"""`make run` and `make demo` as their user runs them, against a fake PyPI."""

import os
import re
import signal
import subprocess
import sys

import pytest
import requests

from builder.tests.waiting import until
from deploy.farm import ROOT
from deploy.scratch import ELSEWHERE, free_port
from tests import sdists
from tests.fake_pypi import FakePyPI

pytestmark = pytest.mark.whole


@pytest.fixture
def upstream():
    with FakePyPI() as fake:
        fake.add_sdist("docopt", "0.6.2", sdists.pure_sdist("docopt", "0.6.2"))
        fake.add_sdist("markupsafe", "3.0", sdists.c_sdist("markupsafe", "3.0"))
        fake.add_sdist("demjson", "2.2.4", sdists.failing_sdist("demjson", "2.2.4", "use_2to3 is invalid"))
        yield fake


def environment(**more):
    kept = {n: v for n, v in os.environ.items() if n not in ELSEWHERE and not n.startswith("PIWHEELS")}
    return {**kept, **more}


def run_demo(upstream, names=("docopt", "markupsafe", "demjson"), **more):
    """Run the demonstration with some of its packages; of the fake's C extension, import what that has."""
    code = (
        "import sys, dataclasses; from deploy import demo;"
        "demo.PACKAGES = [dataclasses.replace(p, module={'markupsafe': '_markupsafe'}.get(p.name, p.module))"
        f" for p in demo.PACKAGES if p.name in {names}]; sys.exit(demo.main())"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment(PIWHEELS_PYPI=upstream.simple_url, **more),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_demonstration_succeeds_and_prints_a_table(upstream):
    done = run_demo(upstream)

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"✔ build markupsafe 3.0 \(C extension\) +succeeded", done.stdout)
    assert re.search(r"✔ build demjson 2.2.4 \(cannot be built\) +failed", done.stdout)
    assert "All three ended as they should." in done.stdout


def test_the_demonstration_fails_when_the_builder_cannot_start(upstream):
    done = run_demo(upstream, PIWHEELS_WORK="/dev/null/nowhere")

    assert done.returncode == 1, done.stdout + done.stderr
    assert "the farm ended by itself" in done.stdout


def test_the_demonstration_fails_when_a_build_ends_otherwise(upstream):
    upstream.remove("demjson")
    upstream.add_sdist("demjson", "9.0", sdists.pure_sdist("demjson", "9.0"))

    done = run_demo(upstream, ("demjson",))

    assert done.returncode == 1
    assert re.search(r"✘ build demjson 9.0 \(cannot be built\) +succeeded", done.stdout)
    assert "Not all ended as they should." in done.stdout


def test_the_farm_ends_as_a_whole_and_goes_on_where_it_stopped(upstream, tmp_path):
    port = free_port()
    env = environment(
        PIWHEELS_VAR=str(tmp_path), PORT=str(port), PIWHEELS_PYPI=upstream.simple_url, PIWHEELS_WATCH="docopt"
    )
    index = f"http://127.0.0.1:{port}/simple/"

    def start(*packages):
        with (tmp_path / "farm.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "deploy.farm", *packages],
                cwd=ROOT,
                env=env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    first = start()
    until(lambda: requests.get(f"{index}docopt/", timeout=5).ok)
    first.send_signal(signal.SIGINT)
    first.wait(30)
    with pytest.raises(requests.ConnectionError):
        requests.get(index, timeout=5)
    assert f"--index-url {index}" in (tmp_path / "farm.log").read_text()

    second = start("markupsafe")
    try:
        until(lambda: requests.get(f"{index}docopt/", timeout=5).ok)
        until(lambda: requests.get(f"{index}markupsafe/", timeout=5).ok)
    finally:
        second.send_signal(signal.SIGHUP)
        second.wait(30)
    builds = [p for p in upstream.paths() if "docopt-0.6.2" in p]
    assert len(builds) == 1


def test_a_name_that_is_none_is_said_at_the_start(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "deploy.farm", "no such name!"],
        cwd=ROOT,
        env=environment(PIWHEELS_VAR=str(tmp_path), PORT=str(free_port()), PIWHEELS_WATCH=""),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "no package name" in done.stderr
