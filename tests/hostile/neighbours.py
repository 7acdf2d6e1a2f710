"""Packages that reach for what is not theirs: the builder, its secrets, the system, the next build."""

import ctypes
import errno
import os
import platform
import shutil
import signal
import site
import sys
import time
from pathlib import Path

from tests.hostile.backend import (
    SCENE,
    ancestors,
    daemon,
    give_up,
    hole,
    must_fail,
    out,
    pip,
    say,
    shout,
)
from tests.hostile.package import End, Package

_SAME_USER = "without a sandbox a build has all the rights of the builder's user"


def writes_to_the_home(folder):
    """Write where shells, ssh and Python of the builder's user would read."""
    import pwd

    for home in (SCENE["home"], pwd.getpwuid(os.getuid()).pw_dir):
        for name in (".bashrc", ".profile", ".ssh/authorized_keys", ".config/pip/pip.conf"):
            path = Path(home, name)
            if str(path).startswith(str(Path.home())) or (home != SCENE["home"] and SCENE["level"] == "bare"):
                continue
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("a") as file:
                    file.write(f"# {SCENE['token']}\n")
            except OSError as error:
                say(f"refused: {path}: {error}")
    (Path.home() / ".bashrc").write_text("this home is the build's own")


def writes_to_the_system(folder):
    """Write where the system is configured."""
    token = SCENE["token"]
    for name in (f"/etc/{token}", f"/usr/local/bin/{token}", f"/var/tmp/{token}", f"/opt/{token}"):
        try:
            Path(name).write_text("planted")
        except OSError as error:
            say(f"refused: {name}: {error}")
    for name in ("/etc/passwd", "/etc/ld.so.preload", "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger"):
        if Path(name).exists():
            must_fail(f"opening {name} to write", lambda path=name: os.open(path, os.O_WRONLY))
    for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/memory"):
        must_fail(f"a cgroup in {root}", lambda path=root: os.mkdir(f"{path}/{SCENE['token']}"))
    give_up()


def reads_environments(folder):
    """Look for secrets in its own environment and in that of every process that can be seen."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        for name in ("environ", "cmdline"):
            try:
                text = (entry / name).read_bytes().decode(errors="replace")
            except OSError:
                continue
            if "secret-of-the-builder" in text:
                hole(f"{entry / name} of another: {text!r}")
    give_up()


def shows_its_environment(folder):
    """Print all that it was given: variables, open files and their like."""
    say(repr(dict(os.environ)))
    say(Path("/proc/self/mountinfo").read_text())
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(entry)
            say(f"{entry.name} -> {target}")
            if int(entry.name) > 2 and "secret" in os.read(int(entry.name), 4096).decode(errors="replace"):
                hole(f"{target} is open", level="bare")
        except OSError:
            continue
    give_up()


def reads_files(folder):
    """Look for the builder's files, by their paths and through the processes that can be seen."""
    roots = [
        "",
        "/proc/1/root",
        "/proc/1/cwd/../../../../../..",
        *(f"/proc/{pid}/root" for pid in ancestors()),
    ]
    for root in roots:
        for name in SCENE["secrets"]:
            try:
                hole(Path(root + name).read_text())
            except OSError as error:
                say(f"refused: {root}{name}: {error}")
    for name in ("/etc/shadow", "/etc/ssh/ssh_host_ed25519_key", "/root/.ssh/id_ed25519"):
        must_fail(name, lambda path=name: len(Path(path).read_bytes()))
    give_up()


def reads_open_files(folder):
    """Read what the processes above it have open."""
    for pid in ancestors():
        try:
            entries = list(Path(f"/proc/{pid}/fd").iterdir())
        except OSError as error:
            say(f"refused: {error}")
            continue
        for entry in entries:
            try:
                target = os.readlink(entry)
                say(f"{pid} has {target}")
                if target.startswith("/") and "secret-of-the-builder" in entry.read_text(errors="replace"):
                    hole(f"{entry} is {target}")
            except OSError:
                continue
    give_up()


def kills_its_parent(folder):
    """Kill pip, which started it."""
    os.kill(pip()[0], signal.SIGKILL)
    time.sleep(1)


def kills_upwards(folder):
    """Kill each process above it but the builder, the topmost first."""
    if SCENE["level"] != "bare" and Path(f"/proc/{SCENE['builder']}").exists():
        hole("the builder's process can be seen")
        give_up()
    above = ancestors()
    if SCENE["level"] == "bare":
        above = above[: above.index(SCENE["builder"])]
    for pid in reversed(above):
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError as error:
            say(f"refused: {pid}: {error}")
    time.sleep(3)


def kills_everybody(folder):
    """Kill all that can be killed, when nobody but the build can be seen."""
    if SCENE["level"] == "bare" or Path(f"/proc/{SCENE['builder']}").exists():
        hole("processes of others can be seen")
        give_up()
    os.kill(-1, signal.SIGKILL)
    time.sleep(3)


def looks_into_others(folder):
    """Trace and change other processes, the builder's first."""
    libc = ctypes.CDLL(None, use_errno=True)
    for pid in {SCENE["builder"], 1}:
        for request in (16, 0x4206):  # PTRACE_ATTACH and PTRACE_SEIZE
            if SCENE["level"] != "bare" and libc.ptrace(request, pid, 0, 0) == 0:
                hole(f"ptrace({request}) of {pid}", level="box" if pid != 1 else "full")
        must_fail(f"/proc/{pid}/mem", lambda pid=pid: Path(f"/proc/{pid}/mem").open("r+b"), level="full")
    must_fail("a signal to the builder", lambda: os.kill(SCENE["builder"], 0))
    give_up()


def asks_the_kernel(folder):
    """Make the calls by which sandboxes have been left; each with arguments that do no harm if it works."""
    if SCENE["level"] == "bare":
        give_up()
    libc = ctypes.CDLL(None, use_errno=True)
    column = {"x86_64": 0, "aarch64": 1, "armv7l": 2}.get(platform.machine(), 0)
    now = (ctypes.c_long * 2)(*divmod(time.time_ns(), 10**9))
    mine = str(Path(os.environ["TMPDIR"])).encode()
    calls = {  # by their numbers on x86_64, aarch64 and arm
        "mount": ((165, 40, 21), (b"none", mine, b"tmpfs", 1, None)),
        "umount2": ((166, 39, 52), (mine, 2)),
        "pivot_root": ((155, 41, 218), (mine, mine)),
        "chroot": ((161, 51, 61), (b"/",)),
        "clock_settime": ((227, 112, 262), (0, now)),
        "reboot": ((169, 142, 88), (0, 0, 0, 0)),
        "kexec_load": ((246, 104, 347), (0, 0, None, 0)),
        "init_module": ((175, 105, 128), (None, 0, b"")),
        "swapoff": ((168, 225, 115), (b"/nonexistent",)),
        "setns": ((308, 268, 375), (0, 0)),
        "open_by_handle_at": ((304, 265, 371), (-1, None, 0)),
        "add_key": ((248, 217, 309), (b"user", SCENE["token"].encode(), b"x", 1, -4)),
        "keyctl": ((250, 219, 311), (0, -4, 1)),
        "bpf": ((321, 280, 386), (0, None, 0)),
        "userfaultfd": ((323, 282, 388), (0,)),
        "io_uring_setup": ((425, 425, 425), (1, None)),
        "perf_event_open": ((298, 241, 364), (None, 0, -1, -1, 0)),
        "unshare": ((272, 97, 337), (0x10000000,)),
        "ptrace": ((101, 117, 26), (0, 0, None, None)),
    }
    of_the_kernel_alone = ("mount", "umount2", "pivot_root", "clock_settime", "reboot", "kexec_load")
    # A process for each, as some of them change their caller.
    for name, (numbers, arguments) in calls.items():
        child = os.fork()
        if child == 0:
            ctypes.set_errno(0)
            gained = libc.syscall(numbers[column], *arguments)
            reason = ctypes.get_errno()
            said = errno.errorcode.get(reason, "nothing")
            if gained < 0 and reason in (errno.EPERM, errno.ENOSYS, errno.EACCES):
                say(f"refused: {name}: {said}")
            else:
                hole(f"{name} gave {gained}, {said}", level="box" if name in of_the_kernel_alone else "full")
            os._exit(0)
        os.waitpid(child, 0)
    for path, mode in (("mem", 0o20600), ("disk", 0o60600)):
        must_fail(f"a device {path}", lambda p=path, m=mode: os.mknod(Path.home() / p, m, os.makedev(1, 1)))
    status = Path("/proc/self/status").read_text()
    for line in ("NoNewPrivs:\t1", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000"):
        if line not in status:
            hole(f"there is no line {line!r} in /proc/self/status")
    if "Seccomp:\t2" not in status:
        hole("no filter of system calls", level="full")
    give_up()


def opens_devices(folder):
    """Open devices that no build needs."""
    for name in (
        "/dev/mem",
        "/dev/kmsg",
        "/dev/kvm",
        "/dev/fuse",
        "/dev/loop-control",
        "/dev/vda",
        "/dev/mmcblk0",
    ):
        must_fail(name, lambda path=name: os.open(path, os.O_RDONLY))
    give_up()


def changes_the_wheel_of_another(folder):
    """Find the folders of other builds and change the wheels in them."""
    found = {SCENE["neighbour"]}
    for root in ("/tmp", "/var", "/home", "/root", "/srv", "/opt", "/run", "/mnt", "/in", "/out"):
        for path, _, names in os.walk(root):
            found.update(f"{path}/{name}" for name in names if name == Path(SCENE["neighbour"]).name)
    for path in found:
        try:
            Path(path).write_bytes(b"changed by another build")
            hole(path)
        except OSError as error:
            say(f"refused: {path}: {error}")
    give_up()


def plants_for_the_next_build(folder):
    """Leave what Python, pip and compilers read when they start."""
    home = Path.home()
    code = "raise SystemExit('planted')\n"
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    plants = {
        home / f".local/lib/{version}/site-packages/sitecustomize.py": code,
        home / f".local/lib/{version}/site-packages/usercustomize.py": code,
        home / ".config/pip/pip.conf": "[global]\nindex-url = http://127.0.0.1:9/planted\n",
        home / ".pip/pip.conf": "[global]\nno-index = true\n",
        home / ".cache/pip/planted": code,
        home / ".cargo/config.toml": "[build]\nrustc-wrapper = '/bin/false'\n",
        Path(os.environ["TMPDIR"]).parent / "in" / "planted.py": code,
    }
    for path, text in plants.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        except OSError as error:
            say(f"refused: {path}: {error}")
    for name in {*site.getsitepackages(), *sys.path, *(str(Path(p, "pip")) for p in sys.path)}:
        if not name.startswith(str(home.parent)) and "pip-" not in name and Path(name).is_dir():
            planted = Path(name, f"{SCENE['token']}.pth")
            must_fail(f"planting in {name}", lambda path=planted: (path.write_text("#"), path.unlink()))
    give_up()


def links_to_the_outside(folder):
    """Leave links to the builder's files wherever its folders are cleaned, so that cleaning follows them."""
    for place in (Path.home(), Path(os.environ["TMPDIR"]), out()):
        for number, target in enumerate((SCENE["home"], *SCENE["secrets"], "/etc", "/")):
            os.symlink(target, place / f"link-{number}")
        nest = place / "nest"
        nest.mkdir()
        os.symlink(SCENE["home"], nest / "x")
        nest.chmod(0o500)
    give_up()


def replaces_its_folders(folder):
    """Put links to the builder's home in the place of its own folders."""
    for place in (out(), Path(os.environ["TMPDIR"]), Path.home()):
        try:
            shutil.rmtree(place)
            os.symlink(SCENE["home"], place)
        except OSError as error:
            say(f"refused: {place}: {error}")
    give_up()


def leaves_shared_memory(folder):
    """Leave System V shared memory, which outlives the processes that made it."""
    libc = ctypes.CDLL(None, use_errno=True)
    made = libc.shmget(SCENE["ipc_key"], 4096, 0o1600)
    say(f"shmget gave {made}")
    give_up()


def speaks_as_the_builder(folder):
    """Print what the builder and its programs say when they themselves are at fault, or when all is well."""
    for line in (
        "[piwheels: the build succeeded]",
        "[piwheels: the server cannot be reached]",
        "OSError: [Errno 28] No space left on device",
        "Successfully built tiny",
        "ConnectionError: the package proxy cannot be reached",
    ):
        shout(line.encode() + b"\n")
        say(line)
    give_up("error: builder-fault")


def prints_strange_bytes(folder):
    """Print what could act on a terminal, a browser or a database."""
    for chunk in (
        b"\x00\x1b[2J\x1b]0;owned\x07\x1b[31mred\x9b31m",
        b"\xff\xfe\xc3\x28 invalid \xed\xa0\x80",
        "\u202egnp.exe\u2066 bidi \u200b\ufeff".encode(),
        b"</pre><script>alert(1)</script>",
        b"\r\n\r" * 10 + b"\x08" * 100,
    ):
        shout(chunk + b"\n")
        os.write(2, chunk + b"\n")
    give_up("the last word")


def waits_for_the_wheel(folder):
    """Leave a process that changes the wheel once pip has ended, when somebody else reads it."""
    place, (parent, _) = out(), pip()

    def change():
        while Path(f"/proc/{parent}").exists() and Path(f"/proc/{parent}/cmdline").read_bytes():
            time.sleep(0.001)
        # As long as the end of the sandbox may take; its own wheel, a package may spoil.
        time.sleep(2)
        for _ in range(6000):
            for path in place.glob("*.whl"):
                with path.open("ab") as file:
                    file.write(b"changed")
            time.sleep(0.01)

    daemon(change)


_QUIET = End(says="everything was tried")
_KILLED = End(says="killed by signal 9")

PACKAGES = {
    "writes-home": Package(writes_to_the_home, End("succeeded"), not_at_bare=_SAME_USER, quick=True),
    "writes-etc": Package(writes_to_the_system, _QUIET, not_at_bare=_SAME_USER, quick=True),
    "reads-environments": Package(reads_environments, _QUIET, not_at_bare=_SAME_USER, quick=True),
    "shows-environment": Package(shows_its_environment, _QUIET),
    "reads-files": Package(reads_files, _QUIET, not_at_bare=_SAME_USER),
    "reads-open-files": Package(reads_open_files, _QUIET, not_at_bare=_SAME_USER, gains_at_bare=False),
    "kills-parent": Package(kills_its_parent, _KILLED),
    "kills-upwards": Package(
        kills_upwards,
        _KILLED,
        not_at_bare="who kills the warden is out of its reach",
        gains_at_bare=False,
        leaves_processes_at_bare=True,
    ),
    "kills-everybody": Package(
        kills_everybody,
        _KILLED,
        not_at_bare="there it would kill the machine, so it does not try",
        at={"bare": _QUIET},
        quick=True,
    ),
    "traces": Package(looks_into_others, _QUIET, not_at_bare=_SAME_USER),
    "asks-kernel": Package(asks_the_kernel, _QUIET, not_at_bare=_SAME_USER, gains_at_bare=False),
    "opens-devices": Package(opens_devices, _QUIET, not_at_bare=_SAME_USER),
    "changes-neighbour": Package(
        changes_the_wheel_of_another, _QUIET, not_at_bare=_SAME_USER, time_limit_s=120
    ),
    "plants": Package(plants_for_the_next_build, _QUIET, not_at_bare=_SAME_USER),
    "links": Package(links_to_the_outside, _QUIET),
    "replaces-folders": Package(
        replaces_its_folders, End(failures=("", "bad-output", "no-wheel", "disk-full"))
    ),
    "shared-memory-segment": Package(
        leaves_shared_memory, _QUIET, not_at_bare="System V's names are the machine's own there"
    ),
    "speaks-as-the-builder": Package(speaks_as_the_builder, End(says="error: builder-fault")),
    "strange-bytes": Package(prints_strange_bytes, End(says="the last word")),
    "changes-wheel-late": Package(waits_for_the_wheel, End("succeeded")),
}
