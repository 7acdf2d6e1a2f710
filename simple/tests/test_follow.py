"""A log is rotated, emptied, killed beside and left alone, and each of its lines is counted once."""

import gzip
import itertools
import logging
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event, Thread

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError, connection

from builder.tests.waiting import until
from simple import downloads
from simple.follow import Follower
from simple.models import Log, Miss
from simple.tests.log_lines import nginx
from simple.tests.rows import make_package, make_wheel

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

QUIET_S = 0.05
_requests = itertools.count()


def lines(wheel, count):
    """Return lines of so many clients, no two alike."""
    numbers = [next(_requests) for _ in range(count)]
    return b"".join(
        nginx(wheel.url, address=f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", request_id=f"{n:032x}")
        for n in numbers
    )


def misses(count):
    """Return as many look-ups in vain, each of which counts: a line that is read twice is seen by them."""
    numbers = [next(_requests) for _ in range(count)]
    return b"".join(nginx("/simple/wanted/", status="404", request_id=f"{n:032x}") for n in numbers)


def missed():
    return sum(Miss.objects.filter(package__name="wanted").values_list("count", flat=True))


def append(path, content):
    with path.open("ab") as file:
        file.write(content)


def follow(follower):
    """Have it do all that there is to do, also what waits for a moment of quiet."""
    for _ in range(8):
        while follower.step():
            pass
        time.sleep(QUIET_S / 2)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "access.log"


@pytest.fixture
def follower(log):
    following = Follower(log, quiet_s=QUIET_S)
    yield following
    following.close()


def follower_anew(follower):
    follower.close()
    return Follower(follower.path, quiet_s=QUIET_S)


def test_lines_are_counted_as_they_come(log, follower):
    wheel = make_wheel()
    follow(follower)
    counted = []

    for count in (1, 0, 3):
        append(log, lines(wheel, count))
        follow(follower)
        counted.append(downloads.total())

    assert counted == [1, 1, 4]
    row = Log.objects.get()
    assert (row.lines, row.downloads, row.offset) == (4, 4, log.stat().st_size)


def test_a_line_is_counted_when_it_is_whole(log, follower):
    line = lines(make_wheel(), 1)
    append(log, lines(make_wheel("other"), 1) + line[:200])
    follow(follower)
    assert downloads.total() == 1

    append(log, line[200:-1])
    follow(follower)
    assert downloads.total() == 1

    append(log, b"\n")
    follow(follower)
    assert downloads.total() == 2
    assert Log.objects.get().refused == {}


def test_look_ups_in_vain_are_counted_for_packages_that_exist(log, follower):
    make_package("wanted")
    uris = ["/simple/wanted/"] * 2 + [f"/simple/made-up-{n}/" for n in range(20)]

    append(log, b"".join(nginx(uri, status="404") for uri in uris))
    follow(follower)

    assert dict(Miss.objects.values_list("package__name", "count")) == {"wanted": 2}
    assert Log.objects.get().misses == 2


def test_what_cannot_be_read_is_counted_by_reason_and_stops_nothing(log, follower):
    wheel = make_wheel()
    far = nginx(wheel.url, time="2999-01-01T00:00:00+00:00")
    unknown = nginx("/simple/demo/other-1.0-py3-none-any.whl")
    elsewhere = nginx(wheel.url.replace("/demo/", "/another/"))

    append(log, b"garbage\n" + b"x" * 300_000 + b"\n" + b"{}\n" + far + unknown + elsewhere)
    append(log, lines(wheel, 1))
    follow(follower)

    assert downloads.total() == 1
    assert Log.objects.get().refused == {
        "not a line of a log that we know": 1,
        "longer than any request": 1,
        "fields are missing or of the wrong type": 1,
        "its time is none": 1,
    }
    assert Log.objects.get().lines == 7


def test_a_follower_that_starts_again_goes_on_where_it_was(log, follower):
    wheel = make_wheel()
    append(log, lines(wheel, 3))
    follow(follower)
    append(log, lines(wheel, 2))

    again = follower_anew(follower)
    follow(again)
    again.close()

    assert (downloads.total(), Log.objects.get().lines) == (5, 5)


def test_a_log_that_is_renamed_is_read_to_its_end_before_the_next(log, follower):
    wheel = make_wheel()
    append(log, lines(wheel, 3))
    follow(follower)
    log.rename(f"{log}.1")
    append(log, lines(wheel, 2))
    follower.step()

    append(Path(f"{log}.1"), lines(wheel, 4))
    follow(follower)
    append(log, lines(wheel, 1))
    follow(follower)

    assert downloads.total() == 10
    assert list(Log.objects.order_by("pk").values_list("lines", "is_over")) == [(7, True), (3, False)]


def test_a_line_that_the_disk_had_no_room_for_ends_a_log_and_nothing_else(log, follower):
    wheel = make_wheel()
    append(log, lines(wheel, 2)[:-100])
    follow(follower)
    log.rename(f"{log}.1")
    append(log, lines(wheel, 2)[:-100] + lines(wheel, 1))
    follow(follower)

    # Of the second log's cut off line, the line that follows it in the same line is read.
    assert downloads.total() == 3
    assert [row.refused for row in Log.objects.order_by("pk")] == [
        {"not a line of a log that we know": 1},
        {},
    ]


@pytest.mark.parametrize("regrown", [0, 1, 50])
def test_a_log_that_is_copied_and_emptied_is_read_from_its_copy(log, follower, regrown):
    wheel = make_wheel()
    append(log, lines(wheel, 5))
    follow(follower)
    append(log, lines(wheel, 2))

    shutil.copy(log, f"{log}.1")
    os.truncate(log, 0)
    append(log, lines(wheel, regrown))
    follow(follower)
    append(log, lines(wheel, 1))
    follow(follower)

    assert downloads.total() == 8 + regrown
    assert Log.objects.count() == 2


@pytest.mark.parametrize(
    "suffixes", [(".2", ".1"), ("-20261124", "-20261125"), (".2.gz", ".1"), (".2.gz", ".1.gz")]
)
def test_what_was_written_while_nobody_followed_is_found_in_rotated_logs(log, follower, suffixes):
    wheel = make_wheel()
    append(Path(f"{log}.9"), lines(wheel, 50))
    append(log, lines(wheel, 3))
    follow(follower)
    follower.close()
    append(log, lines(wheel, 2))
    log.rename(f"{log}-first")
    append(log, lines(wheel, 4))
    log.rename(f"{log}-second")
    append(log, lines(wheel, 6))
    for path, suffix in zip([Path(f"{log}-first"), Path(f"{log}-second")], suffixes, strict=True):
        if suffix.endswith("gz"):
            Path(f"{log}{suffix}").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
        else:
            path.rename(f"{log}{suffix}")
    os.utime(f"{log}.9", (1, 1))

    again = follower_anew(follower)
    follow(again)
    again.close()

    # Not the one from before the first that was followed.
    assert downloads.total() == 15
    assert sorted(Log.objects.values_list("lines", flat=True)) == [4, 5, 6]


def test_a_log_that_becomes_another_under_the_same_first_line_is_counted_anew(log, follower, caplog):
    wheel = make_wheel()
    first = lines(wheel, 1)
    append(log, first + lines(wheel, 3))
    follow(follower)
    follower.close()
    log.write_bytes(first + lines(wheel, 5))

    again = follower_anew(follower)
    follow(again)
    again.close()

    assert downloads.total() == 9
    assert "goes on differently" in caplog.text


def test_a_log_that_is_not_there_or_empty_is_waited_for(log, follower):
    assert follower.step() == 0
    log.touch()
    assert follower.step() == 0
    append(log, lines(make_wheel(), 1)[:-1])
    assert follower.step() == 0
    append(log, b"\n")
    assert follower.step() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "table", ["simple_download ", "simple_log", "simple_staged", "builds_wheel", "simple_miss"]
)
def test_a_database_in_trouble_costs_no_line_and_counts_none_twice(log, follower, table):
    make_package("wanted")
    append(log, lines(make_wheel(), 20) + misses(10))
    troubles = iter([True] * 3)

    def fail(execute, sql, params, many, context):
        if table in sql.replace('"', " ") + " " and next(troubles, False):
            raise OperationalError("could not write to file: No space left on device")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail):
        for _ in range(10):
            with suppress(OperationalError):
                follow(follower)
            follower._forget()

    assert next(troubles, None) is None
    assert (downloads.total(), missed(), Log.objects.get().lines) == (20, 10, 30)


@pytest.mark.django_db(transaction=True)
def test_two_followers_of_a_log_count_each_line_once(log):
    wheel = make_wheel()
    make_package("wanted")
    stop = Event()

    def run():
        Follower(log, quiet_s=QUIET_S).run(stop, poll_s=0.001)
        connection.close()

    threads = [Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        append(log, lines(wheel, 5) + misses(5))
        time.sleep(0.02)
    until(lambda: downloads.total() >= 100 and missed() >= 100)
    stop.set()
    for thread in threads:
        thread.join()

    assert (downloads.total(), missed(), Log.objects.get().lines) == (100, 100, 200)


def has_counted_more_than(count):
    return downloads.total() > count


def database_url():
    """Return the address of the database of these tests, for another process."""
    at = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{at['NAME']}"
    return f"postgresql://{at['USER']}@{at['HOST']}:{at['PORT']}/{at['NAME']}"


def start_following(log):
    command = [sys.executable, "manage.py", "follow_downloads", str(log)]
    env = {**os.environ, "DATABASE_URL": database_url(), "PIWHEELS_VAR": str(log.parent / "var")}
    return subprocess.Popen(command, cwd=django_settings.BASE_DIR, env=env)


@pytest.mark.whole
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "turns", [pytest.param(24, id="some"), pytest.param(120, id="many", marks=pytest.mark.faults)]
)
def test_T02_a_follower_that_is_killed_at_any_moment_counts_each_line_once(log, turns):
    wheel = make_wheel()
    chance = random.Random(5)
    make_package("wanted")
    append(log, lines(wheel, 400))
    written, kills = 400, 0
    process = start_following(log)
    try:
        until(lambda: downloads.total() == written)
        counted = written
        for turn in range(turns):
            append(log, lines(wheel, 400) + misses(100))
            written += 400
            if turn % 20 == 5:
                log.rename(f"{log}.{turn}")
            time.sleep(chance.uniform(0, 0.15))
            if turn % 12 == 11:
                until(partial(has_counted_more_than, counted))
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
                counted = downloads.total()
                process = start_following(log)
        append(log, lines(wheel, 400))  # what the last one counts, which then surely listens to signals
        written += 400
        until(lambda: downloads.total() >= written and missed() >= turns * 100)
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()

    assert (downloads.total(), missed(), kills) == (written, turns * 100, turns // 12)
    assert sum(Log.objects.values_list("lines", flat=True)) == written + turns * 100


@pytest.mark.django_db(transaction=True)
def test_trouble_is_told_and_outlived(log, follower, caplog):
    log.mkdir()
    stop = Event()

    def run():
        follower.run(stop, poll_s=0.01)
        connection.close()

    thread = Thread(target=run)
    thread.start()
    until(lambda: "is not counted now, but will be" in caplog.text)

    log.rmdir()
    append(log, lines(make_wheel(), 2))
    until(lambda: downloads.total() == 2)
    stop.set()
    thread.join()

    assert downloads.total() == 2
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def opening(monkeypatch, path, fail):
    """Have it fail to open one file."""
    really_open = Path.open

    def open_or_fail(self, *args, **kwargs):
        if self == path:
            fail()
        return really_open(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", open_or_fail)


def test_a_file_beside_the_log_that_cannot_be_read_is_told_once_and_stops_nothing(
    log, follower, monkeypatch, caplog
):
    wheel = make_wheel()
    append(log, lines(wheel, 1))
    follow(follower)
    copy = Path(f"{log}.bak")
    shutil.copy(log, copy)

    def refuse():
        raise PermissionError(13, "Permission denied", str(copy))

    opening(monkeypatch, copy, refuse)
    for turn in range(2):
        append(log, lines(wheel, 2))
        log.rename(f"{log}.{turn}")
        append(log, lines(wheel, 4))
        follow(follower)

    assert downloads.total() == 13
    assert caplog.text.count(f"Permission denied: '{copy}'") == 1


def test_a_rotated_log_that_is_renamed_while_it_is_looked_for_is_found_by_its_new_name(
    log, follower, monkeypatch
):
    wheel = make_wheel()
    append(log, lines(wheel, 1))
    follow(follower)
    follower.close()
    append(log, lines(wheel, 2))
    first, second = Path(f"{log}.1"), Path(f"{log}.2")
    log.rename(first)
    # It was quiet for long, so that by itself it is nothing to come back for.
    os.utime(first, (1, 1))
    append(log, lines(wheel, 4))

    def be_renamed():
        first.rename(second)
        raise FileNotFoundError(2, "No such file or directory", str(first))

    opening(monkeypatch, first, be_renamed)
    again = follower_anew(follower)
    follow(again)
    again.close()

    assert downloads.total() == 7


def test_a_log_that_is_not_there_is_told_once_until_it_is(log, follower, caplog):
    def told():
        return caplog.text.count(f"There is no {log}: nothing is counted")

    follow(follower)
    assert told() == 1

    append(log, lines(make_wheel(), 1))
    follow(follower)
    log.unlink()
    follow(follower)

    assert told() == 2
    assert downloads.total() == 1


@pytest.mark.django_db(transaction=True)
def test_systemd_hears_of_a_follower_that_goes_on_whatever_the_trouble(log, follower, tmp_path, monkeypatch):
    log.mkdir()
    stop = Event()

    def run():
        follower.run(stop, poll_s=0.01)
        connection.close()

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        thread = Thread(target=run)
        thread.start()

        heard = [systemd.recv(100) for _ in range(2)]
        stop.set()
        thread.join()

    assert heard == [b"WATCHDOG=1"] * 2
