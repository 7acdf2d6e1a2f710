"""nginx in front of the site, as in production, with deploy/nginx's own configuration.

A `Stack` is what readers see, for tests that publish themselves; a `Production` is all of it, with processes
that publish, each of which can be killed.
"""

import contextlib
import math
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import psutil
import requests
from django.db import connection

from deploy import farm as miniature
from deploy.farm import ROOT
from deploy.scratch import free_port
from tests.farm import Farm
from tests.services import Postgres, wait_for

NGINX = ROOT / "deploy" / "nginx"
# Nothing listens here.
NOWHERE = "http://127.0.0.1:9/simple/"
# Debian keeps it out of the PATH of ordinary users.
PROGRAM = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")

_MAIN = """
user {user};
daemon off;
worker_processes {workers};
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    access_log off;
    {site}
}}
"""


def configuration(**values: object) -> str:
    """Return the shipped configuration with these values in the place of its ${NAMES}."""
    text = (NGINX / "piwheels.conf.template").read_text()
    return re.sub(r"\$\{([A-Z_]+)\}", lambda name: str(values[name[1]]), text)


def wait_for_answer(process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    """Wait until a server answers, whatever it says, or tell from its log why it ended."""
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended: {log.read_text()[-2000:]}")
        try:
            requests.options(address, timeout=60)
        except requests.RequestException:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"{process.args!r} does not answer: {log.read_text()[-2000:]}")


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Have a process, and all that it has started, stand still."""
    top = psutil.Process(pid)
    stopped = [top, *top.children(recursive=True)]
    for process in stopped:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()
    try:
        yield
    finally:
        for process in stopped:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


class Nginx:
    """A running nginx that serves a published tree, and asks a web server for all else."""

    def __init__(
        self, folder: Path, public: Path, web: str, *, upstream: str, workers: int = 1, besides: str = ""
    ) -> None:
        """Have one with what a machine may have `besides` in the http context."""
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.access_log = folder / "access.log"
        self._site = besides + configuration(
            PIWHEELS_LISTEN=f"127.0.0.1:{self.port}",
            PIWHEELS_NAME="_",
            PIWHEELS_WEB=web,
            PIWHEELS_PUBLIC=public,
            PIWHEELS_PYPI=upstream,
            PIWHEELS_NGINX=NGINX,
            PIWHEELS_ACCESS_LOG=self.access_log,
        )
        self._workers = workers

    def __enter__(self) -> Self:
        self.configure()
        self.process = subprocess.Popen(self.command())
        wait_for_answer(self.process, f"{self.url}/simple/", self.folder / "error.log")
        return self

    def configure(self) -> None:
        """Write its configuration."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # What is published belongs to who runs the tests.
        text = _MAIN.format(
            user=self.folder.owner(), workers=self._workers, folder=self.folder, site=self._site
        )
        (self.folder / "nginx.conf").write_text(text)

    def command(self) -> list[str]:
        """Return the command line that runs it."""
        assert PROGRAM, "nginx is not installed"
        return [PROGRAM, "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")]

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(30)


def database_of_tests() -> str:
    """Return the DATABASE_URL of the PostgreSQL database that this process's own tests fill."""
    told = connection.settings_dict
    return f"postgresql://{told['USER']}@{told['HOST']}:{told['PORT']}/{told['NAME']}"


class Stack:
    """The web server and nginx before it, on a database that somebody else fills."""

    def __init__(self, var: Path, database: str, *, upstream: str = NOWHERE, name: str = "") -> None:
        """Have one that answers to its address, and to a name if it has one."""
        self.var = var
        self.public = var / "public"
        self.files = var / "files"
        env = {name: value for name, value in os.environ.items() if not name.startswith("PIWHEELS")}
        own = {**env, "PIWHEELS_VAR": str(var), "PIWHEELS_PYPI": upstream, "DATABASE_URL": database}
        own["ALLOWED_HOSTS"] = ",".join(["127.0.0.1", *([name] if name else [])])
        self._env = miniature.settings(var, own)
        self.web_port = free_port()
        self.nginx = Nginx(var / "nginx", self.public, f"127.0.0.1:{self.web_port}", upstream=upstream)

    def __enter__(self) -> Self:
        self.var.mkdir(parents=True, exist_ok=True)
        words = miniature.commands(self._env, self.web_port)["web"]
        with (self.var / "web.log").open("wb") as log:
            self._web = subprocess.Popen(words, env=self._env, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_for_answer(self._web, f"http://127.0.0.1:{self.web_port}/simple/", self.var / "web.log")
            self.nginx.__enter__()
        except BaseException:
            self._end_web()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.nginx.__exit__()
        self._end_web()

    def frozen_web(self) -> contextlib.AbstractContextManager[None]:
        """Have the web server stand still, so that nginx answers alone what is answered."""
        return frozen(self._web.pid)

    def _end_web(self) -> None:
        self._web.terminate()
        self._web.wait(30)


class Production(Farm):
    """A farm as in production: nginx in front, some web processes, a PostgreSQL that nobody else uses.

    No builder is among it, and the folder must be one that another user can enter.
    """

    # Its configuration, if it is to wait for the disk as production does.
    POSTGRESQL: Path | None = None

    def __init__(self, folder: Path, upstream: str, *watch: str, web_processes: int = 2) -> None:
        self.postgres = Postgres(folder, self.POSTGRESQL)
        self._web_processes = web_processes
        super().__init__(folder, upstream, *watch, database=self.postgres.url)
        self.nginx = Nginx(
            folder / "nginx", folder / "public", f"127.0.0.1:{self.port}", upstream=upstream, workers=2
        )
        self.env["PIWHEELS_COUNT_DOWNLOADS"] = "false"
        # When each process was last away: from its kill until it answered again, infinity while it does not.
        self._away: dict[str, float] = {}

    def __enter__(self) -> Self:
        self.postgres.create()
        self.nginx.configure()
        self.start("postgresql")
        try:
            wait_for(self.postgres.socket, self.processes["postgresql"])
            return super().__enter__()
        except BaseException:
            self.__exit__()
            raise

    def commands(self) -> dict[str, list[str]]:
        """Return what it consists of."""
        own = super().commands()
        del own["builder"]
        own["web"] += ["--workers", str(self._web_processes)]
        return {"postgresql": self.postgres.command(), **own, "nginx": self.nginx.command()}

    def kill(self, name: str) -> None:
        """Kill a process and all that it has started, PostgreSQL's too, which have groups of their own."""
        self._away[name] = math.inf
        children = psutil.Process(self.processes[name].pid).children(recursive=True)
        self.end(name)
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(children, 20)

    def maim(self, name: str, which: int) -> None:
        """Kill one of the processes that a server has started, which is to notice by itself."""
        self._away[name] = math.inf
        children = psutil.Process(self.processes[name].pid).children()
        with contextlib.suppress(psutil.NoSuchProcess):
            children[which % len(children)].send_signal(signal.SIGKILL)
        self.wait_back(name)

    def frozen(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Have a process, and all that it has started, stand still."""
        return frozen(self.processes[name].pid)

    def bring_back(self, name: str) -> None:
        """Start a process that was killed, and wait until it does its work."""
        self.start(name)
        self.wait_back(name)

    def restart(self, name: str) -> None:
        """Start a process anew as an operator does: who answers people hands over to the next."""
        if name in ("web", "nginx"):
            top = psutil.Process(self.processes[name].pid)
            before = {child.pid for child in top.children()}
            top.send_signal(signal.SIGHUP)
            # Those of before end when they have answered what they were asked.
            self.wait_until(lambda: not before & {child.pid for child in top.children()})
        else:
            self.end(name, signal.SIGTERM)
            self.bring_back(name)

    def wait_back(self, name: str) -> None:
        """Wait until a process does its work again."""
        self.wait_until(lambda: self._answers(name))
        self._away[name] = time.monotonic()

    def was_away(self, name: str, since: float) -> bool:
        """Whether a process was away at any moment since then."""
        return self._away.get(name, -math.inf) >= since

    def _answers(self, name: str) -> bool:
        """Whether a process does its work; beat and worker have nobody to tell."""
        if name == "nginx":
            return requests.options(f"{self.nginx.url}/simple/", timeout=5).ok
        if name == "web":
            return requests.options(f"{self.address}/simple/", timeout=5).ok
        if name == "postgresql":
            return self.postgres.answers()
        return self.processes[name].poll() is None
