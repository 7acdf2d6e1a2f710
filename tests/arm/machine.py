"""The builder inside: a machine that `deploy/builder-setup` makes of an ARM root, and what builds on it."""

import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.farm import ROOT
from tests.arm import root as roots
from tests.arm.root import Root
from tests.arm.server import BUILDER, Server

CHECKOUT = "/root/piwheels"
TOKEN, ORDERS = "/root/token", "/root/orders-url"
# Where builder-setup puts them, and its unit takes them from.
SETTINGS = "/etc/piwheels/builder.env"
TOKEN_FILE = "/etc/piwheels/builder-token"
COMMAND = ["/opt/piwheels/bin/python", "-P", "-m", "builder"]
USER, HOME = "piwheels", "/var/lib/piwheels"

# A root that was set up with the same of these is a good start for setting one up.
DECIDE = ("deploy/builder-setup", "deploy/builder-packages.txt", "requirements/builder.txt")
LEAVE = shutil.ignore_patterns(".git", ".venv*", "var", "__pycache__", ".*_cache")

# cffi wants it to build; an operator installs what the packages that they want to serve need.
HEADERS = ["libffi-dev"]

# No systemd runs in a chroot, no file system can be mounted from a file in a namespace of users, and of the
# many packages for building other people's the few here need but HEADERS.
OPTIONS = ["--no-start", "--no-disk-image", "--few-packages"]


def unpack(root: Root, cache: Path) -> str:
    """Make a root as near to a builder as the cache allows; return how near that is."""
    if _kept(cache).exists():
        root.unpack(_kept(cache))
        roots.adapt(root)
        return "from the cache"
    return "bare, from the cache" if roots.base(root, cache) else "made"


def set_up(root: Root, cache: Path, server: Server, keys: dict[str, str]) -> None:
    """Make a root a builder of a server, from this checkout and as on a Pi; keep it for the next time."""
    shutil.rmtree(root.folder / CHECKOUT[1:], ignore_errors=True)
    shutil.copytree(ROOT, root.folder / CHECKOUT[1:], ignore=LEAVE)
    root.write(TOKEN, keys["token"])
    root.write(ORDERS, keys["orders_url"])
    # What an operator adds to the settings stays there.
    trusted = "".join(f"{name}={roots.CERTIFICATES}\n" for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"))
    root.write(SETTINGS, trusted)
    keys_to_it = ["--orders-url-file", ORDERS, "--token-file", TOKEN]
    root.run(f"{CHECKOUT}/deploy/builder-setup", server.address, BUILDER, *keys_to_it, *OPTIONS)
    root.run("apt-get", "-qq", "install", "-y", *HEADERS)
    if not _kept(cache).exists():
        root.run("apt-get", "clean")
        root.pack(_kept(cache))


def _kept(cache: Path) -> Path:
    """Return where a root that was set up is kept."""
    return roots.tarball_of(cache, "builder", *((ROOT / name).read_bytes() for name in DECIDE))


@contextmanager
def builder(root: Root) -> Iterator[subprocess.Popen[bytes]]:
    """Run the builder as its unit would."""
    lines = shlex.split((root.folder / SETTINGS[1:]).read_text())
    token = (root.folder / TOKEN_FILE[1:]).read_text().strip()
    settings = dict(line.split("=", 1) for line in lines) | {"PIWHEELS_BUILDER_TOKEN": token, "HOME": HOME}
    with (root.log.parent / "builder.log").open("ab") as log:
        process = subprocess.Popen(
            root.command(COMMAND, USER),
            env=root.environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        # Its namespaces, and with them all processes inside, end with it.
        process.kill()
        process.wait(60)


def drain(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """Ask the builder to end, as systemd does; return its exit status, None if it does not."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
