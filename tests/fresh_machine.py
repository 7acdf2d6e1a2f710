"""`make test-setup`: deploy/builder-setup in a fresh Debian root, twice, up to a builder that is well.

Needs root, debootstrap (which it installs), Debian's archive and PyPI, and takes some minutes.  The root is a
folder and is thrown away; server and Redis are played on this machine's loopback.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from builder.tests.server import TOKEN, FakeServer
from tests.services import private_redis

ROOT = Path(__file__).resolve().parent.parent
RELEASE = os.environ.get("RELEASE", "bookworm")
# What of this machine's way to the world the root needs too.
PASSED_ON = ("http_proxy", "https_proxy", "no_proxy")
# Runs a command in the root ($1); what it mounts there is gone with it.
ENTER = """
mount --make-rprivate / && mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && root=$1 && shift &&
exec chroot "$root" "$@"
"""


class Machine:
    """A Debian system in a folder."""

    def __init__(self, folder: Path) -> None:
        """Take a folder that holds the system."""
        self.folder = folder

    def path(self, absolute: str) -> Path:
        """Return a path of the system as this machine sees it."""
        return self.folder / absolute.lstrip("/")

    def run(self, *words: str, given: str = "") -> str:
        """Run a command as the system's root and return what it prints; it must succeed."""
        env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        if "PIP_CERT" in os.environ:
            env["PIP_CERT"] = "/etc/ssl/certs/of-the-host.crt"
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", ENTER, "sh", str(self.folder), *words],
            input=given,
            env={**env, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        print(done.stdout, flush=True)
        assert done.returncode == 0, f"{' '.join(words)} ended with {done.returncode}."
        return done.stdout

    def state(self) -> dict[str, tuple[int, int, int, bytes]]:
        """Return owner, mode and content of all that the setup is to write."""
        named = ["builder.env", "builder-token"]
        files = [self.path(f"/etc/piwheels/{name}") for name in named]
        files += sorted(self.path("/etc/systemd/system").glob("*piwheels*"))
        files.append(self.path("/boot/firmware/cmdline.txt"))
        facts = ((path, path.stat()) for path in files)
        return {
            path.name: (status.st_uid, status.st_gid, status.st_mode & 0o777, path.read_bytes())
            for path, status in facts
        }


def make(folder: Path) -> Machine:
    """Make the smallest Debian there is, with the sources of the project and a Pi's boot folder."""
    if not shutil.which("debootstrap"):
        subprocess.run(["apt-get", "-qq", "install", "-y", "debootstrap"], check=True)
    # A root that was made before, to copy.
    made = os.environ.get("ROOT_MADE_BEFORE", "")
    if made:
        subprocess.run(["cp", "-a", f"{made}/.", str(folder)], check=True)
    else:
        log = subprocess.DEVNULL
        subprocess.run(["debootstrap", "--variant=minbase", RELEASE, str(folder)], check=True, stdout=log)
    machine = Machine(folder)
    shutil.copy("/etc/resolv.conf", machine.path("/etc/resolv.conf"))
    if "PIP_CERT" in os.environ:
        machine.path("/etc/ssl/certs").mkdir(parents=True, exist_ok=True)
        shutil.copy(os.environ["PIP_CERT"], machine.path("/etc/ssl/certs/of-the-host.crt"))
    for name in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines():
        if (ROOT / name).is_file():
            target = machine.path(f"/srv/piwheels/{name}")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
    machine.path("/boot/firmware").mkdir(parents=True)
    machine.path("/boot/firmware/cmdline.txt").write_text("console=tty1 root=PARTUUID=1 rootwait\n")
    return machine


def prove(machine: Machine, server: str, orders_url: str) -> None:
    """Set the machine up twice, and look at what came of it."""
    setup = ["/srv/piwheels/deploy/builder-setup", server, "pi-07", "--few-packages", "--no-start"]
    first = machine.run(*setup, "--work-size", "300M", given=f"{TOKEN}\n{orders_url}\n")
    before = machine.state()
    with machine.path("/etc/piwheels/builder.env").open("a") as file:
        file.write("PIWHEELS_EXTRA_BUILD_INDEX=https://wheels.example.org/simple/\n")
    image = machine.path("/var/lib/piwheels/work.img").stat()
    began = time.monotonic()
    # What it was told is known.
    second = machine.run(setup[0], "--no-start")
    took_s = time.monotonic() - began
    after = machine.state()

    for told in (first, second, machine.run(setup[0], "--check")):
        assert "ok   server: It knows this builder" in told
        assert "ok   redis: It lets this builder in." in told
        assert "BAD" not in told
    settings = after.pop("builder.env")
    assert b"wheels.example.org" in settings[3], "what an operator added is gone"
    kept = sorted(line for line in settings[3].splitlines() if b"EXTRA" not in line)
    owner, _, mode, content = before.pop("builder.env")
    assert (owner, mode, kept) == (0, 0o640, sorted(content.splitlines()))
    assert after == before, "the second run changed something"
    assert before["builder-token"] == (0, 0, 0o600, f"{TOKEN}\n".encode())
    assert before["cmdline.txt"][3] == b"console=tty1 root=PARTUUID=1 rootwait cgroup_enable=memory\n"
    assert machine.path("/var/lib/piwheels/work.img").stat() == image
    assert "user piwheels\n   is there" in second
    user = machine.run(
        "setpriv", "--reuid=piwheels", "--regid=piwheels", "--clear-groups", "id", "-un"
    ).strip()
    assert user == "piwheels"
    verify(machine)
    print(f"It works: a fresh {RELEASE} is a builder, and the second run took {took_s:.0f} s.")


def verify(machine: Machine) -> None:
    """Have the release's own systemd read the units."""
    machine.run("apt-get", "-qq", "install", "-y", "--no-install-recommends", "systemd")
    units = [
        f"/etc/systemd/system/{path.name}" for path in machine.path("/etc/systemd/system").glob("*piwheels*")
    ]
    assert len(units) == 2
    # Systemd before 254 has no DelegateSubgroup, says so, and goes on; the builder then makes its own group.
    told = machine.run("systemd-analyze", "verify", *units).splitlines()
    complaints = [line for line in told if line and "DelegateSubgroup" not in line]
    assert complaints == [], complaints


def main() -> int:
    """Make the machine, prove, and throw it away."""
    if os.geteuid():
        print("make test-setup needs root: it makes a system in a folder.", file=sys.stderr)
        return 2
    folder = Path(tempfile.mkdtemp(prefix="piwheels-fresh-"))
    try:
        machine = make(folder / "root")
        with FakeServer() as server, private_redis(machine.path("/srv/redis")) as orders_url:
            inside = orders_url.replace(str(machine.folder), "")
            machine.path("/srv/redis").chmod(0o755)
            machine.path("/srv/redis/redis.sock").chmod(0o777)
            prove(machine, server.url, inside)
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
