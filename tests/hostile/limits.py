"""Packages that take more than their share: processes, memory, disk, output, time."""

import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.hostile.backend import GIB, MIB, SCENE, daemon, fill, give_up, hole, out, pip, say, shout
from tests.hostile.package import End, Package

# Numbers are bounded, as a builder under test may fail: 3,000 processes, 3 GiB of memory or disk.


def forks_for_ever(folder):
    """Start processes that wait, as many as there may be."""
    born = 0
    try:
        while born < 3000:
            if os.fork() == 0:
                time.sleep(30)
                os._exit(0)
            born += 1
    except OSError as error:
        say(f"no more than {born} processes: {error}")
        time.sleep(2)
        give_up()
    hole("3,000 processes")
    give_up()


def breeds(folder):
    """Have each process start the next one and go, so that no list of them is ever true."""
    for _ in range(20):
        if os.fork() == 0:
            deadline = time.monotonic() + 40
            while time.monotonic() < deadline:
                if os.fork() != 0:
                    os._exit(0)
                time.sleep(0.001)
            os._exit(0)
    time.sleep(40)


def starts_threads(folder):
    """Start threads, as many as there may be."""
    threads = 0
    try:
        while threads < 3000:
            threading.Thread(target=time.sleep, args=(20,), daemon=True).start()
            threads += 1
    except RuntimeError as error:
        say(f"no more than {threads} threads: {error}")
        time.sleep(2)
        os._exit(1)
    hole("3,000 threads")
    give_up()


def takes_memory(folder):
    """Fill memory from one process."""
    kept = []
    try:
        for _ in range(3 * GIB // (32 * MIB)):
            kept.append(bytearray(os.urandom(1024)) * (32 * MIB // 1024))
    except MemoryError:
        kept.clear()
        raise
    hole("3 GiB of memory")
    give_up()


def takes_memory_in_pieces(folder):
    """Fill memory from many processes, each of which stays modest."""
    for _ in range(20):
        if os.fork() == 0:
            kept = bytearray(b"x" * (150 * MIB))
            time.sleep(30)
            os._exit(len(kept) % 2)
        time.sleep(0.05)
    time.sleep(8)
    hole("3 GiB of memory in 20 processes")
    give_up()


def takes_locked_memory(folder):
    """Map memory and share it, so that it counts for nobody, in files without a name."""
    taken = 0
    kept = []
    block = b"x" * (16 * MIB)
    while taken < 3 * GIB:
        try:
            kept.append(descriptor := os.memfd_create("hostile"))
        except OSError as error:
            say(f"refused: {error}")  # by the filter of system calls
            give_up()
        for _ in range(8):
            taken += os.write(descriptor, block)
    hole("3 GiB of memory in files without a name")
    give_up()


def leaves_segments(folder):
    """Fill segments of shared memory, and let go of each, so that it is in nobody's table."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    size = 64 * MIB
    most = GIB // 4 if SCENE["level"] == "bare" else 3 * GIB
    segments: list[int] = []
    try:
        while len(segments) * size < most:
            segment = libc.shmget(0, ctypes.c_size_t(size), 0o1600)
            if segment == -1:
                say(f"refused: {os.strerror(ctypes.get_errno())}")  # by the filter of system calls
                give_up()
            segments.append(segment)
            place = ctypes.c_void_p(libc.shmat(segment, None, 0))
            ctypes.memset(place, 1, size)
            libc.shmdt(place)
        hole(f"{most} bytes of memory in segments that nobody has mapped")
    finally:
        for segment in segments:
            libc.shmctl(segment, 0, None)  # which removes it
    give_up()


def fills_shared_memory(folder):
    """Fill /dev/shm."""
    most = GIB // 4 if SCENE["level"] == "bare" else 3 * GIB
    if fill(f"/dev/shm/{SCENE['token']}", most) >= 3 * GIB:
        hole("3 GiB of /dev/shm")
    give_up()


def fills_the_disk(folder):
    """Fill the folder for temporary files."""
    taken = 0
    for number in range(6):
        taken += fill(Path(os.environ["TMPDIR"], f"filler-{number}"), GIB // 2)
    if taken >= 3 * GIB:
        hole("3 GiB of disk for temporary files")
    give_up()


def fills_its_home(folder):
    """Fill the home, in many files of a size that no limit on one file notices."""
    taken = 0
    for number in range(192):
        taken += fill(Path.home() / f"filler-{number}", 16 * MIB)
    if taken >= 3 * GIB:
        hole("3 GiB of home")
    give_up()


def fills_the_folder_for_wheels(folder):
    """Fill the folder that wheels come out of."""
    taken = 0
    for number in range(6):
        taken += fill(out() / f"filler-{number}", GIB // 2)
    if taken >= 3 * GIB:
        hole("3 GiB in the folder for wheels")
    give_up()


def makes_empty_files(folder):
    """Make 200,000 files with nothing in them."""
    made = 0
    try:
        for number in range(200):
            nest = Path(os.environ["TMPDIR"], f"nest-{number}")
            nest.mkdir()
            for each in range(1000):
                os.close(os.open(nest / str(each), os.O_CREAT | os.O_WRONLY))
                made += 1
    except OSError as error:
        say(f"no more than {made} files: {error}")
        give_up()
    say(f"{made} files were made")
    give_up()


def writes_a_file_of_a_tebibyte(folder):
    """Leave a wheel of 1 TiB that takes no room."""
    path = out() / "tiny-1.0-py2-none-any.whl"
    path.touch()
    try:
        os.truncate(path, 1 << 40)
    except OSError as error:
        give_up(str(error))


def prints_for_ever(folder):
    """Print 300 MB into the builder's own pipe."""
    line = b"flood " * 10_000 + b"\n"
    for _ in range(5000):
        shout(line)
    give_up("the last word")


def prints_into_pip(folder):
    """Print 300 MB to pip, which keeps in memory what a backend prints."""
    line = b"flood " * 10_000 + b"\n"
    for _ in range(5000):
        os.write(2, line)
    give_up("the last word")


def prints_one_line(folder):
    """Print a line of 100 MB."""
    for _ in range(1600):
        shout(b"x" * 65536)
    shout(b"\n")
    give_up("the last word")


def sleeps_for_ever(folder):
    """Sleep, with nothing to say."""
    time.sleep(600)


def spins(folder):
    """Calculate for ever: ten minutes, should the builder be the one that ends."""
    until = time.monotonic() + 600
    while time.monotonic() < until:
        pass


def ignores_signals(folder):
    """Ignore every request to end, in all of a family of processes."""
    for _ in range(5):
        if os.fork() == 0:
            break
    for number in range(1, 65):
        if number not in (signal.SIGKILL, signal.SIGSTOP, 32, 33):
            signal.signal(number, signal.SIG_IGN)
    time.sleep(600)


def stops_itself(folder):
    """Stop itself and pip, as Ctrl-Z does."""
    os.kill(pip()[0], signal.SIGSTOP)
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(600)


def leaves_a_daemon(folder):
    """Leave a process that belongs to nobody, next to an honest wheel."""
    daemon(lambda: time.sleep(600))


def leaves_a_daemon_at_pips_pipe(folder):
    """Leave a process that holds the backend's output open, so that pip waits for it."""
    daemon(lambda: time.sleep(600), keep_output=True)


def leaves_a_daemon_at_the_builders_pipe(folder):
    """Leave a process that holds open what pip prints to, so that the builder might wait for it."""
    pipe = os.open(f"/proc/{pip()[0]}/fd/1", os.O_WRONLY)
    daemon(lambda: time.sleep(600), keep=pipe)


def opens_files(folder):
    """Open files, as many as there may be."""
    kept: list[int] = []
    try:
        while len(kept) < 200_000:
            kept.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        for descriptor in kept:
            os.close(descriptor)
        say(f"no more than {len(kept)} open files: {error}")
        give_up()
    hole("200,000 open files")
    give_up()


def dumps_core(folder):
    """Crash with a large memory, so that a core might be written."""
    kept = bytearray(64 * MIB)
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (OSError, ValueError) as error:
        say(f"refused: {error}")
    say(f"crashing with {len(kept)} bytes")
    ctypes.string_at(0)


def builds_a_tree_of_thorns(folder):
    """Leave a tree that is 1,500 folders deep, with folders that nobody may enter, in all places."""
    for place in (Path.home(), Path(os.environ["TMPDIR"]), out()):
        os.chdir(place)
        for _ in range(1500):
            os.mkdir("d")
            os.chdir("d")
        Path("leaf").touch()
        os.chmod("leaf", 0)
        thorn = place / "thorn"
        (thorn / "inside").mkdir(parents=True)
        (thorn / "-rf --no-preserve-root").touch()
        (thorn / "line\nbreak\x1b[31m").touch()
        Path(os.fsdecode(os.fsencode(thorn) + b"/\xff\xfe")).touch()
        thorn.chmod(0)
    os.chdir(folder)


def asks(folder):
    """Ask for a password, at the input and at the terminal."""
    subprocess.run([sys.executable, "-c", "open('/dev/tty').read()"], check=False)
    input("Username for 'https://example.test': ")


_TIME = End(failures=("timeout", "stalled"), says="longer than|stopped|silent|stalled")
_MEMORY = End(failures=("out-of-memory",))
_DISK = End(failures=("disk-full",))
_CROWD = End(failures=("too-many-processes",))
_FEW = End(failures=("", "too-many-processes", "out-of-memory"), says="no more than|more than")

PACKAGES = {
    "fork-bomb": Package(forks_for_ever, _CROWD, quick=True),
    "breeding-processes": Package(breeds, _TIME, time_limit_s=5),
    # Each thread's stack is set aside, so the limit on a single process' memory may come first.
    "thread-bomb": Package(starts_threads, _CROWD, at=dict.fromkeys(("bare", "box"), _FEW)),
    "memory": Package(takes_memory, _MEMORY, quick=True),
    "memory-in-pieces": Package(takes_memory_in_pieces, _MEMORY),
    "memory-without-a-name": Package(
        takes_locked_memory,
        End(says="Function not implemented"),
        not_at_bare="memory that is in nobody's table is only counted by a cgroup",
        at={"bare": End(failures=("", "out-of-memory", "timeout"))},
    ),
    "memory-in-segments": Package(
        leaves_segments,
        End(says="Function not implemented"),
        not_at_bare="memory that is in nobody's table is only counted by a cgroup",
        at={"bare": End()},
    ),
    "shared-memory": Package(
        fills_shared_memory,
        End(failures=("", "disk-full", "out-of-memory")),
        not_at_bare="/dev/shm is the machine's own there.",
    ),
    "disk": Package(fills_the_disk, _DISK, time_limit_s=240),
    "disk-at-home": Package(fills_its_home, _DISK, time_limit_s=240),
    "disk-for-wheels": Package(fills_the_folder_for_wheels, _DISK, time_limit_s=240),
    "empty-files": Package(makes_empty_files, End(failures=("", "disk-full", "timeout")), time_limit_s=240),
    "sparse-tebibyte": Package(
        writes_a_file_of_a_tebibyte,
        End(failures=("", "bad-output", "disk-full"), says="bytes|too large|File too large|disk"),
    ),
    "endless-output": Package(
        prints_for_ever, End(failures=("", "timeout"), says="the last word|longer than")
    ),
    "endless-output-to-pip": Package(
        prints_into_pip,
        End(failures=("", "timeout", "out-of-memory"), says="the last word|longer than|memory"),
        time_limit_s=240,
    ),
    "endless-line": Package(prints_one_line, End(failures=("", "timeout"), says="the last word|longer than")),
    "sleep": Package(sleeps_for_ever, _TIME, time_limit_s=4),
    "spin": Package(spins, _TIME, time_limit_s=4),
    "deaf": Package(ignores_signals, _TIME, time_limit_s=4, quick=True),
    "stopped": Package(stops_itself, _TIME, time_limit_s=4),
    "daemon": Package(leaves_a_daemon, End("succeeded")),
    "daemon-at-pips-pipe": Package(leaves_a_daemon_at_pips_pipe, _TIME, time_limit_s=5),
    "daemon-at-the-builders-pipe": Package(
        leaves_a_daemon_at_the_builders_pipe, End("succeeded", within_s=60)
    ),
    "open-files": Package(opens_files, End(says="no more than|open files")),
    "core-dump": Package(dumps_core, End(says="crashing")),
    "thorns": Package(builds_a_tree_of_thorns, End("succeeded")),
    "question": Package(asks, End(says="EOFError", within_s=30), quick=True),
}
