"""`make test`: every everyday test on PostgreSQL and Redis, and on the embedded default what may differ.

They are cut into parts that know nothing of each other.  There is one lane more than there are cores, as who
starts farms waits for a third of the time, and each lane takes the next part.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy import redis
from tests import services

# What people look at, in a browser or at a terminal.
SEEN = (
    "tests/test_browser.py",
    "tests/test_hostile_text.py",
    "tests/test_live_pages.py",
    "tests/test_monitor.py",
    "tests/test_operators_day.py",
)
HARM = ("tests/faults", "tests/hostile")
FARMS = ("tests", *(f"--ignore={path}" for path in (*SEEN, *HARM)))


@dataclass(frozen=True)
class Run:
    """A run of pytest: its name, how it ended, its time, and what it printed if nobody has seen it."""

    name: str
    status: int
    seconds: int
    printed: str = ""


def openly(name: str, env: dict[str, str], *arguments: str) -> Run:
    """Run pytest before everybody's eyes."""
    print(f"\n--- {name}", flush=True)
    return _pytest(name, env, arguments)


def quietly(name: str, env: dict[str, str], *arguments: str) -> Run:
    """Run pytest and keep what it prints."""
    return _pytest(name, env, arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace")


def _pytest(name: str, env: dict[str, str], arguments: Iterable[str], **streams: Any) -> Run:
    began = time.monotonic()
    words = [sys.executable, "-m", "pytest", *arguments]
    done = subprocess.run(words, env={**os.environ, **env}, check=False, **streams)
    return Run(name, done.returncode, round(time.monotonic() - began), done.stdout or "")


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
    with services.scratch() as folder, ThreadPoolExecutor((os.cpu_count() or 1) + 1) as lanes:
        if sys.argv[1:]:
            return on_servers(folder, *sys.argv[1:]).status
        runs = [run.result() for run in [lanes.submit(part, _own(folder)) for part in PARTS]]
    for run in runs:
        if run.printed:
            print(f"\n--- {run.name}\n{run.printed}", flush=True)
    # Who moves tests from one part to another sees here what that did.
    for run in runs:
        print(f"{run.seconds:5} s  {run.name}")
    return max(run.status for run in runs)


def _own(folder: Path) -> Path:
    """Return a new folder for a part, which servers of another user can enter."""
    own = Path(tempfile.mkdtemp(dir=folder))
    own.chmod(0o755)
    return own


def on_servers(folder: Path, *arguments: str, run: Callable[..., Run] = openly) -> Run:
    """Run tests on a PostgreSQL and the machine's own Redis that nobody else has."""
    with services.postgres(folder) as database, services.private_redis(folder / "redis") as broker:
        env = {"PIWHEELS_VAR": str(folder / "var"), "DATABASE_URL": database, "REDIS_URL": broker}
        return run(f"PostgreSQL and Redis: {' '.join(arguments)}", env, *arguments)


def on_nothing(_folder: Path) -> Run:
    """Run the tests that need no server."""
    return quietly("the builder and the monitor", {}, "builder", "monitor")


def embedded(var: Path) -> Run:
    """Run what may differ on SQLite and the Redis that pip installs."""
    env = {"PIWHEELS_VAR": str(var)}
    try:
        env["PIWHEELS_REDIS_SERVER"] = redis.installed()
    except redis.NoRedis:
        print("pip could install no Redis for this machine; the embedded run uses the machine's own.")
    with services.private_redis(var, env.get("PIWHEELS_REDIS_SERVER")):
        return quietly("SQLite and the embedded Redis", env, "-m", "embedded")


# The longest come first, and the others so that three lanes end at about the same time.  One of them is seen
# while it runs.
PARTS: tuple[Callable[[Path], Run], ...] = (
    lambda folder: on_servers(folder, *FARMS, run=quietly),
    lambda folder: on_servers(folder, *SEEN, run=quietly),
    lambda folder: on_servers(folder, "builds"),
    embedded,
    lambda folder: on_servers(folder, "packages", "simple", run=quietly),
    on_nothing,
    lambda folder: on_servers(folder, "piwheels_site", run=quietly),
    lambda folder: on_servers(folder, *HARM, run=quietly),
)

if __name__ == "__main__":
    sys.exit(main())
