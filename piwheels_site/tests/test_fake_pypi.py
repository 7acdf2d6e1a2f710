"""The command; what it serves is in `tests/test_synthetic_pypi.py`."""

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from django.core.management import CommandError, call_command

from tests.fake_pypi_pages import SIMPLE_JSON


def root(url):
    return requests.get(url, headers={"Accept": SIMPLE_JSON}, timeout=60).json()


def test_it_serves_a_pypi_whose_life_goes_on_until_it_is_ended():
    command = [sys.executable, "manage.py", "fake_pypi", "--projects", "50", "--port", "0"]
    with subprocess.Popen(
        [*command, "--events-per-second", "50", "--faults"], stdout=subprocess.PIPE, text=True
    ) as process:
        said = process.stdout.readline()
        url = re.search(r"PIWHEELS_PYPI=(\S+)", said).group(1)
        first = root(url)
        for _ in range(100):
            if root(url)["meta"]["_last-serial"] > first["meta"]["_last-serial"]:
                break
            time.sleep(0.1)
        else:
            pytest.fail("nothing happened")
        process.send_signal(signal.SIGTERM)

    assert process.returncode == 0
    assert said.startswith("50 projects")
    assert len(first["projects"]) >= 49


def test_a_port_that_is_taken_is_said():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()

        with pytest.raises(CommandError, match="another --port"):
            call_command("fake_pypi", "--port", str(other.getsockname()[1]), "--projects", "1")


def test_a_pypi_of_nothing_is_refused():
    with pytest.raises(CommandError, match="has to be a project"):
        call_command("fake_pypi", "--projects", "0")


def test_where_the_tests_are_not_it_says_what_to_do(tmp_path):
    for name in ("piwheels_site", "packages", "builds", "simple", "builder", "deploy", "templates"):
        (tmp_path / name).symlink_to(Path(name).resolve())
    # Python looks for modules beside the script itself, not beside a link to it.
    shutil.copy("manage.py", tmp_path)

    said = subprocess.run(
        [sys.executable, "manage.py", "fake_pypi"],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert said.returncode == 1
    assert said.stderr.startswith("CommandError: The fake PyPI is a part of the tests")
