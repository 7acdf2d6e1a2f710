"""`make test`: every everyday test on PostgreSQL and Redis, and on the embedded default what may differ.

Two cores have two lanes, as long as each other: tests that ask one process, and then the embedded default;
tests that start farms, and then the builder's.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from deploy import redis
from tests import services

APPS = ("packages", "builds", "simple", "piwheels_site")
FARMS = "tests"


@dataclass(frozen=True)
class Run:
    """A run of pytest: its name, how it ended, and what it printed if nobody has seen it yet."""

    name: str
    status: int
    printed: str = ""


def openly(name: str, env: dict[str, str], *arguments: str) -> Run:
    """Run pytest before everybody's eyes."""
    print(f"\n--- {name}", flush=True)
    words = [sys.executable, "-m", "pytest", *arguments]
    return Run(name, subprocess.run(words, env={**os.environ, **env}, check=False).returncode)


def quietly(name: str, env: dict[str, str], *arguments: str) -> Run:
    """Run pytest and keep what it prints."""
    words = [sys.executable, "-m", "pytest", *arguments]
    done = subprocess.run(
        words,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return Run(name, done.returncode, done.stdout)


def version(*words: str) -> str:
    """Return the first line of what a program says of its version."""
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def main() -> int:
    """Install what is missing, run the servers and all of the tests; or those alone that are named."""
    try:
        services.install_missing()
    except services.CannotInstall as problem:
        print(problem, file=sys.stderr)
        return 2
    # Each of hundreds of processes would compile all of it anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    tools = services.postgres_tools()
    print(f"PostgreSQL: {version(str(tools / 'postgres'), '--version')} ({tools})")  # type: ignore[operator]
    print(f"Redis: {version(redis.server(), '--version')} ({redis.server()})", flush=True)
    with services.scratch() as folder, ThreadPoolExecutor() as beside:
        if sys.argv[1:]:
            return on_servers(folder, *sys.argv[1:]).status
        others = beside.submit(second_lane, folder)
        runs = [*first_lane(folder), *others.result()]
    for run in runs:
        if run.printed:
            print(f"\n--- {run.name}\n{run.printed}", flush=True)
    return max(run.status for run in runs)


def first_lane(folder: Path) -> list[Run]:
    """Run what needs no farm, before everybody's eyes; then what may differ where nothing is set up."""
    return [on_servers(_own(folder, "apps"), *APPS), embedded(folder / "embedded")]


def second_lane(folder: Path) -> list[Run]:
    """Run what starts farms, and then the tests that need no server."""
    return [
        on_servers(_own(folder, "farms"), FARMS, run=quietly),
        quietly("the builder and the monitor", {}, "builder", "monitor"),
    ]


def _own(folder: Path, name: str) -> Path:
    """Return a new folder for a lane, which servers of another user can enter."""
    own = folder / name
    own.mkdir(mode=0o755)
    return own


def on_servers(folder: Path, *arguments: str, run: Callable[..., Run] = openly) -> Run:
    """Run tests on a PostgreSQL and the machine's own Redis that nobody else has."""
    with services.postgres(folder) as database, services.private_redis(folder / "redis") as broker:
        env = {"PIWHEELS_VAR": str(folder / "var"), "DATABASE_URL": database, "REDIS_URL": broker}
        return run(f"PostgreSQL and Redis: {' '.join(arguments)}", env, *arguments)


def embedded(var: Path) -> Run:
    """Run what may differ on SQLite and the Redis that pip installs."""
    env = {"PIWHEELS_VAR": str(var)}
    try:
        env["PIWHEELS_REDIS_SERVER"] = redis.installed()
    except redis.NoRedis:
        print("pip could install no Redis for this machine; the embedded run uses the machine's own.")
    with services.private_redis(var, env.get("PIWHEELS_REDIS_SERVER")):
        return quietly("SQLite and the embedded Redis", env, "-m", "embedded")


if __name__ == "__main__":
    sys.exit(main())
