"""The web server's settings fit the machines that they are for."""

import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from django.db import connection

from builder.tests.waiting import until
from deploy import gunicorn
from deploy.farm import ROOT
from deploy.scratch import free_port
from tests.stack import database_of_tests

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


APP = """
import os, time

def application(environ, start_response):
    if environ["PATH_INFO"] == "/hang":
        open("hung", "w").write(str(os.getpid()))
        time.sleep(1000)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A site of two processes that systemd watches with the patience of some seconds, and what that hears."""
    (tmp_path / "hanging.py").write_text(APP)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30)
        env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "4000000"}
        with running("hanging", tmp_path, env) as (url, process):
            yield url, process, systemd


@contextmanager
def running(app, folder, env):
    """Run the app of a file of that folder."""
    port = free_port()
    words = [sys.executable, "-m", "gunicorn", app, "--config", ROOT / "deploy" / "gunicorn.py"]
    words += ["--bind", f"127.0.0.1:{port}", "--workers", "2", "--threads", "1"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, cwd=folder, env={**os.environ, **env}, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.wait(60)


def answer(url):
    """Return which process answers; None if none does soon."""
    try:
        return requests.get(url, timeout=1, headers={"Connection": "close"}).text
    except requests.RequestException:
        return None


def test_a_process_whose_threads_all_hang_is_replaced_and_the_others_go_on(site, tmp_path):
    url, process, systemd = site
    until(lambda: answer(url))
    answer(f"{url}/hang")
    hung = (tmp_path / "hung").read_text()

    until(lambda: not Path(f"/proc/{hung}").exists())
    until(lambda: len({answer(url) for _ in range(20)} - {None}) == 2)

    assert hung not in {answer(url) for _ in range(20)}
    assert process.poll() is None
    assert "hanging.py" in (tmp_path / "log").read_text()
    assert b"WATCHDOG=1" in {systemd.recv(100) for _ in range(10)}


ASKING = """
import os, psycopg2

def application(environ, start_response):
    database = psycopg2.connect(os.environ["ASKED"])
    with database, database.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        [said] = cursor.fetchone()
    database.close()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [said.encode()]
"""


@pytest.mark.django_db
@pytest.mark.parametrize(("own", "limit"), [({}, "1min"), ({"PGOPTIONS": "-c statement_timeout=7s"}, "7s")])
def test_the_database_works_for_no_request_that_nobody_waits_for(tmp_path, own, limit):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no such limit")
    (tmp_path / "asking.py").write_text(ASKING)

    with running("asking", tmp_path, {"ASKED": database_of_tests(), **own}) as (url, _):
        until(lambda: answer(url))

        assert answer(url) == limit
