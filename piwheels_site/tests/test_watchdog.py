"""systemd hears of a worker's and a beat's work, and of nothing else."""

import socket

import pytest
from celery.signals import after_task_publish, beat_init, task_postrun, task_prerun, worker_ready

from piwheels_site import watchdog
from piwheels_site.celery import app


@pytest.fixture
def heard(tmp_path, monkeypatch):
    """Return what systemd has heard since the last time."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))

        def hear():
            try:
                return systemd.recv(100)
            except BlockingIOError:
                return None

        yield hear


@pytest.mark.parametrize("signal", [worker_ready, beat_init])
def test_a_process_that_is_up_says_so(heard, signal):
    assert app.main == "piwheels"

    signal.send(sender=None)

    assert heard() == b"READY=1"


@pytest.mark.parametrize("signal", [task_postrun, after_task_publish])
def test_each_task_that_ended_or_was_sent_is_a_sign_of_life(heard, signal):
    signal.send(sender="packages.watch")

    assert heard() == b"WATCHDOG=1"


def test_a_task_that_only_begins_is_none(heard):
    task_prerun.send(sender="packages.watch")

    assert heard() is None


def test_a_worker_of_which_a_task_hangs_gives_no_sign_of_life(heard, monkeypatch):
    monkeypatch.setattr(watchdog, "LONGEST_S", 0.0)
    monkeypatch.setattr(watchdog, "_began", {})
    task_prerun.send(sender="packages.sync", task_id="1")
    task_prerun.send(sender="packages.watch", task_id="2")

    task_postrun.send(sender="packages.watch", task_id="2")
    while_it_hangs = heard()
    task_postrun.send(sender="packages.sync", task_id="1")

    assert (while_it_hangs, heard()) == (None, b"WATCHDOG=1")


def test_without_systemd_nobody_is_told_and_nothing_fails(heard, monkeypatch, caplog):
    monkeypatch.delenv("NOTIFY_SOCKET")
    caplog.set_level("DEBUG", logger=watchdog.__name__)

    # Not by their signals, as Celery only logs what a receiver raises.
    watchdog.begin()
    watchdog.go_on()

    assert heard() is None
    assert caplog.messages == []
