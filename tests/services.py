"""Private PostgreSQL and Redis servers for a run of the tests, in a scratch folder."""

import ctypes.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2

from deploy import redis
from deploy.scratch import free_port

# What a small server's PostgreSQL gets from us.
SMALL = Path(__file__).parent.with_name("deploy") / "postgresql" / "small.conf"


class CannotInstall(Exception):
    """A server is missing and may not be installed from here; the text says what to do."""


def postgres_tools() -> Path | None:
    """Return the folder of PostgreSQL's programs: Debian keeps them out of PATH."""
    for folder in sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name), reverse=True
    ):
        if (folder / "initdb").exists():
            return folder
    initdb = shutil.which("initdb")
    return Path(initdb).parent if initdb else None


def postgres_program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs, which `install_missing` has seen to."""
    tools = postgres_tools()
    assert tools, "PostgreSQL is not installed"
    return str(tools / name)


def install_missing() -> None:
    """Install from Debian's packages what the tests start, if it is missing and we may."""
    missing = [
        name
        for name, there in [
            ("postgresql", postgres_tools()),
            ("redis-server", shutil.which("redis-server") or shutil.which("valkey-server")),
            ("chromium", shutil.which("chromium")),
            # In front of the site, as in production; light as it needs no module.
            ("nginx-light", shutil.which("nginx", path=os.defpath + ":/usr/sbin")),
            # What deploy/backup copies files with.
            ("rsync", shutil.which("rsync")),
            # What builds run in; without them most tests of the sandbox are skipped.
            ("bubblewrap", shutil.which("bwrap")),
            # The terminal in which the monitor is looked at.
            ("tmux", shutil.which("tmux")),
            ("libseccomp2", ctypes.util.find_library("seccomp")),
        ]
        if not there
    ]
    install(missing)


def install(missing: list[str]) -> None:
    """Install Debian's packages of those names, if any; raises CannotInstall where we may not."""
    if not missing:
        return
    if os.geteuid() or not shutil.which("apt-get"):
        raise CannotInstall(
            f"The tests need {' and '.join(missing)}: run `sudo apt install {' '.join(missing)}`."
        )
    print(f"Installing {' and '.join(missing)} from Debian's packages ...", flush=True)
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120"]
    quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
    # Debian would start servers of its own; the tests have theirs.
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        subprocess.run([*apt, "update"], check=True, **quiet)  # type: ignore[call-overload]
        subprocess.run([*apt, "install", "-y", "--no-install-recommends", *missing], check=True, **quiet)  # type: ignore[call-overload]
    finally:
        if ours:
            policy.unlink()


@contextmanager
def scratch() -> Iterator[Path]:
    """Keep a folder that servers of another user can enter."""
    folder = Path(tempfile.mkdtemp(prefix="piwheels-test-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Postgres:
    """A PostgreSQL in that folder, for whoever starts it; as root it runs as another user, as it insists.

    With one of our configurations it is one of production, which has what it says on the disk before it says
    so; without, one for tests, which have nothing to lose.
    """

    def __init__(self, folder: Path, configuration: Path | None = None) -> None:
        self.home = folder / "postgres"
        self._configuration = configuration
        self._port = free_port()
        self.url = f"postgresql://piwheels@127.0.0.1:{self._port}/postgres"
        # There while it runs; one that was killed leaves it behind.
        self.socket = self.home / f".s.PGSQL.{self._port}"

    def create(self) -> None:
        """Make its files."""
        self.home.mkdir()
        if not os.geteuid():
            shutil.chown(self.home, self._user())
        words = ["-D", str(self.home / "data"), "-A", "trust", "-U", "piwheels", "-E", "UTF8"]
        initdb = [*self._program("initdb"), *words, "--locale=C.UTF-8", "--no-sync"]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if self._configuration:
            with (self.home / "data" / "postgresql.conf").open("a") as own:
                own.write(self._configuration.read_text())

    def command(self) -> list[str]:
        """Return the command line that runs it."""
        where = ["-D", str(self.home / "data"), "-k", str(self.home), "-p", str(self._port)]
        careless = [] if self._configuration else ["-F", "-c", "max_connections=60"]
        return [*self._program("postgres"), *where, "-h", "127.0.0.1", *careless]

    def answers(self) -> bool:
        """Whether it takes connections now."""
        try:
            psycopg2.connect(self.url, connect_timeout=5).close()
        except psycopg2.OperationalError:
            return False
        return True

    def _program(self, name: str) -> list[str]:
        """Return how one of its programs is called."""
        tools, user = postgres_tools(), self._user()
        assert tools
        as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        # That user may not enter the folder that we are in.
        return ["env", "--chdir=/", *([] if os.geteuid() else as_user), str(tools / name)]

    def _user(self) -> str:
        """Return whom it runs as."""
        return pwd.getpwuid(os.geteuid()).pw_name if os.geteuid() else "postgres"


@contextmanager
def postgres(folder: Path, configuration: Path | None = None) -> Iterator[str]:
    """Run a PostgreSQL and give the DATABASE_URL of it; see `Postgres`."""
    own = Postgres(folder, configuration)
    own.create()
    server = subprocess.Popen(own.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(own.socket, server)
        yield own.url
    finally:
        server.terminate()
        server.wait(30)


@contextmanager
def private_redis(home: Path, program: str | None = None) -> Iterator[str]:
    """Run a Redis in that folder, this machine's unless another is named, and give the REDIS_URL of it."""
    home.mkdir(parents=True, exist_ok=True)
    words = redis.command(home)
    server = subprocess.Popen([program or words[0], *words[1:]], stdout=subprocess.DEVNULL)
    try:
        wait_for(redis.socket(home), server)
        yield f"redis+socket://{redis.socket(home)}"
    finally:
        server.terminate()
        server.wait(30)


def wait_for(path: Path, server: "subprocess.Popen[bytes]") -> None:
    """Wait for a server's socket, or say that the server ended."""
    for _ in range(300):
        if path.exists():
            time.sleep(0.2)
            return
        if server.poll() is not None:
            raise RuntimeError(f"The server ended with status {server.returncode} before it made {path}.")
        time.sleep(0.1)
    raise RuntimeError(f"There is no {path} after 30 s.")
