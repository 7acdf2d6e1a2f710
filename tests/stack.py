"""nginx in front of the site, as in production, with deploy/nginx's own configuration."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Self

import requests

from deploy import farm as miniature
from deploy.demo import free_port
from deploy.farm import ROOT

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


class Nginx:
    """A running nginx that serves a published tree, and asks a web server for all else."""

    def __init__(self, folder: Path, public: Path, web: str, *, upstream: str, workers: int = 1) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.access_log = folder / "access.log"
        self._site = configuration(
            PIWHEELS_LISTEN=f"127.0.0.1:{self.port}",
            PIWHEELS_WEB=web,
            PIWHEELS_PUBLIC=public,
            PIWHEELS_PYPI=upstream,
            PIWHEELS_NGINX=NGINX,
            PIWHEELS_ACCESS_LOG=self.access_log,
        )
        self._workers = workers

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        # What is published belongs to who runs the tests.
        text = _MAIN.format(
            user=self.folder.owner(), workers=self._workers, folder=self.folder, site=self._site
        )
        config = self.folder / "nginx.conf"
        config.write_text(text)
        assert PROGRAM, "nginx is not installed"
        self.process = subprocess.Popen([PROGRAM, "-p", str(self.folder), "-c", str(config)])
        wait_for_answer(self.process, f"{self.url}/simple/", self.folder / "error.log")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(30)


class Stack:
    """The web server and nginx before it, on a database that somebody else fills."""

    def __init__(self, var: Path, database: str, *, upstream: str = NOWHERE) -> None:
        self.var = var
        self.public = var / "public"
        self.files = var / "files"
        env = {name: value for name, value in os.environ.items() if not name.startswith("PIWHEELS")}
        own = {**env, "PIWHEELS_VAR": str(var), "PIWHEELS_PYPI": upstream, "DATABASE_URL": database}
        self._env = miniature.settings(var, own)
        self._port = free_port()
        self.nginx = Nginx(var / "nginx", self.public, f"127.0.0.1:{self._port}", upstream=upstream)

    def __enter__(self) -> Self:
        self.var.mkdir(parents=True, exist_ok=True)
        words = miniature.commands(self._env, self._port)["web"]
        with (self.var / "web.log").open("wb") as log:
            self._web = subprocess.Popen(words, env=self._env, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_for_answer(self._web, f"http://127.0.0.1:{self._port}/simple/", self.var / "web.log")
            self.nginx.__enter__()
        except BaseException:
            self._end_web()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.nginx.__exit__()
        self._end_web()

    def _end_web(self) -> None:
        self._web.terminate()
        self._web.wait(30)
