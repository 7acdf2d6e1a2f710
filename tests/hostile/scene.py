"""What surrounds an attack: a builder with secrets, canaries, listeners, and a wheel of another build."""

import contextlib
import ctypes
import os
import selectors
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from builder import preflight
from builder.tests.server import FakeServer

ROOT = Path(__file__).resolve().parents[2]
# From linux/prctl.h: whoever's parent dies becomes a child of this process, not of the machine's init.
_PR_SET_CHILD_SUBREAPER = 36
# Where an attack could leave files beyond its folders.
_PLACES = ("/tmp", "/var/tmp", "/dev/shm", "/etc", "/opt", "/usr/local/bin", "/root", "/run/lock")
# What archives try to unpack there, which know no scene.
_OF_ARCHIVES = ("planted-by-*",)
# The key of the shared memory that an attack leaves.
_SEGMENT = 0x5EED


@dataclass
class Listeners:
    """Doors that nobody may knock on, and how often somebody did."""

    token: str
    knocks: list[str] = field(default_factory=list)

    def __enter__(self):
        self._selector = selectors.DefaultSelector()
        self.doors = {name: self._tcp(name, "127.0.0.1") for name in ("broker", "loopback")}
        self.doors["every-address"] = self._tcp("every-address", "0.0.0.0", "127.0.0.2")
        if own := _own_address():
            self.doors["outside"] = self._tcp("outside", own)
        self.doors["loopback-v6"] = self._tcp("loopback-v6", "::1", family=socket.AF_INET6)
        self.datagrams = self._add("udp", socket.SOCK_DGRAM, socket.AF_INET, ("127.0.0.1", 0))[:2]
        self._folder = tempfile.TemporaryDirectory(prefix="doors-")
        self.local_doors = [f"@{self.token}", f"{self._folder.name}/redis.sock"]
        for address in self.local_doors:
            self._add(address, socket.SOCK_STREAM, socket.AF_UNIX, address.replace("@", "\0"))
        self._stop, stop = socket.socketpair()
        self._selector.register(stop, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.send(b"x")
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._stop.close()
        self._selector.close()
        self._folder.cleanup()

    def _tcp(self, name, bind, connect="", family=socket.AF_INET):
        port = self._add(name, socket.SOCK_STREAM, family, (bind, 0))[1]
        return connect or bind, port

    def _add(self, name, kind, family, address):
        door = socket.socket(family, kind)
        door.bind(address)
        if kind == socket.SOCK_STREAM:
            door.listen()
        self._selector.register(door, selectors.EVENT_READ, name)
        return door.getsockname()

    def _run(self):
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                self.knocks.append(key.data)
                if key.fileobj.type == socket.SOCK_DGRAM:
                    key.fileobj.recv(4096)
                else:
                    key.fileobj.accept()[0].close()


@dataclass
class Scene:
    """One builder at one level, in front of its canaries, for as many builds as it survives."""

    level: str
    folder: Path
    server: FakeServer
    listeners: Listeners
    process: subprocess.Popen | None = None

    def __enter__(self):
        self._began = time.time()
        self.token = self.listeners.token
        self.secret = f"secret-of-the-builder-{uuid.uuid4().hex}"
        self.home, self.work = self.folder / "home", self.folder / "work"
        self.neighbour = self.work / "pi-07" / "neighbour" / f"other-{self.token}-1.0-py3-none-any.whl"
        self._plant(self.neighbour, "a wheel of another build")
        for name in (".bashrc", ".profile", ".ssh/authorized_keys"):
            self._plant(self.home / name, f"# canary {name}\n")
        for name in (".netrc", "token", ".ssh/id_ed25519"):
            self._plant(self.home / name, self.secret, mode=0o600)
        self._system_canary = Path(f"/etc/canary-{self.token}")
        with contextlib.suppress(OSError):
            self._plant(self._system_canary, "canary")
        self.good: dict[str, str] = {}
        return self

    def __exit__(self, *_):
        self.end()
        with contextlib.suppress(OSError):
            self._system_canary.unlink()

    def prepare(self, good_build: Callable[["Scene"], tuple[str, dict[str, str]]]) -> None:
        """Forget what was before, and see once what an honest build comes to."""
        if not self.good:
            outcome, self.good = good_build(self)
            assert self.good, outcome
            # Only now: the builder itself starts compilers to ask for their versions, and some make files.
            self._before = self.picture()
        self.listeners.knocks.clear()

    def changes_of(self, good_build: Callable[["Scene"], tuple[str, dict[str, str]]]) -> list[str]:
        """Say how an honest build is not what it was before."""
        outcome, wheels = good_build(self)
        if not outcome and wheels == self.good:
            return []
        return [f"the next build is not as before: {outcome} {wheels}"]

    def facts(self) -> dict[str, object]:
        """What the attack is told: all that it could find out in a longer life."""
        host, port = self.server.url.split("/")[2].split(":")
        return {
            "level": self.level,
            "token": self.token,
            "home": str(self.home),
            "secrets": [str(self.home / name) for name in (".netrc", "token", ".ssh/id_ed25519")],
            "neighbour": str(self.neighbour),
            "builder": self.builder.pid,
            "doors": {**self.listeners.doors, "api": (host, int(port))},
            "door": "{}:{}".format(*self.listeners.doors["loopback"]),
            "datagrams": self.listeners.datagrams,
            "local_doors": self.listeners.local_doors,
            "ipc_key": _SEGMENT,
        }

    @property
    def builder(self) -> subprocess.Popen:
        """The builder's process, started anew if it is gone."""
        if self.process is None or self.process.poll() is not None:
            self.end()
            _adopt_orphans(True)
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.hostile.host", self.server.url, str(self.work), self.level],
                cwd=ROOT,
                env={
                    **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
                    "HOME": str(self.home),
                    "PIWHEELS_BUILDER_TOKEN": self.secret,
                    "REDIS_URL": f"redis://:{self.secret}@127.0.0.1:9/0",
                    "PYTHONDONTWRITEBYTECODE": "1",
                },
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        return self.process

    def build(self, number: int, within_s: float) -> str:
        """Have the builder carry out an order; return what it says of itself afterwards."""
        builder = self.builder
        builder.stdin.write(f"{number} 1\n")
        builder.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(builder.stdout, selectors.EVENT_READ)
            if not selector.select(within_s):
                # Its answer would be taken for that to the next order.
                self.end()
                return f"the builder did not come back within {within_s:g} s"
        return builder.stdout.readline().strip() or "the builder is dead"

    def end(self) -> None:
        """End the builder and all that is left of its builds."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                with contextlib.suppress(OSError):
                    pipe.close()
            self.process = None
        self.kill_survivors()
        _adopt_orphans(False)

    def survivors(self) -> list[str]:
        """Name the processes that came out of builds and are alive."""
        return [
            f"{process.pid} {process.status()} {' '.join(process.cmdline())[:200]}"
            for process in self._descendants()
            if _is_alive(process)
        ]

    def kill_survivors(self) -> None:
        """End what a build left behind."""
        for process in self._descendants():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
                process.wait(10)

    def _descendants(self) -> list[psutil.Process]:
        """Return the builder's descendants; its orphans are this process's children."""
        keep = {self.process.pid} if self.process else set()
        ours = psutil.Process()
        own = [child for child in ours.children() if child.pid not in keep]
        # What this process had for children before belongs to the tests, as their Redis.
        own = [child for child in own if child.create_time() >= self._began]
        below = [psutil.Process(pid) for pid in keep]
        return [
            *(each for child in [*own] for each in [child, *_children(child)]),
            *(each for child in below for each in _children(child)),
        ]

    def picture(self) -> dict[str, tuple]:
        """Return what the canaries look like, and what lies where no build may leave anything."""
        found: dict[str, tuple] = {}
        canaries = (*self.home.rglob("*"), self.home, *self.neighbour.parent.rglob("*"))
        for path in (*canaries, self._system_canary, Path("/etc/passwd")):
            with contextlib.suppress(FileNotFoundError):
                status = path.lstat()
                content = path.read_text(errors="replace") if stat.S_ISREG(status.st_mode) else ""
                found[str(path)] = (status.st_mode, status.st_uid, status.st_nlink, content)
        found |= {str(path): () for path in self._planted()}
        found |= {"shared memory": ()} if _is_segment_there() else {}
        return found

    def damage(self) -> list[str]:
        """Say what is not as it was before the first build."""
        now = self.picture()
        paths = sorted(now.keys() | self._before.keys())
        return [
            f"{path}: {self._before.get(path, 'nothing')} became {now.get(path, 'nothing')}"
            for path in paths
            if now.get(path) != self._before.get(path)
        ]

    def leftovers(self) -> list[str]:
        """Name what builds left in the builder's own folder, which nothing of them outlives."""
        return [
            f"{path} is left"
            for path in (self.work / "pi-07").iterdir()
            if path.name not in ("neighbour", "cache")
        ]

    def repair(self) -> None:
        """Undo what a build could do where nothing kept it from that."""
        self.kill_survivors()
        for path in self._planted():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        if _is_segment_there():
            subprocess.run(["ipcrm", "-M", hex(_SEGMENT)], check=False, capture_output=True)
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.rmtree(self.neighbour.parent, ignore_errors=True)
        for path, (mode, _, _, content) in ((Path(p), f) for p, f in self._before.items() if f):
            if stat.S_ISREG(mode) and path.is_relative_to(self.folder):
                self._plant(path, content, mode=stat.S_IMODE(mode))

    def _planted(self) -> list[Path]:
        """Return what lies where a build could leave something beyond its folders."""
        names = (f"{self.token}*", *_OF_ARCHIVES)
        return [path for place in _PLACES for name in names for path in Path(place).glob(name)]

    @staticmethod
    def _plant(path: Path, content: str, mode: int = 0o644) -> None:
        """Write a file and the folders above it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(mode)


def _children(process: psutil.Process) -> list[psutil.Process]:
    """Return all that a process started, directly or not."""
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _is_segment_there() -> bool:
    """Tell whether an attack's shared memory is on the machine itself."""
    lines = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return any(line.split()[0] == str(_SEGMENT) for line in lines)


def _is_alive(process: psutil.Process) -> bool:
    """Tell whether a process runs; bury it if it is dead and ours."""
    with contextlib.suppress(psutil.NoSuchProcess):
        if process.status() != psutil.STATUS_ZOMBIE:
            return True
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)
    return False


def _adopt_orphans(adopt: bool) -> None:
    """Become the parent of whoever loses theirs below this process, so that no survivor gets out of sight."""
    if ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(adopt), 0, 0, 0) != 0:
        raise OSError("prctl")


def _own_address() -> str:
    """Return an address of this machine that is not loopback; "" if it has none."""
    for addresses in psutil.net_if_addrs().values():
        for each in addresses:
            if each.family == socket.AF_INET and not each.address.startswith("127."):
                return each.address
    return ""


def strongest(folder: Path) -> tuple[str, tuple[str, ...]]:
    """Return the strongest level of the sandbox that this machine has, and what keeps it from the next."""
    kind = preflight.find(folder)
    return kind.level, kind.lacks
