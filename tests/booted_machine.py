"""A Debian system in a folder, booted: its own systemd runs its services, in namespaces of its own."""

import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import psutil

from builder.tests.waiting import until
from tests import services
from tests.fresh_machine import ROOT, Machine

# What a server listens on; it shares this machine's network, as it installs from there.
PORTS = (80, 443, 5432, 6380)


class Booted(Machine):
    """A machine that runs while it is entered; root alone can have one."""

    def __init__(self, folder: Path) -> None:
        """Take a folder that holds the system."""
        super().__init__(folder)
        self._init = 0

    def __enter__(self) -> Self:
        taken = [port for port in PORTS if _is_taken(port)]
        assert not taken, f"Something listens on {taken} of this machine already."
        services.install(["systemd-container"] if not Path("/usr/bin/systemd-nspawn").exists() else [])
        super().run("apt-get", "-qq", "update")
        super().run("apt-get", "-qq", "install", "-y", "--no-install-recommends", "systemd-sysv", "dbus")
        words = ["systemd-nspawn", "--quiet", f"--directory={self.folder}", "--register=no", "--keep-unit"]
        words += ["--resolv-conf=off", "--boot", "--console=pipe"]
        # With parts of /proc covered, as they are otherwise, bubblewrap may mount none of its own inside.
        env = {**os.environ, "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "yes"}
        self._nspawn = subprocess.Popen(words, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            self.wait_until(self._is_up, 120)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._init:
            # To systemd as a machine's own that is to power off.
            os.kill(self._init, signal.SIGRTMIN + 4)
        try:
            self._nspawn.wait(60 if self._init else 0.1)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait(10)

    def run(self, *words: str, given: str = "", cwd: str = "/srv/piwheels") -> str:
        """Run a command as the machine's root and return what it prints; it must succeed."""
        env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
        if "PIP_CERT" in os.environ:
            env["PIP_CERT"] = "/etc/ssl/certs/of-the-host.crt"
        inside = ["env", f"--chdir={cwd}", "-i", *(f"{name}={value}" for name, value in env.items()), *words]
        print(f"# {shlex.join(words)[:2000]}", flush=True)
        done = subprocess.run(
            ["nsenter", f"--target={self._init}", "-m", "-u", "-i", "-n", "-p", "-C", *inside],
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        print(done.stdout, flush=True)
        assert done.returncode == 0, f"{' '.join(words)} ended with {done.returncode}."
        return done.stdout

    def run_page(self, page: str, heading: str) -> None:
        """Run the commands that a page of the documentation has under a heading, as they stand there."""
        text = (ROOT / "docs" / page).read_text()
        (part,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
        blocks = re.findall(r"^```bash\n(.*?)^```", part, re.M | re.S)
        assert blocks, f"{page} has no commands under {heading}."
        for block in blocks:
            self.run("bash", "-e", "-c", block)

    def wait_until(self, condition: Callable[[], object], seconds: float) -> float:
        """Return after how many seconds the condition came true; it must, in so many."""
        began = time.monotonic()
        until(condition, seconds)
        return time.monotonic() - began

    def processes(self, user: str) -> list[psutil.Process]:
        """Return the machine's processes of one of its users."""
        (line,) = re.findall(rf"^{user}:x:(\d+):", self.path("/etc/passwd").read_text(), re.M)
        below = psutil.Process(self._nspawn.pid).children(recursive=True)
        return [process for process in below if _user_of(process) == int(line)]

    def _is_up(self) -> bool:
        assert self._nspawn.poll() is None, "systemd-nspawn has ended."
        children = psutil.Process(self._nspawn.pid).children()
        self._init = children[0].pid if children else 0
        # Its own bus answers when its services may be started.
        return self._init > 0 and self.path("/run").exists() and self._bus_answers()

    def _bus_answers(self) -> bool:
        words = ["nsenter", f"--target={self._init}", "-m", "-p", "-C", "systemctl", "is-system-running"]
        told = subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
        return told in ("running", "degraded")


def _is_taken(port: int) -> bool:
    return any(
        each.laddr and each.laddr.port == port and each.status == psutil.CONN_LISTEN
        for each in psutil.net_connections("tcp")
    )


def _user_of(process: psutil.Process) -> int:
    """Return whose a process is; -1 if it has ended."""
    try:
        return int(process.uids().real)
    except psutil.NoSuchProcess:
        return -1
