"""`make run`: a whole farm on one machine, with nothing set up before.

Web server, Celery worker, beat, a private Redis and one builder for this machine's own target, all ended
together.  State is in `var/`; a second start goes on where the first stopped.
"""

import argparse
import fcntl
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import requests
from honcho.manager import Manager

from deploy import redis

ROOT = Path(__file__).resolve().parent.parent
MANAGE = [sys.executable, str(ROOT / "manage.py")]

# Shows the idea within a minute: two packages that have only a source on PyPI, one of them in C, and some C
# extensions.  The newest versions alone, as the whole history of each would keep a machine busy for hours.
WATCH = "markupsafe wrapt docopt spidev psutil msgpack"
DEPTH = "3"


class CannotStart(Exception):
    """The farm cannot start; the text says what to do."""


def settings(var: Path, environ: dict[str, str]) -> dict[str, str]:
    """Return the environment of the farm's processes: what is set, and defaults for what is not."""
    defaults = {
        "PIWHEELS_VAR": str(var),
        "PIWHEELS_WATCH": WATCH,
        "PIWHEELS_DEPTH": DEPTH,
        # On one machine nobody is cut off for long: a build that its builder left is tried again soon.
        "PIWHEELS_CLAIM_S": "60",
        "PIWHEELS_LEASE_S": "60",
        "PIWHEELS_RETRY_S": "5",
        # On a machine of one's own, with packages that one chose, what there is of a sandbox is enough.
        "PIWHEELS_SANDBOX": "bare",
        "REDIS_URL": f"redis+socket://{redis.socket(var)}",
        "LOG_LEVEL": "WARNING",
        # One builder and one person do not need more.
        "WEB_CONCURRENCY": "1",
        # Django's checks import every page into worker and beat; `make check` and the web server make them.
        "CELERY_SKIP_CHECKS": "1",
        # As in production, which says why: `deploy/systemd/piwheels-web.service`.
        "MALLOC_ARENA_MAX": "2",
        "MALLOC_MMAP_THRESHOLD_": "131072",
    }
    return {**defaults, **environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def builder_settings(env: dict[str, str], address: str) -> dict[str, str]:
    """Return the environment of the builder, which has neither the database nor the site's secrets."""
    # Of the farm's environment a builder gets what it asks for by name, and what its programs need to run.
    kept = {name: value for name, value in env.items() if name in BUILDER_SEES}
    index = {"PIWHEELS_BUILD_INDEX": env["PIWHEELS_PYPI"]} if "PIWHEELS_PYPI" in env else {}
    work = {"PIWHEELS_WORK": str(Path(env["PIWHEELS_VAR"]) / "work")}
    own = {
        "PIWHEELS_SERVER": address,
        "PIWHEELS_BUILDER": "local-1",
        "PIWHEELS_BUILDER_TOKEN_FILE": str(Path(env["PIWHEELS_VAR"]) / "builder-token"),
        "PIWHEELS_ORDERS_URL": env.get("PIWHEELS_ORDERS_URL", env["REDIS_URL"]),
    }
    return {**index, **work, **kept, **own}


def web(port: int) -> list[str]:
    """Return the command line of the web server."""
    words = ["gunicorn", "piwheels_site.wsgi", "--bind", f"127.0.0.1:{port}"]
    return [sys.executable, "-m", *words, "--config", str(ROOT / "deploy" / "gunicorn.py")]


def commands(env: dict[str, str], port: int) -> dict[str, list[str]]:
    """Return the command line of each process of the farm."""
    celery = [sys.executable, "-m", "celery", "--quiet", "-A", "piwheels_site"]
    started = {
        "web": web(port),
        # Threads, as all that the server's tasks do is wait for PyPI, the database and Redis.
        "worker": [*celery, "worker", "-P", "threads", "-l", "warning", *QUIET],
        "beat": [*celery, "beat", "-l", "warning"],
        "builder": [sys.executable, "-m", "builder"],
    }
    if env["REDIS_URL"].startswith("redis+socket://") and "REDIS_URL" not in os.environ:
        started = {"redis": redis.command(Path(env["PIWHEELS_VAR"])), **started}
    return started


# Builds run as the same user as their builder, who therefore must not know what they should not.
BUILDER_SEES = {
    *("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH", "PYTHONUNBUFFERED"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
    *("PIWHEELS_WORK", "PIWHEELS_BUILD_INDEX", "PIWHEELS_EXTRA_BUILD_INDEX", "PIWHEELS_BUILD_CRATES"),
    *("PIWHEELS_BUILD_DISK_BYTES", "PIWHEELS_SANDBOX_AT_MOST", "LOG_FORMAT"),
}

# Workers here need to know nothing of each other.
QUIET = ["--without-gossip", "--without-mingle", "--without-heartbeat"]


def lock(var: Path) -> TextIO:
    """Make sure that no other farm runs on the same state; keep what is returned open."""
    held = (var / "farm.lock").open("a+")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        with held:
            held.seek(0)
            raise CannotStart(f"A farm is running on {var} already, as process {held.read()}.") from error
    held.truncate(0)
    held.write(str(os.getpid()))
    held.flush()
    return held


def check_port(port: int) -> None:
    """Refuse a port that something else listens on, before everything is started for nothing."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CannotStart(f"Port {port} is taken: choose another with `make run PORT=8001`.") from error


def prepare(env: dict[str, str], packages: Sequence[str]) -> None:
    """Migrate, enrol the builder and follow the packages."""
    done = subprocess.run([*MANAGE, "prepare_miniature", "--yes", *packages], env=env, cwd=ROOT, check=False)
    if done.returncode:
        raise CannotStart("The farm could not be prepared; what is above says why.")


def wait_for(address: str) -> None:
    """Wait a minute at most until there is a good answer."""
    for _ in range(600):
        try:
            if requests.get(address, timeout=5).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.1)


def welcome(address: str, var: Path) -> None:
    """Print where the farm is, once it answers."""
    wait_for(f"{address}/healthz")
    print(
        f"""
  The farm is at {address}/
  Install from it:  pip install --index-url {address}/simple/ --only-binary :all: markupsafe
  Add a package:    {os.path.relpath(sys.executable)} manage.py add_package NAME [VERSION]
  Operators:        {address}/admin/ as "admin" with the password in {os.path.relpath(var)}/admin-password
  Builds run:       {sandbox()}
  End it:           Ctrl-C
""",
        flush=True,
    )


def sandbox() -> str:
    """Return where this machine's builds run, as whoever started the farm should know."""
    if shutil.which("bwrap") is None:
        return "WITHOUT A SANDBOX, as you: follow what you trust, or `apt install bubblewrap` and start again"
    return "in a sandbox; the admin's list of builders says at which level"


def run(packages: Sequence[str], port: int) -> int:
    """Run the farm until it is told to end, or until one of its processes does; return the exit status."""
    var = Path(os.environ.get("PIWHEELS_VAR", ROOT / "var")).resolve()
    var.mkdir(parents=True, exist_ok=True)
    held = lock(var)
    check_port(port)
    address = f"http://127.0.0.1:{port}"
    env = settings(var, {"PIWHEELS_BUILDERS_INDEX": f"{address}/simple/", **os.environ})
    prepare(env, packages)
    manager = Manager()
    for name, words in commands(env, port).items():
        own = builder_settings(env, address) if name == "builder" else env
        manager.add_process(name, f"exec {shlex.join(words)}", env=own, cwd=str(ROOT))
    # A closed terminal ends the farm as Ctrl-C does.
    signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    threading.Thread(target=welcome, args=(address, var), daemon=True).start()
    manager.loop()
    held.close()
    return int(manager.returncode or 0)


def main() -> int:
    """Read the command line and run the farm."""
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument("packages", nargs="*", help="packages to follow beside those of PIWHEELS_WATCH")
    arguments = parser.parse_args()
    try:
        return run(arguments.packages, int(os.environ.get("PORT", "8000")))
    except (CannotStart, redis.NoRedis) as problem:
        print(problem, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
