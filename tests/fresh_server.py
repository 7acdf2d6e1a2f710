"""`make test-server-setup`: deploy/server-setup in a fresh Debian that boots, and a farm's life on it.

It is set up twice, becomes a builder too, by deploy/builder-setup, builds a package in the sandbox and has
pip install it over TLS, loses each of its services, is upgraded while others read, is backed up, destroyed
and restored by the commands of docs/backups.md, and moves behind another proxy.  `RELEASE=trixie` takes
another Debian than bookworm.  Needs root, systemd-nspawn and debootstrap (which it installs), Debian's
archive, PyPI, the ports 80, 443, 5432, 6380 and 8480, and a quarter of an hour.
"""

import json
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Self

from tests import fresh_machine
from tests.booted_machine import Booted
from tests.fake_pypi import FakePyPI

NAME = "wheels.example.org"
SETUP = "/srv/piwheels/deploy/server-setup"
BUILDER_SETUP = "/srv/piwheels/deploy/builder-setup"
BUILDER = "piwheels-builder.service"
PROXIED = "127.0.0.1:8480"
CERTIFICATES = "/etc/ssl/piwheels-test"
UNITS = [f"piwheels-{name}.service" for name in ("redis", "web", "worker", "beat", "downloads")]
OTHERS = ("piwheels-web.socket", "piwheels-backup.service", "piwheels-backup.timer")
SECRETS = ("secret-key", "redis-url", "orders-url", "redis-admin-url")
VICTIMS = (
    "piwheels-web",
    "piwheels-worker",
    "piwheels-beat",
    "piwheels-downloads",
    "piwheels-redis",
    "piwheels-builder",
    "nginx",
)


class Site:
    """The farm's site, as somebody outside sees it."""

    def __init__(self, authority: Path) -> None:
        self.tls = ssl.create_default_context(cafile=str(authority))

    def ask(self, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of an answer."""
        connection = _Connection(NAME, 443, timeout=60, context=self.tls)
        try:
            connection.request(method, path, headers={"Accept": "*/*"})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def is_well(self) -> bool:
        """Whether all that it needs answers."""
        with suppress(OSError, HTTPException):
            return self.ask("/healthz")[0] == 200
        return False


class _Connection(HTTPSConnection):
    """A connection to this machine, whatever the name."""

    def connect(self) -> None:
        """Connect, and compare the certificate with the name."""
        plain = socket.create_connection(("127.0.0.1", self.port), self.timeout)
        self.sock = self._context.wrap_socket(plain, server_hostname=self.host)


class Reader(threading.Thread):
    """Reads pages of nginx's and of the site's, and counts what comes."""

    PATHS = ("/simple/demo/", "/", "/project/demo/", "/healthz", "/simple/Demo/", "/simple/")
    # Below what nginx lets one client ask the site for, which is 20 a second.
    PAUSE_S = 0.3

    def __init__(self, site: Site) -> None:
        super().__init__(daemon=True)
        self.site = site
        self.told: Counter[str] = Counter()
        self.slowest_s = 0.0
        self.was_there = False
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.was_there = self.is_alive()
        self._ended.set()
        self.join(90)

    def run(self) -> None:
        """Read until it is told to end."""
        while not self._ended.is_set():
            for path in self.PATHS:
                began = time.monotonic()
                try:
                    status, _, body = self.site.ask(path)
                    is_well = status < 400
                    self.told[f"{status // 100}xx" if is_well else f"{path}: {status} {body[:300]!r}"] += 1
                except (OSError, HTTPException) as fault:
                    self.told[f"{path}: {fault!r}"] += 1
                self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            self._ended.wait(self.PAUSE_S)


class Proof:
    """What is to be seen on the machine, in the order in which it is done."""

    def __init__(self, machine: Booted, upstream: FakePyPI, authority: Path) -> None:
        self.machine, self.upstream, self.site = machine, upstream, Site(authority)
        self.keys: dict[str, str] = {}

    def all(self, names: list[str]) -> None:
        """See all of it, or the steps of those names, each of which takes the first for granted."""
        for step in (
            *(self.set_up_twice, self.look_at_files, self.look_at_units, self.look_at_answers),
            *(self.build_and_install, self.rotate, self.kill, self.lose_and_restore, self.upgrade),
            self.move_behind_proxy,
        ):
            if names and step.__name__ not in names:
                continue
            began = time.monotonic()
            print(f"\n##### {step.__name__}", flush=True)
            try:
                step()
            except BaseException:
                # The machine is thrown away, and with it what it had to say.
                self.machine.run("journalctl", "--no-pager", "--lines=200", "-u", "piwheels-*")
                raise
            print(f"##### {step.__name__}: {time.monotonic() - began:.0f} s", flush=True)

    def set_up_twice(self) -> None:
        """Set the machine up, and again with what an operator has added."""
        first = self.machine.run(
            *(SETUP, NAME, "--certificate", f"{CERTIFICATES}/server.pem"),
            *(
                "--key",
                f"{CERTIFICATES}/server.key",
                "--watch",
                "demo later",
                "--pypi",
                self.upstream.simple_url,
            ),
        )
        assert "no issues" in first
        assert "/healthz: ok" in first
        assert re.search(r"admin, with the password \S{24} ", first)
        with self.machine.path("/etc/piwheels/server.env").open("a") as file:
            file.write("PIWHEELS_REFRESH_S=1\nPIWHEELS_POLL_S=1\n")
            file.write("EMAIL_URL_FILE=/etc/piwheels/secrets/mail\n")
            # A shell would run this; systemd and piwheels-manage read it.
            file.write("PIWHEELS_MAIL_FROM=The farm <farm@example.org>\n")
        # As for a builder that asks by another address.
        self.machine.run("sed", "-i", "s/^ALLOWED_HOSTS='/&10.8.0.1,/", "/etc/piwheels/server.env")
        secret = "install -o root -g piwheels-server -m 0640 /dev/stdin /etc/piwheels/secrets/mail"
        self.machine.run("sh", "-c", f"echo smtp://127.0.0.1:9 | {secret}")
        before = self.state()
        second = self.machine.run(SETUP)
        assert "is there" in second
        assert "with the password" not in second
        assert "ALLOWED_HOSTS is as an operator has it" in second
        assert self.state() == before, "the second run changed something"

    def state(self) -> dict[str, tuple[object, ...]]:
        """Return owner, mode and content of all that the setup is to write; settings as a set of lines."""
        folders = ("/etc/piwheels", "/etc/nginx", "/etc/systemd/system", "/etc/logrotate.d")
        paths = [path for folder in folders for path in self.machine.path(folder).rglob("*piwheels*")]
        paths += list(self.machine.path("/etc/piwheels").rglob("*"))
        told: dict[str, tuple[object, ...]] = {}
        for path in paths:
            if path.is_file() and not path.is_symlink():
                lines = frozenset(path.read_bytes().splitlines())
                status = path.stat()
                told[str(path)] = (status.st_uid, status.st_gid, status.st_mode, lines)
        return told

    def look_at_files(self) -> None:
        """See that nobody but who must can read a secret, and that none is in an environment."""
        folder = self.machine.path("/etc/piwheels/secrets")
        assert folder.stat().st_mode & 0o777 == 0o750
        values = []
        for name in SECRETS:
            assert (folder / name).stat().st_mode & 0o777 == 0o640
            assert (folder / name).stat().st_uid == 0
            values.append((folder / name).read_text().strip())
        passwords = [value.split("@")[0].rpartition(":")[2] for value in values]
        running = self.machine.processes("piwheels-server")
        assert len(running) >= 4
        for process in running:
            seen = " ".join([*process.cmdline(), *process.environ().values()])
            assert not any(password in seen for password in passwords), process.cmdline()
            # Of root's eyes, in the service's world: what hides the file there is empty.
            sight = Path(f"/proc/{process.pid}/root/etc/piwheels/secrets")
            assert (sight / "redis-admin-url").read_bytes() == b""
            assert (sight / "mail").read_text() == "smtp://127.0.0.1:9\n"
        journal = self.machine.run("journalctl", "--no-pager", "--quiet", "-u", "piwheels-*")
        assert not any(password in journal for password in passwords)

    def look_at_units(self) -> None:
        """Have the release's own systemd read the units and measure what is open in them."""
        told = self.machine.run("systemd-analyze", "verify", "--man=no", *UNITS, *OTHERS)
        assert told == ""
        for unit in UNITS:
            self.machine.run("systemd-analyze", "security", "--no-pager", "--threshold=20", unit)

    def look_at_answers(self) -> None:
        """See what clients get: TLS of today, headers, and port 80 that leads there."""
        status, headers, _ = self.site.ask("/")
        assert (status, headers["x-frame-options"]) == (200, "DENY")
        assert "server" in headers
        assert "/" not in headers["server"], "nginx tells its version"
        with socket.create_connection(("127.0.0.1", 80), 20) as plain:
            plain.sendall(b"GET /simple/demo/?x=1 HTTP/1.0\r\n\r\n")
            answer = plain.recv(4096)
        assert b" 301 " in answer
        assert f"Location: https://{NAME}/simple/demo/?x=1".encode() in answer
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        # OpenSSL would not ask for it otherwise.
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", 443), 20) as plain:
            try:
                old.wrap_socket(plain)
            except ssl.SSLError as fault:
                # Refused by the other side, and not by our own OpenSSL.
                assert "ALERT" in str(fault.reason), fault
                return
        raise AssertionError("It speaks TLS 1.1.")

    def build_and_install(self) -> None:
        """Enrol a builder, have it build what upstream releases, and install that over TLS."""
        target = self.machine.run("piwheels-manage", "add_host_target").splitlines()[-1]
        told = self.machine.run("piwheels-manage", "create_builder", "pi-07", target, "--json")
        self.keys = json.loads(told.splitlines()[-1])
        self.set_up_builder()
        self.upstream.add_sdist("demo", "1.0")
        self.wait_for_wheel("demo")
        levels = "from builds.models import Build; print(*Build.objects.values_list('sandbox', flat=True))"
        # How much of it depends on what the kernel below gives to a system in namespaces.
        assert self.machine.run("piwheels-manage", "shell", "-c", levels).split()[-1] in ("box", "full")
        self.machine.run("systemd-analyze", "security", "--no-pager", "--threshold=40", BUILDER)
        self.install("demo", "1.0")
        counted = "from simple.models import Download; import sys; sys.exit(not Download.objects.exists())"
        self.machine.wait_until(lambda: self.succeeds("piwheels-manage", "shell", "-c", counted), 60)

    def set_up_builder(self) -> None:
        """Make the machine a builder as well, with the builder's own unit, as another would be one."""
        settings = self.machine.path("/etc/piwheels/builder.env")
        # An operator's lines stay.
        settings.write_text(
            f"PIWHEELS_BUILD_INDEX={self.upstream.simple_url}\nREQUESTS_CA_BUNDLE={CERTIFICATES}/ca.pem\n"
        )
        orders_url = self.keys["orders_url"].replace("@HOST:", "@127.0.0.1:")
        # There is no disk to mount in a folder that is a machine.
        words = [f"https://{NAME}/", "pi-07", "--few-packages", "--no-disk-image"]
        self.machine.run(BUILDER_SETUP, *words, given=f"{self.keys['token']}\n{orders_url}\n")

    def wait_for_wheel(self, package: str) -> None:
        """Wait until the index has a wheel of a package."""
        took_s = self.machine.wait_until(lambda: b".whl" in self.site.ask(f"/simple/{package}/")[2], 180)
        print(f"a wheel of {package} is in the index after {took_s:.0f} s", flush=True)

    def install(self, package: str, version: str) -> None:
        """Install a package from the farm with the machine's own pip, in an environment of its own."""
        self.machine.run("rm", "-rf", "/root/client")
        self.machine.run("python3", "-m", "venv", "/root/client")
        index = ["--index-url", f"https://{NAME}/simple/", "--cert", f"{CERTIFICATES}/ca.pem"]
        words = ["install", "--isolated", "--no-cache-dir", "--only-binary", ":all:", *index, package]
        told = self.machine.run("/root/client/bin/pip", *words)
        assert f"Successfully installed {package}-{version}" in told

    def succeeds(self, *words: str) -> bool:
        """Whether a command ends well."""
        try:
            self.machine.run(*words)
        except AssertionError:
            return False
        return True

    def rotate(self) -> None:
        """Rotate nginx's log, and see that it goes on in the new one."""
        self.machine.run("logrotate", "--force", "/etc/logrotate.d/piwheels")
        self.site.ask("/simple/not-here/")
        log = self.machine.path("/var/log/piwheels/access.json")
        self.machine.wait_until(lambda: "not-here" in log.read_text(), 20)
        assert log.stat().st_mode & 0o777 == 0o640
        assert "demo-1.0" in log.with_name("access.json.1").read_text()

    def kill(self) -> None:
        """Kill each service, and see it come back by itself."""
        for unit in VICTIMS:
            main = f"systemctl show --value --property=MainPID {unit}"
            before = self.machine.run("sh", "-c", main)
            self.machine.run("systemctl", "kill", "--signal=KILL", f"{unit}.service")

            def is_back(told: str = before, question: str = main) -> bool:
                return self.machine.run("sh", "-c", question).strip() not in ("0", told.strip())

            took_s = self.machine.wait_until(is_back, 30) + self.machine.wait_until(self.site.is_well, 60)
            print(f"{unit} is back after {took_s:.1f} s", flush=True)
        postmaster = self.machine.path("/var/lib/postgresql")
        (lock,) = postmaster.glob("*/main/postmaster.pid")
        killed = lock.read_text().split()[0]
        self.machine.run("sh", "-c", f"kill -{signal.SIGKILL.value} {killed}")

        def is_another() -> bool:
            return lock.exists() and lock.read_text().split()[:1] not in ([], [killed])

        took_s = self.machine.wait_until(is_another, 60) + self.machine.wait_until(self.site.is_well, 90)
        print(f"PostgreSQL is back after {took_s:.1f} s", flush=True)

    def upgrade(self) -> None:
        """Set up another release while somebody reads, and go back to the first."""
        before = self.machine.path("/opt/piwheels-server/current").readlink()
        with self.machine.path("/srv/piwheels/piwheels_site/__init__.py").open("a") as file:
            file.write("# Another release.\n")
        with Reader(self.site) as reader:
            self.machine.run(SETUP)
            after = self.machine.path("/opt/piwheels-server/current").readlink()
            assert after != before
            working = [Path(process.cwd()).name for process in self.machine.processes("piwheels-server")]
            self.machine.run(SETUP, "--back", str(before))
            assert self.machine.path("/opt/piwheels-server/current").readlink() == before
            self.machine.run(SETUP, "--back", str(after))
        assert set(working) == {str(after)}, working
        print(
            f"readers got {dict(reader.told)}, the slowest answer took {reader.slowest_s:.1f} s", flush=True
        )
        assert reader.was_there
        assert set(reader.told) <= {"2xx", "3xx"}, reader.told
        # On a machine of two cores that sets itself up meanwhile; 26 s were seen where more was going on.
        assert reader.slowest_s < 30
        assert reader.told["2xx"] > 100

    def move_behind_proxy(self) -> None:
        """Leave the certificate to another proxy, which says who asks and how."""
        self.machine.run(SETUP, "--behind-proxy", PROXIED)
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", 443), 20):
            raise AssertionError("It still listens on 443.")

        def ask(path: str, **said: str) -> HTTPResponse:
            connection = HTTPConnection(PROXIED, timeout=60)
            headers = {f"X-Forwarded-{name}": value for name, value in said.items()}
            connection.request("GET", path, headers={"Host": NAME, **headers})
            answer = connection.getresponse()
            answer.read()
            connection.close()
            return answer

        stranger = {"Proto": "https", "For": "203.0.113.9"}
        self.machine.wait_until(lambda: ask("/healthz", **stranger).status == 200, 60)
        assert ask("/", **stranger).status == 200
        assert ask("/simple/", **stranger).status == 200
        plain = ask("/", Proto="http", For="203.0.113.9")
        assert (plain.status, plain.headers["Location"]) == (301, f"https://{NAME}/")
        # What only this machine may see is not for whoever comes by way of it.
        assert ask("/metrics", **stranger).status in (403, 404)

    def lose_and_restore(self) -> None:
        """Back up, destroy, restore and verify by the page, and go on where it was."""
        override = "/etc/systemd/system/piwheels-worker.service.d/override.conf"
        self.machine.path(override).parent.mkdir(exist_ok=True)
        self.machine.path(override).write_text("[Service]\nReadWritePaths=-/srv/wheels\n")
        self.machine.run_page("backups.md", "Make one")
        # And again as cron does it, which knows few folders of programs, and as the timer does.
        self.machine.run("env", "-i", "PATH=/usr/bin:/bin", "/srv/piwheels/deploy/backup")
        self.machine.run("systemctl", "start", "piwheels-backup.service")
        self.machine.run("systemctl", "stop", BUILDER, "piwheels-web.socket", "nginx", *UNITS)
        self.machine.run("runuser", "-u", "postgres", "--", "dropdb", "piwheels")
        gone = [f"/var/lib/piwheels-{name}" for name in ("server", "redis")]
        gone += [
            "/etc/piwheels",
            "/opt/piwheels-server",
            "/etc/nginx/conf.d",
            "/usr/local/bin/piwheels-manage",
            f"{CERTIFICATES}/server.pem",
            f"{CERTIFICATES}/server.key",
            override,
        ]
        self.machine.run("rm", "-rf", *gone)
        self.machine.run("mkdir", "/etc/nginx/conf.d")
        self.machine.run_page("backups.md", "Restore")
        assert self.site.is_well()
        assert "ReadWritePaths=-/srv/wheels" in self.machine.path(override).read_text()
        self.install("demo", "1.0")
        self.set_up_builder()
        self.upstream.add_sdist("later", "2.0")
        self.wait_for_wheel("later")
        self.install("later", "2.0")


def certify(machine: Booted) -> Path:
    """Make an authority and the server's certificate, which it has signed; return the authority's."""
    folder = machine.path(CERTIFICATES)
    folder.mkdir(parents=True)

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    new_key = ["-newkey", "rsa:2048", "-nodes"]
    # As strict as Python 3.13 is, which wants to be told of a key what it is for, and who has signed.
    own = ["-subj", "/CN=Test", "-days", "2", "-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", *own)
    openssl("req", *new_key, "-keyout", "server.key", "-out", "server.csr", "-subj", f"/CN={NAME}")
    (folder / "names").write_text(f"subjectAltName=DNS:{NAME}\nauthorityKeyIdentifier=keyid\n")
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-days", "2"]
    openssl("x509", "-req", "-in", "server.csr", "-out", "server.pem", *signed)
    return folder / "ca.pem"


def main() -> int:
    """Make the machine, boot it, prove, and throw it away."""
    folder = Path(tempfile.mkdtemp(prefix="piwheels-fresh-"))
    try:
        root = fresh_machine.make(folder / "root").folder
        machine = Booted(root)
        machine.path("/etc/hosts").write_text(f"127.0.0.1 localhost {NAME}\n")
        authority = certify(machine)
        with machine, FakePyPI() as upstream:
            Proof(machine, upstream, authority).all(sys.argv[1:])
    finally:
        shutil.rmtree(folder)
    print(
        "It works: a fresh Debian is a farm's server, through kills, an upgrade and the loss of everything."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
