import errno
import os
import time
from threading import Event
from types import SimpleNamespace

import pytest

from builder import doorway
from builder.bench import Bench, limits_for
from builder.log import Log
from builder.place import made
from builder.proxy import PackageProxy
from builder.sandbox import Box, Level, interpreter
from builder.tests.boxes import kind_of
from builder.tests.server import make_order

KNOCK = f"import socket; socket.create_connection({doorway.ADDRESS}, timeout=5); print('open')"


@pytest.fixture(params=[Level.BOX, Level.FULL])
def bench(request, tmp_path):
    """A bench whose sandbox has the way to the index."""
    kind, order, socket = kind_of(request.param), make_order(), tmp_path / "index.sock"
    with (
        made(tmp_path / "1-1") as place,
        Log(tmp_path) as log,
        PackageProxy(["http://127.0.0.1:9/simple/"], socket=socket) as proxy,
    ):
        box = Box(kind, place, doorway=socket)
        yield Bench(order, kind, place, box, proxy, limits_for(order, tmp_path, 1 << 30), log, Event())


def run(bench: Bench) -> int:
    return bench.run([str(interpreter()), "-c", KNOCK], environment={}).code


def test_a_program_of_ours_looks_at_a_source_inside_and_says_what_is_there(bench):
    pyproject = '[build-system]\nrequires = ["cffi>=1", "pbr"]\n'
    (bench.place.src / "pyproject.toml").write_text(pyproject)

    outcome, lines = bench.ask("builder.asked", str(bench.box.inside(bench.place.src)))

    assert (outcome.ended, outcome.code) == ("exit", 0)
    assert lines == ["cffi>=1", "pbr"]


def test_several_runs_have_their_time_together(bench):
    hurried = bench.within(1.0)
    asleep = [str(interpreter()), "-c", "import time; time.sleep(0.6)"]
    began = time.monotonic()

    ended = [hurried.run(asleep, environment={}).ended for _ in range(3)]

    assert ended[-1] == "time"
    assert time.monotonic() - began < 20
    assert hurried.within(60.0).until == hurried.until


def test_only_steps_that_need_the_index_have_the_way_to_it(bench):
    assert run(bench) == 0
    assert run(bench.offline()) == 1

    assert "ConnectionRefusedError" in bench.log.read(0, 10_000).decode()


GIB = 1 << 30


@pytest.fixture
def disk(monkeypatch):
    """Tell how full the disk seems; at first it has room."""
    status = SimpleNamespace(
        f_frsize=1,
        f_blocks=32 * GIB,
        f_bfree=16 * GIB,
        f_bavail=16 * GIB,
        f_files=2_000_000,
        f_favail=1_900_000,
    )
    monkeypatch.setattr(os, "statvfs", lambda folder: status)
    return status


@pytest.mark.parametrize(
    ("files", "free", "inodes"),
    [
        (2_000_000, 1_900_000, 500_000),
        # As an image of 4 GiB has them.
        (262_144, 260_000, 233_786),
        (262_144, 51_214, 25_000),
        # Of a file system that has no limit of them.
        (0, 0, 500_000),
    ],
)
def test_a_build_gets_no_more_files_than_leave_some_for_its_builder(disk, tmp_path, files, free, inodes):
    disk.f_files, disk.f_favail = files, free

    assert limits_for(make_order(), tmp_path, GIB).inodes == inodes


@pytest.mark.parametrize(
    ("total", "free", "limit"),
    [
        (32 * GIB, 16 * GIB, 10 * GIB),
        (40 * GIB, 3 * GIB, GIB),
        (4 * GIB, GIB + GIB // 2, GIB // 2),
    ],
)
def test_a_build_gets_what_is_left_of_the_disk(disk, tmp_path, total, free, limit):
    disk.f_blocks, disk.f_bfree, disk.f_bavail = total, free, free

    assert limits_for(make_order(), tmp_path, 10 * GIB).disk_bytes == limit


@pytest.mark.parametrize(
    ("status", "left"),
    [
        ({"f_blocks": 40 * GIB, "f_bavail": 3 * GIB - 1}, f"{GIB - 1} bytes"),
        ({"f_blocks": 4 * GIB, "f_bavail": GIB + GIB // 2 - 1}, f"{GIB // 2 - 1} bytes"),
        ({"f_bavail": GIB // 2}, "0 bytes"),
        ({"f_files": 262_144, "f_favail": 51_213}, "24999 files"),
    ],
)
def test_a_disk_that_has_too_little_left_is_not_the_packages_fault(disk, tmp_path, status, left):
    vars(disk).update(status)

    with pytest.raises(OSError, match=f"No space left on device, as {left} are left for a build") as raised:
        limits_for(make_order(), tmp_path, GIB)

    assert raised.value.errno == errno.ENOSPC
