"""A real farm of real processes for tests, each of which can be killed and started again."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import requests

from builder.tests.waiting import PATIENCE_S, until
from deploy import farm as miniature
from deploy import redis
from deploy.scratch import free_port

REDIS_CONFIGURATION = miniature.ROOT / "deploy" / "redis" / "redis.conf"
# Short enough for a test to see a build get lost, long enough not to lose one on a busy machine.
PATIENCE = {
    "PIWHEELS_CLAIM_S": "8",
    "PIWHEELS_LEASE_S": "8",
    "PIWHEELS_REFRESH_S": "1",
    "PIWHEELS_POLL_S": "1",
    "PIWHEELS_RETRY_S": "0.5",
    # Whether the bytes are the same again is not what these tests ask.
    "PIWHEELS_REBUILD_UNDER_S": "0",
}


def forgetful_redis(var: Path) -> list[str]:
    """Return the command line of a Redis as production has it: what it was told goes down with it."""
    options = {
        "port": "0",
        "unixsocket": str(redis.socket(var)),
        "unixsocketperm": "700",
        "dir": str(var),
        "loglevel": "warning",
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return [redis.server(), str(REDIS_CONFIGURATION), *words]


class Farm:
    """Web server, worker, beat, Redis and one builder on a database and an upstream of the test's choice."""

    def __init__(self, folder: Path, upstream: str, *watch: str, database: str = "") -> None:
        self.var = folder
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        own = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("PIWHEELS", "REDIS"))
            },
            **PATIENCE,
            "PIWHEELS_VAR": str(folder),
            "PIWHEELS_PYPI": upstream,
            "PIWHEELS_WATCH": " ".join(watch),
            "PIWHEELS_DEPTH": "0",
        }
        own.pop("DATABASE_URL", None)
        if database:
            own["DATABASE_URL"] = database
        self.env = miniature.settings(folder, own)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        miniature.prepare(self.env, [])
        try:
            for name in self.commands():
                if name not in self.processes:
                    self.start(name)
            self.wait_until(lambda: requests.get(f"{self.address}/healthz", timeout=5).ok)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in reversed(self.processes):
            self.end(name, signal.SIGTERM)

    def commands(self) -> dict[str, list[str]]:
        """Return what the farm consists of; its Redis is its own, so that it can be killed."""
        commands = miniature.commands(self.env, self.port)
        return {"redis": forgetful_redis(self.var), **commands}

    def environment(self, name: str) -> dict[str, str]:
        """Return the environment of one of the processes."""
        return miniature.builder_settings(self.env, self.address) if name == "builder" else self.env

    def start(self, name: str) -> None:
        """Start one of the processes."""
        with (self.var / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                self.commands()[name],
                env=self.environment(name),
                cwd=miniature.ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def end(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """End one of the processes and all that it started in its group."""
        process = self.processes[name]
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)

    def wait_until(self, condition: Callable[[], Any], seconds: float = PATIENCE_S) -> Any:
        """Return what the condition says, once that is true; fail after a while, with the logs."""
        try:
            return until(condition, seconds)
        except AssertionError as vain:
            raise AssertionError(f"{vain}\n{self.logs()}") from vain

    def logs(self) -> str:
        """Return the end of what each process printed."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-2500:]}"
            for path in sorted(self.var.glob("*.log"))
        )

    def files(self, package: str) -> dict[str, dict[str, Any]]:
        """Return what the index lists of a package, by file name."""
        response = requests.get(
            f"{self.address}/simple/{package}/",
            headers={"Accept": "application/vnd.pypi.simple.v1+json"},
            timeout=20,
        )
        return {file["filename"]: file for file in response.json()["files"]} if response.ok else {}

    def states(self, *packages: str) -> list[str]:
        """Return how the last attempt at each version of these packages stands, as their pages tell it."""
        return [build["state"] for package in packages for build in self.last_builds(package)]

    def last_builds(self, package: str) -> list[dict[str, Any]]:
        """Return the last attempt at each version of a package, as its JSON tells it."""
        answer = requests.get(f"{self.address}/project/{package}/json", timeout=10)
        releases = answer.json()["releases"].values() if answer.ok else []
        return [build for release in releases for build in release["builds"].values()]

    def builds(self) -> list[dict[str, Any]]:
        """Return every build, as the database has it."""
        return list(self.ask(_BUILDS))

    def ask(self, question: str) -> Any:
        """Run a piece of Python in the server's shell and return the JSON that it prints."""
        shell = [*miniature.MANAGE, "shell", "--no-imports", "-v", "0", "-c", question]
        done = subprocess.run(
            shell, env=self.env, cwd=miniature.ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def manage(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of manage.py beside the running farm."""
        return subprocess.run(
            [*miniature.MANAGE, *words],
            env=self.env,
            cwd=miniature.ROOT,
            capture_output=True,
            text=True,
            check=False,
        )


_BUILDS = """
import json
from builds.models import Build
fields = ["version__package__name", "version__number", "attempt", "losses", "state", "reason"]
print(json.dumps(list(Build.objects.order_by("pk").values("pk", *fields))))
"""


def clean_environment(home: Path) -> dict[str, str]:
    """Return an environment for pip and uv in which nothing of this machine's configuration helps."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PIP_CONFIG_FILE": os.devnull,
        "UV_NO_CONFIG": "1",
        "UV_CACHE_DIR": str(home / "uv-cache"),
    }


def new_environment(folder: Path) -> str:
    """Make a virtual environment and return its Python."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return str(folder / "bin" / "python")
