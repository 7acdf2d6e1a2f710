import os
import time

from builder.disk import Disk
from builder.limits import Limits, Usage, Watch


class FakeGauge:
    """What a program uses, as a test says."""

    pids = ()

    def __init__(self) -> None:
        self.usage = Usage(memory_bytes=10, cpu_s=0.0)
        self.looks = 0

    def begin(self, warden: int) -> None:
        """Take no note."""

    def look(self) -> Usage:
        self.looks += 1
        return self.usage

    def kill(self) -> None:
        """Kill nobody."""


def look_until(watch: Watch, seconds: float) -> str:
    deadline = time.monotonic() + seconds
    while not (ended := watch.look()) and time.monotonic() < deadline:
        time.sleep(0.005)
    return ended


def test_as_many_programs_compute_as_there_are_processors_and_memory_for():
    there = len(os.sched_getaffinity(0))

    assert Limits(60).jobs == Limits(60, memory_bytes=1 << 50).jobs == there
    assert Limits(60, memory_bytes=64 << 20).jobs == 1
    assert Limits(60, memory_bytes=1600 << 20).jobs == min(2, there)


def test_the_time_is_up():
    assert look_until(Watch(Limits(time_s=0.1), FakeGauge()), 5) == "time"


def test_what_is_not_limited_goes_on():
    assert look_until(Watch(Limits(time_s=60), FakeGauge()), 0.3) == ""


def test_silence_and_rest_are_a_stall():
    assert look_until(Watch(Limits(60, stall_s=0.1), FakeGauge()), 5) == "stall"


def test_who_wakes_up_now_and_then_still_rests():
    gauge = FakeGauge()
    watch = Watch(Limits(60, stall_s=0.3), gauge)

    gauge.usage = Usage(10, cpu_s=0.0005)

    assert look_until(watch, 5) == "stall"


def test_who_computes_is_not_stalled():
    gauge = FakeGauge()
    watch = Watch(Limits(60, stall_s=0.3), gauge)

    for tick in range(8):
        gauge.usage = Usage(10, cpu_s=tick * 0.1)
        assert look_until(watch, 0.1) == ""


def test_who_speaks_is_not_stalled():
    watch = Watch(Limits(60, stall_s=0.3), FakeGauge())

    for _ in range(8):
        watch.hear()
        assert look_until(watch, 0.1) == ""


def test_looking_is_rare_however_often_we_are_asked():
    gauge = FakeGauge()
    watch = Watch(Limits(60), gauge)

    look_until(watch, 0.35)

    assert 1 <= gauge.looks <= 4


def test_the_highest_use_is_kept():
    gauge = FakeGauge()
    watch = Watch(Limits(60), gauge)
    gauge.usage = Usage(1000, cpu_s=3.0)
    watch.look()

    gauge.usage = Usage(5, cpu_s=0.0)
    watch.last(0)

    assert (watch.peak_memory_bytes, watch.cpu_s) == (1000, 3.0)


def test_a_program_that_failed_of_a_limit_is_told_so_and_one_that_succeeded_is_not():
    gauge = FakeGauge()
    gauge.usage = Usage(10, 0.0, excess="memory")
    watch = Watch(Limits(60), gauge)

    assert watch.last(1) == "memory"
    assert watch.last(0) == "exit"


def test_what_others_write_to_the_disk_is_not_held_against_a_build(tmp_path):
    (tmp_path / "build").mkdir()
    disk = Disk(tmp_path / "build")

    (tmp_path / "other").write_bytes(b"x" * (6 << 20))

    assert not disk.is_over(size=4 << 20, inodes=None, pids=[])


def test_a_build_that_takes_its_quota_is_over(tmp_path):
    (tmp_path / "build").mkdir()
    disk = Disk(tmp_path / "build")

    (tmp_path / "build" / "own").write_bytes(b"x" * (6 << 20))

    assert disk.is_over(size=4 << 20, inodes=None, pids=[])
    assert not disk.is_over(size=64 << 20, inodes=None, pids=[])
