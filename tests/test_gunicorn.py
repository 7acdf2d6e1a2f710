"""The web server's settings fit the machines that they are for."""

import os
import subprocess
import sys

import pytest

from deploy import gunicorn
from deploy.farm import ROOT

GIB = 1 << 30


@pytest.mark.parametrize(
    ("machine", "cores", "memory_gib", "expected"),
    [
        ("Raspberry Pi Zero 2 W", 4, 0.5, 1),
        ("Raspberry Pi 4, 1 GB", 4, 1, 2),
        ("Raspberry Pi 4, 2 GB", 4, 2, 4),
        ("Raspberry Pi 4, 8 GB", 4, 8, 4),
        ("a small virtual machine", 1, 1, 1),
        ("a server", 32, 64, 8),
        ("no memory to speak of", 1, 0.05, 1),
    ],
)
def test_a_machine_gets_as_many_processes_as_it_can_carry(machine, cores, memory_gib, expected):
    assert gunicorn.processes(cores, int(memory_gib * GIB)) == expected, machine


@pytest.mark.parametrize("log_format", ["line", "json"])
def test_gunicorn_takes_them(log_format):
    config = str(ROOT / "deploy" / "gunicorn.py")
    words = [sys.executable, "-m", "gunicorn", "--check-config", "--config", config, "piwheels_site.wsgi"]

    env = {**os.environ, "LOG_FORMAT": log_format}
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode == 0, done.stderr
