import signal
from dataclasses import dataclass, replace
from threading import Event

import pytest

from builder import exits, findings
from builder.bench import Bench, limits_for
from builder.collect import BadOutput, collect
from builder.limits import Outcome
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


@dataclass(frozen=True)
class Ending(Bench):
    """A bench on which every program ends by itself, with this code."""

    code: int = 0

    def offline(self):
        return self

    def run(self, command, **how):
        how["log"].write(b"what it said")
        return Outcome(self.code, "exit", 1.0, 1.0, 1 << 20)


def look(bench, code):
    """Look at a wheel with a program that ends with this code."""
    write_wheel(bench.place.out)
    with collect(bench.place.out) as (wheel,):
        findings.inspect(Ending(**vars(bench), code=code), wheel, Made(CURRENT))


@pytest.mark.parametrize(
    ("code", "failure", "says"),
    [
        (exits.FULL, "builder-disk-full", "ended with exit code 73; what it said"),
        (exits.FAULT, "builder-fault", "ended with exit code 74; what it said"),
        (exits.MEMORY, "out-of-memory", "used more than the"),
        (128 + signal.SIGKILL, "builder-fault", "ended by the kernel"),
    ],
)
def test_a_look_that_the_machine_was_at_fault_for_says_nothing_of_the_wheel(bench, code, failure, says):
    with pytest.raises(PipFailed, match=says) as failed:
        look(bench, code)

    assert failed.value.failure == failure


@pytest.mark.parametrize("code", [1, 128 + signal.SIGSEGV])
def test_a_look_that_breaks_down_over_a_wheel_is_a_bad_wheel(bench, code):
    with pytest.raises(BadOutput, match="what it said"):
        look(bench, code)
