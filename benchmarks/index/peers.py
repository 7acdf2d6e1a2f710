"""The servers that ours is compared with: nginx with files of the same bytes, pypiserver, and devpi.

pypiserver and devpi come from PyPI into an environment of their own, as none of this project needs them.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import psutil
import requests

from benchmarks.index.wheels import Projects, Sample
from benchmarks.servers import memory_of
from deploy.scratch import free_port
from tests.stack import PROGRAM, wait_for_answer

# Gives a server files; raises TooSlow.
Fill = Callable[[Projects], None]

PACKAGES = ["pypiserver", "devpi-server", "gunicorn"]
WORKERS = "2"
# Uploads to devpi get slower with each file of a project: 2,780 of one took a quarter of an hour.
PATIENCE_S = float(os.environ.get("INDEX_PATIENCE_S", "400"))


class TooSlow(Exception):
    """A server that was given files for as long as anybody waits, and does not have all of them."""


@dataclass(frozen=True)
class Peer:
    """A running server."""

    name: str
    address: str
    process: psutil.Process
    # The address of a project's page.
    page: Callable[[str], str]
    # The paths of files as its own pages give them.
    file: Callable[[Sample], str]
    # The one kind of page that it has; "" for both.
    kind: str = ""

    def memory_mib(self) -> float:
        """Return how much memory its processes have, pages that they share in equal parts."""
        return memory_of([self.process, *self.process.children(recursive=True)]).pss


def environment(folder: Path) -> Path:
    """Install the peers, and return the folder of their programs."""
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "--quiet", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *PACKAGES], check=True)
    return folder / "bin"


@contextmanager
def running(
    words: list[str], address: str, cwd: Path, env: dict[str, str] | None = None
) -> Iterator[psutil.Process]:
    """Run a server until it is no longer needed."""
    with (cwd / "server.log").open("wb") as log:
        process = subprocess.Popen(words, cwd=cwd, env=env, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for_answer(process, address, cwd / "server.log")
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(60)


_STATIC = """
user root;
daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000;
    default_type application/octet-stream;
    types {{ text/html html; application/vnd.pypi.simple.v1+json v1_json; }}
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port}; root {public}; index {index}; }}
}}
"""


@contextmanager
def static(folder: Path, public: Path, kind: str, index: str) -> Iterator[Peer]:
    """Run an nginx with nothing but files: those of our own published tree, which is the limit."""
    folder.mkdir()
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(_STATIC.format(folder=folder, port=port, public=public, index=index))
    address = f"http://127.0.0.1:{port}"
    assert PROGRAM
    with running([PROGRAM, "-p", str(folder), "-c", str(config)], f"{address}/none", folder) as process:
        yield Peer(
            "nginx, static",
            address,
            process,
            page=lambda project: f"/simple/{project}/" if project else "/simple/",
            file=lambda sample: f"/simple/{sample.project}/{sample.filename}",
            kind=kind,
        )


@contextmanager
def pypiserver(programs: Path, folder: Path) -> Iterator[tuple[Peer, Fill]]:
    """Run pypiserver under gunicorn, with all files in one folder."""
    files = folder / "files"
    files.mkdir(parents=True)

    def fill(projects: Projects) -> None:
        for samples in projects.values():
            for sample in samples:
                sample.write(files)

    port = free_port()
    address = f"http://127.0.0.1:{port}"
    app = f"pypiserver:app(roots=['{files}'])"
    words = [str(programs / "gunicorn"), "--workers", WORKERS, "--bind", f"127.0.0.1:{port}", app]
    with running(words, f"{address}/simple/", folder) as process:
        server = Peer(
            "pypiserver",
            address,
            process,
            page=lambda project: f"/simple/{project}/" if project else "/simple/",
            file=lambda sample: f"/packages/{sample.filename}",
            kind="HTML",
        )
        yield server, fill


@contextmanager
def devpi(programs: Path, folder: Path) -> Iterator[tuple[Peer, Fill]]:
    """Run devpi-server, with an index that files are uploaded to."""
    folder.mkdir(parents=True)
    state, port = str(folder / "state"), free_port()
    subprocess.run(
        [str(programs / "devpi-init"), "--serverdir", state, "--no-root-pypi", "--root-passwd", "sample"],
        check=True,
        capture_output=True,
    )
    address = f"http://127.0.0.1:{port}"
    words = [str(programs / "devpi-server"), "--serverdir", state, "--port", str(port), "--offline-mode"]
    with running(words, f"{address}/+api", folder) as process:
        session = _logged_in(address)
        index = f"{address}/root/sample"
        session.put(index, json={"bases": [], "volatile": True}, timeout=60).raise_for_status()
        server = Peer(
            "devpi",
            address,
            process,
            page=lambda project: f"/root/sample/+simple/{project}/" if project else "/root/sample/+simple/",
            file=lambda sample: _path(session, index, sample),
        )
        yield server, lambda projects: _upload(session, index, projects)


def _logged_in(address: str) -> requests.Session:
    """Return a session of whoever may upload to devpi."""
    session = requests.Session()
    login = session.post(f"{address}/+login", json={"user": "root", "password": "sample"}, timeout=60)
    session.auth = ("root", login.json()["result"]["password"])
    return session


def _upload(session: requests.Session, index: str, projects: Projects) -> None:
    """Upload files to devpi, while there is patience."""
    samples = [sample for each in projects.values() for sample in each]
    began = time.monotonic()
    for number, sample in enumerate(samples):
        if time.monotonic() - began > PATIENCE_S:
            raise TooSlow(f"devpi took {number:,} of {len(samples):,} files in {PATIENCE_S:g} s.")
        fields = {":action": "file_upload", "name": sample.project, "version": sample.version}
        answer = session.post(
            f"{index}/",
            data={**fields, "filetype": "bdist_wheel", "pyversion": "cp313", "metadata_version": "2.1"},
            files={"content": (sample.filename, sample.content)},
            timeout=120,
        )
        answer.raise_for_status()


def _path(session: requests.Session, index: str, sample: Sample) -> str:
    """Return where devpi has a file."""
    page = f"{index}/+simple/{sample.project}/"
    headers = {"Accept": "application/vnd.pypi.simple.v1+json"}
    files = session.get(page, headers=headers, timeout=120).json()["files"]
    url: str = next(file["url"] for file in files if file["filename"] == sample.filename)
    return urlsplit(urljoin(page, url)).path
