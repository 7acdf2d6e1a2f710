from dataclasses import replace
from threading import Event

import pytest

from builder import findings
from builder.bench import Bench, limits_for
from builder.collect import collect
from builder.log import Log
from builder.pip_wheel import Made, PipFailed
from builder.place import made
from builder.proxy import PackageProxy
from builder.rungs import CURRENT
from builder.sandbox import Box, Kind, Level
from builder.tests.server import make_order
from builder.tests.wheels import write_wheel


@pytest.fixture
def bench(tmp_path):
    """A bench without a sandbox."""
    with (
        made(tmp_path / "1-1") as place,
        Log(tmp_path) as log,
        PackageProxy(["http://127.0.0.1:9/simple/"], socket=None) as proxy,
    ):
        order, kind = make_order(), Kind(Level.BARE)
        limits = limits_for(order, tmp_path, disk_bytes=1 << 30)
        yield Bench(order, kind, place, Box(kind, place), proxy, limits, log, Event())


def test_a_wheel_is_looked_at(bench):
    write_wheel(bench.place.out)

    with collect(bench.place.out) as (wheel,):
        facts = findings.inspect(bench, wheel, Made(CURRENT))

    assert facts.filename == "tiny-1.0-py3-none-any.whl"


def test_a_look_that_reaches_a_limit_is_told_as_that_and_not_as_a_bad_wheel(bench):
    write_wheel(bench.place.out)
    hurried = replace(bench, limits=replace(bench.limits, time_s=0.0))

    with (
        collect(bench.place.out) as (wheel,),
        pytest.raises(PipFailed, match="looking at the wheel took longer than 0 s") as failed,
    ):
        findings.inspect(hurried, wheel, Made(CURRENT, duration_s=7.0))

    assert failed.value.failure == "timeout"
    assert failed.value.made.duration_s == 7.0
