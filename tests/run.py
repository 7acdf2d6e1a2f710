"""`make test`: every everyday test on PostgreSQL and Redis, then on the embedded default what may differ."""

import os
import subprocess
import sys
from pathlib import Path

from deploy import redis
from tests import services


def pytest(name: str, env: dict[str, str], *arguments: str) -> int:
    """Run pytest with those settings; return its exit status."""
    print(f"\n--- {name}", flush=True)
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments, *sys.argv[1:]], env={**os.environ, **env}, check=False
    ).returncode


def version(*words: str) -> str:
    """Return the first line of what a program says of its version."""
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def main() -> int:
    """Install what is missing, run the servers and both runs of the tests."""
    try:
        services.install_missing()
    except services.CannotInstall as problem:
        print(problem, file=sys.stderr)
        return 2
    tools = services.postgres_tools()
    print(f"PostgreSQL: {version(str(tools / 'postgres'), '--version')} ({tools})")  # type: ignore[operator]
    print(f"Redis: {version(redis.server(), '--version')} ({redis.server()})", flush=True)
    with services.scratch() as folder:
        # What has a target of its own is named by it, and needs one kind of servers.
        return on_servers(folder) or (0 if sys.argv[1:] else embedded(folder))


def on_servers(folder: Path) -> int:
    """Run everything on PostgreSQL and the machine's own Redis."""
    with services.postgres(folder) as database, services.private_redis(folder / "redis") as broker:
        env = {"PIWHEELS_VAR": str(folder / "var"), "DATABASE_URL": database, "REDIS_URL": broker}
        return pytest("PostgreSQL and Redis", env)


def embedded(folder: Path) -> int:
    """Run what may differ on what a farm has with nothing set up: SQLite and the Redis that pip installed."""
    var = folder / "embedded"
    try:
        os.environ["PIWHEELS_REDIS_SERVER"] = redis.installed()
    except redis.NoRedis:
        print("pip could install no Redis for this machine; the embedded run uses the machine's own.")
    with services.private_redis(var):
        return pytest("SQLite and the embedded Redis", {"PIWHEELS_VAR": str(var)}, "-m", "embedded")


if __name__ == "__main__":
    sys.exit(main())
