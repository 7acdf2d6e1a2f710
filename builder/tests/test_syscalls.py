import subprocess
import sys
from pathlib import Path

import pytest

from builder import syscalls
from builder.sandbox import Level
from builder.tests.boxes import boxed

# A call's number is another on each processor, so libc's own functions are asked where it has them.
ASK = """
import ctypes, errno, fcntl, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def say(name, value):
    print(name, errno.errorcode[ctypes.get_errno()] if value == -1 else "allowed")
say("unshare", libc.unshare(0x10000000))
say("mount", libc.mount(b"none", b"/tmp", b"tmpfs", 0, None))
say("ptrace", libc.ptrace(0, 0, None, None))
say("setns", libc.setns(0, 0))
say("chroot", libc.chroot(b"/tmp"))
say("fanotify", libc.fanotify_init(0, 0))
say("personality", libc.personality(0x0040000))
say("memfd", libc.memfd_create(b"x", 0))
say("segment", libc.shmget(0, ctypes.c_size_t(1 << 20), 0o1600))
say("queue", libc.msgget(0, 0o1600))
for family in (socket.AF_NETLINK, socket.AF_PACKET, 38, 40):
    try:
        socket.socket(family, socket.SOCK_RAW); print("socket allowed")
    except OSError as error:
        print("socket", errno.errorcode[error.errno])
for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6):
    socket.socket(family).close()
read, write = os.openpty()
for request in (0x5412, 0x5412 | 1 << 32):
    say("TIOCSTI", libc.ioctl(ctypes.c_int(write), ctypes.c_ulong(request), b"x"))
"""


@pytest.mark.parametrize("level", [Level.BOX, Level.FULL])
def test_T42_what_a_build_never_needs_is_denied(level, tmp_path):
    with boxed(level, tmp_path) as box:
        if box.kind.filter is None:
            pytest.skip(box.kind.lacks[0])
        box.run(ASK)

        denied = ["unshare", "mount", "ptrace", "setns", "chroot", "fanotify", "personality"]
        assert box.said.splitlines() == [
            *(f"{name} EPERM" for name in denied),
            *(f"{name} ENOSYS" for name in ("memfd", "segment", "queue")),
            *["socket EAFNOSUPPORT"] * 4,
            *["TIOCSTI EPERM"] * 2,
        ]


def test_threads_and_processes_start_as_ever(tmp_path):
    with boxed(Level.BOX, tmp_path) as box:
        box.run(
            "import subprocess, threading, multiprocessing.dummy\n"
            "threading.Thread(target=print, args=('thread',)).start()\n"
            "print(subprocess.run(['echo', 'process'], capture_output=True, text=True).stdout)"
        )

        assert set(box.said.split()) == {"thread", "process"}


def test_without_the_library_it_is_said_what_to_install():
    ask = """
import ctypes.util
find = ctypes.util.find_library
ctypes.util.find_library = lambda name: None if name == "seccomp" else find(name)
from builder import syscalls
try:
    syscalls.program()
except syscalls.NoFilter as error:
    print(error)
"""
    root = Path(syscalls.__file__).parents[1]

    told = subprocess.run([sys.executable, "-c", ask], cwd=root, capture_output=True, text=True, check=True)

    assert told.stdout == "libseccomp is not installed: apt install libseccomp2.\n"
