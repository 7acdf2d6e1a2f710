import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from builder.client import DeadTicket
from builder.limits import Limits
from builder.processes import every
from builder.sandbox import Level
from builder.tests.boxes import MARK, boxed, gone, kind_of, remaining
from builder.tests.test_programs import DAEMON, written_pid


def test_what_is_called_off_ends_at_once(box):
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    began = time.monotonic()

    with pytest.raises(DeadTicket):
        box.run("import time; time.sleep(600)", MARK, stop=stop)

    assert time.monotonic() - began < 5
    assert remaining() == []


def test_a_program_that_sleeps_ends_with_its_time(box):
    outcome = box.run(
        "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)",
        MARK,
        limits=Limits(time_s=1.0),
    )

    assert outcome.ended == "time"
    assert 1 <= outcome.duration_s < 5
    assert remaining() == []


def test_a_program_that_neither_speaks_nor_computes_ends_early(box):
    outcome = box.run(
        "import time; print('x', flush=True); time.sleep(600)", limits=Limits(60.0, stall_s=1.0)
    )

    assert outcome.ended == "stall"
    assert outcome.duration_s < 10


@pytest.mark.parametrize("code", ["time.sleep(0.1); print('.', flush=True)", "sum(range(100000))"])
def test_a_program_that_speaks_or_computes_goes_on(box, code):
    outcome = box.run(
        f"import time; end = time.monotonic() + 2\nwhile time.monotonic() < end: {code}",
        limits=Limits(60.0, stall_s=1.0),
    )

    assert (outcome.code, outcome.ended) == (0, "exit")


def test_a_fork_bomb_ends(box):
    outcome = box.run(
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
        MARK,
        limits=Limits(20.0, processes=100, memory_bytes=1 << 30),
    )

    assert outcome.ended == "processes"
    assert outcome.duration_s < 10
    assert gone()


def test_what_takes_all_memory_ends(box):
    outcome = box.run(
        # In pieces and by several, so that no limit on one of them is what ends it.
        "import os, time; os.fork(); os.fork(); held = []\n"
        "while True: held.append(bytearray(os.urandom(1 << 20))); time.sleep(0.005)",
        MARK,
        limits=Limits(20.0, memory_bytes=200 << 20, processes=100),
    )

    assert outcome.ended == "memory"
    assert gone()


def test_what_fills_the_disk_ends(box):
    out = box.box.inside(box.place.out)
    outcome = box.run(
        "import itertools\nfor n in itertools.count():\n"
        f"    with open(f'{out}/{{n}}', 'wb') as file: file.write(bytes(1 << 20))",
        limits=Limits(20.0, disk_bytes=50 << 20),
    )

    assert outcome.ended == "disk"
    assert outcome.duration_s < 15


def test_what_fills_the_disk_with_files_that_have_no_name_ends(box):
    outcome = box.run(
        "import tempfile; files = []\n"
        "while True: files.append(tempfile.TemporaryFile(dir='.')); files[-1].write(bytes(1 << 20))",
        limits=Limits(20.0, disk_bytes=50 << 20),
    )

    assert outcome.ended == "disk"


def test_what_makes_too_many_files_ends(box):
    outcome = box.run(
        # No faster, as all of them have to be removed again.
        "import itertools, time\nfor n in itertools.count(): open(str(n), 'w').close(); time.sleep(0.001)",
        limits=Limits(20.0, inodes=300),
    )

    assert outcome.ended == "disk"


def test_output_without_end_ends_with_the_time(box):
    outcome = box.run("while True: print('x' * 60000)", limits=Limits(1.5))

    assert outcome.ended == "time"
    assert outcome.duration_s < 5


def test_a_daemon_dies_with_its_program(box):
    out = box.box.inside(box.place.out)
    outcome = box.run(DAEMON, f"{out}/pid", MARK)

    assert outcome.code == 0
    assert (box.place.out / "pid").exists()
    assert remaining() == []


def test_who_kills_all_it_can_see_takes_nobody_else_along(walled):
    with subprocess.Popen(["sleep", "60"]) as neighbour:
        outcome = walled.run("import os; os.kill(-1, 9)", MARK)
        assert neighbour.poll() is None
        neighbour.kill()

    assert outcome.ended == "exit"
    assert gone()


def test_T18_who_kills_the_warden_gets_nowhere(tmp_path):
    with boxed(Level.BARE, tmp_path) as box:
        outcome = box.run(
            "import os, time\nif os.fork() == 0:\n    os.setsid(); time.sleep(600)\nos.kill(os.getppid(), 9)",
            MARK,
        )

    assert outcome.code == 128 + signal.SIGKILL
    assert gone()


BUILDER = """
import sys
from pathlib import Path
from builder.sandbox import Level
from builder.tests.boxes import boxed
with boxed(Level(sys.argv[1]), Path(sys.argv[2])) as box:
    out = box.box.inside(box.place.out)
    box.run(sys.argv[3] + "time.sleep(600)", f"{out}/pid", sys.argv[4])
"""


@pytest.mark.parametrize("victim", ["builder", "warden", "bwrap", "first"])
@pytest.mark.parametrize("level", list(Level))
def test_T18_whoever_is_killed_the_program_goes_too(level, victim, tmp_path):
    kind_of(level)
    if level is Level.BARE and victim in ("bwrap", "first"):
        pytest.skip("there is no bubblewrap at this level")
    arguments = [level, str(tmp_path), DAEMON, MARK]
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", BUILDER, *arguments], cwd=root) as builder:
        written_pid(tmp_path / "1-1" / "out" / "pid")
        chain = [builder.pid]
        while len(chain) < 4:
            chain.append(next(each.pid for each in every() if each.parent == chain[-1]))
        os.kill(
            dict(zip(["builder", "warden", "bwrap", "first"], chain, strict=True))[victim], signal.SIGKILL
        )
        builder.wait(15)

    assert gone()
