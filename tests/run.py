"""`make test`: every everyday test on PostgreSQL and Redis, then on the embedded default what may differ.

The builder's own tests need neither: they and the embedded run go on beside the others, on the second core.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from deploy import redis
from tests import services

SERVER = ("packages", "builds", "simple", "piwheels_site", "tests")


@dataclass(frozen=True)
class Run:
    """A run of pytest: its name, how it ended, and what it printed if nobody has seen it yet."""

    name: str
    status: int
    printed: str = ""


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
    tools = services.postgres_tools()
    print(f"PostgreSQL: {version(str(tools / 'postgres'), '--version')} ({tools})")  # type: ignore[operator]
    print(f"Redis: {version(redis.server(), '--version')} ({redis.server()})", flush=True)
    with services.scratch() as folder, ThreadPoolExecutor() as beside:
        if sys.argv[1:]:
            return on_servers(folder, *sys.argv[1:]).status
        others = beside.submit(beside_them, folder)
        runs = [on_servers(folder, *SERVER), *others.result()]
    for run in runs:
        if run.printed:
            print(f"\n--- {run.name}\n{run.printed}", flush=True)
    return max(run.status for run in runs)


def on_servers(folder: Path, *arguments: str) -> Run:
    """Run tests on PostgreSQL and the machine's own Redis."""
    name = "PostgreSQL and Redis"
    print(f"\n--- {name}", flush=True)
    with services.postgres(folder) as database, services.private_redis(folder / "redis") as broker:
        env = {"PIWHEELS_VAR": str(folder / "var"), "DATABASE_URL": database, "REDIS_URL": broker}
        words = [sys.executable, "-m", "pytest", *arguments]
        return Run(name, subprocess.run(words, env={**os.environ, **env}, check=False).returncode)


def beside_them(folder: Path) -> list[Run]:
    """Run the builder's tests, and on what a farm has with nothing set up those that may differ there."""
    builder = quietly("the builder", {}, "builder")
    var = folder / "embedded"
    env = {"PIWHEELS_VAR": str(var)}
    try:
        env["PIWHEELS_REDIS_SERVER"] = redis.installed()
    except redis.NoRedis:
        print("pip could install no Redis for this machine; the embedded run uses the machine's own.")
    with services.private_redis(var, env.get("PIWHEELS_REDIS_SERVER")):
        return [builder, quietly("SQLite and the embedded Redis", env, "-m", "embedded")]


if __name__ == "__main__":
    sys.exit(main())
