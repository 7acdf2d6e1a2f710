"""nginx in front of the site, as in production, with deploy/nginx's own configuration."""

import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Self

import requests

from deploy.demo import free_port
from deploy.farm import ROOT

NGINX = ROOT / "deploy" / "nginx"
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
        self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(30)

    def _wait(self) -> None:
        """Wait until it answers, whatever it does."""
        for _ in range(100):
            if self.process.poll() is not None:
                raise RuntimeError(f"nginx ended: {(self.folder / 'error.log').read_text()}")
            try:
                requests.options(f"{self.url}/simple/", timeout=5)
            except requests.ConnectionError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError("nginx does not answer.")
