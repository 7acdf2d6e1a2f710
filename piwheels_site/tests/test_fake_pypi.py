"""The command; what it serves is in `tests/test_synthetic_pypi.py`."""

import re
import signal
import socket
import subprocess
import sys
import time

import pytest
import requests
from django.core.management import CommandError, call_command

from tests.fake_pypi_pages import SIMPLE_JSON


def root(url):
    return requests.get(url, headers={"Accept": SIMPLE_JSON}, timeout=5).json()


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
