"""Runs one command inside an ARM root, as `chroot` would if this processor were an ARM.

A script for root, of the standard library alone:  python -m tests.arm.inside ROOT USER COMMAND...

The command gets user, mount and process namespaces of its own.  In them the kernel gives ARM programs to
QEMU; nothing is registered or mounted where others would see it.  When the command ends, or whoever started
this dies, all that it started is dead and every mount is gone.  The environment is passed on as it is.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

# From linux/sched.h and linux/prctl.h; os.unshare came with Python 3.12.
_NAMESPACES = 0x10000000 | 0x00020000 | 0x20000000  # CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID
_PR_SET_PDEATHSIG = 1

# What the kernel tells an ARM program by: a little-endian 32-bit ELF file of that machine, for any system
# (byte 7), which is a program or a shared object (byte 16 is 2 or 3).
_ELF = bytes.fromhex("7f454c46 010101 00 0000000000000000 0200 2800")
_MASK = bytes.fromhex("ffffffff ffffff 00 ffffffffffffffff feff ffff")

_NO_BINFMT = (
    "binfmt_misc cannot be mounted in a namespace of users: this takes Linux 6.7 or newer, and its module "
    "(`sudo modprobe binfmt_misc`)."
)
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


class CannotEmulate(Exception):
    """This machine cannot run ARM programs; the text says what it lacks."""


def main(arguments: list[str]) -> int:
    """Run the command that follows the root and the user; return its exit status, 128 + n after signal n."""
    root, user, command = Path(arguments[0]).resolve(), arguments[1], arguments[2:]
    try:
        _die_with_parent()
        _enter_namespaces()
    except (CannotEmulate, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 125
    first = os.fork()
    if first == 0:
        os._exit(_first_process(root, user, command))
    signal.signal(signal.SIGTERM, lambda *_: os.kill(first, signal.SIGTERM))
    return _code(os.waitpid(first, 0)[1])


def _enter_namespaces() -> None:
    """Move into new namespaces in which every user is still itself; the next child is their first process."""
    reading, writing = os.pipe()
    maps = [_same(Path(f"/proc/self/{name}").read_text()) for name in ("uid_map", "gid_map")]
    ours = os.getpid()
    mapper = os.fork()
    if mapper == 0:
        # Only a process outside may write a map of more than one user.
        os.read(reading, 1)
        for name, text in zip(("uid_map", "gid_map"), maps, strict=True):
            Path(f"/proc/{ours}/{name}").write_text(text)
        os._exit(0)
    _call("unshare", _NAMESPACES)
    os.write(writing, b"x")
    if os.waitpid(mapper, 0)[1]:
        raise CannotEmulate("The users of a new namespace cannot be mapped: this needs root.")
    os.close(reading)
    os.close(writing)


def _same(users: str) -> str:
    """Return the map in which each user that exists here is itself."""
    return "".join(f"{first} {first} {count}\n" for first, _, count in map(str.split, users.splitlines()))


def _first_process(root: Path, user: str, command: list[str]) -> int:
    """Set up the root, run the command in it and bury what it leaves; return its exit status."""
    _die_with_parent()
    try:
        _mount_all(root)
        program = os.fork()
        if program == 0:
            _become(root, user, command)
        signal.signal(signal.SIGTERM, lambda number, frame: _pass_on(program, number, frame))
        while True:
            # Orphans come to the first process of their namespace.
            pid, status = os.wait()
            if pid == program:
                return _code(status)
    except (CannotEmulate, OSError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"{error}\n")
        return 125


def _mount_all(root: Path) -> None:
    """Give the root what a running system has, and the kernel its emulator."""
    _mount("--make-rprivate", "/")
    _mount("-t", "proc", "proc", root / "proc")
    _mount("-t", "tmpfs", "-o", "mode=755,size=1m", "tmpfs", root / "dev")
    for name in _DEVICES:
        (root / "dev" / name).touch()
        _mount("--bind", f"/dev/{name}", root / "dev" / name)
    for name, kind, options in (
        ("shm", "tmpfs", "mode=1777"),
        ("pts", "devpts", "newinstance,ptmxmode=0666"),
    ):
        (root / "dev" / name).mkdir()
        _mount("-t", kind, "-o", options, kind, root / "dev" / name)
    (root / "dev" / "ptmx").symlink_to("pts/ptmx")
    (root / "dev" / "fd").symlink_to("/proc/self/fd")
    _register(root / "proc/sys/fs/binfmt_misc")


def _register(folder: Path) -> None:
    """Tell the kernel, for these namespaces alone, that QEMU runs ARM programs."""
    qemu = shutil.which("qemu-arm-static") or shutil.which("qemu-arm")
    if qemu is None:
        raise CannotEmulate("There is no qemu-arm-static: run `sudo apt install qemu-user-static`.")
    try:
        _mount("-t", "binfmt_misc", "binfmt_misc", folder)
    except subprocess.CalledProcessError as error:
        raise CannotEmulate(_NO_BINFMT) from error
    fields = [b":arm:M::", _escaped(_ELF), b":", _escaped(_MASK), b":", os.fsencode(qemu)]
    # P: the program's own name survives.  F: the kernel opens QEMU now, so that no root needs to have it.
    (folder / "register").write_bytes(b"".join(fields) + b":PF")


def _escaped(text: bytes) -> bytes:
    """Return bytes as binfmt_misc reads them, which takes some for signs of its own."""
    return b"".join(b"\\x%02x" % byte for byte in text)


def _become(root: Path, user: str, command: list[str]) -> None:
    """Turn this process into the command."""
    os.chroot(root)
    os.chdir("/")
    if user != "root":
        uid, gid = _account(user)
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        os._exit(127)


def _account(user: str) -> tuple[int, int]:
    """Return the numbers of a user of the root that we are in, whose C library is not for this process."""
    for line in Path("/etc/passwd").read_text().splitlines():
        name, _, uid, gid, *_ = line.split(":")
        if name == user:
            return int(uid), int(gid)
    raise CannotEmulate(f"There is no user {user} in the root.")


def _mount(*words: object) -> None:
    subprocess.run(["mount", *map(str, words)], check=True)


def _pass_on(program: int, number: int, frame: FrameType | None) -> None:
    os.kill(program, number)


def _die_with_parent() -> None:
    """Be killed when the thread that started this ends."""
    _call("prctl", _PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def _call(name: str, *arguments: int) -> None:
    """Call a function of the C library that says by -1 that it failed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
