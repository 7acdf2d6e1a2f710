"""A farm whose builders each live in a network namespace, joined to the server by two cables.

One leads to the web server and one to the Redis of the orders, so that each can be pulled by itself, or be
slow.  Needs root.
"""

import contextlib
import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from deploy import farm as miniature
from tests.fake_pypi import FakePyPI
from tests.farm import Farm

NAMES = ("pi-a", "pi-b", "pi-c")


class Cable(StrEnum):
    """What a builder's cable leads to; its name is that of the builder's end of it."""

    WEB = "web"  # and upstream
    ORDERS = "orders"

    @property
    def server(self) -> str:
        """The server's address at the other end."""
        return {Cable.WEB: "10.77.0.1", Cable.ORDERS: "10.78.0.1"}[self]

    @property
    def bridge(self) -> str:
        """The bridge that joins all cables of this kind."""
        return f"pwbr-{self}"

    def end_at(self, name: str) -> str:
        """Return the server's end of a builder's cable."""
        return f"{name}-{self}"


def ip(*words: str) -> str:
    """Run iproute2's `ip` and return what it prints."""
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


@contextmanager
def cables(names: Sequence[str] = NAMES) -> Iterator[None]:
    """Give each builder a namespace with two cables, to two bridges that have the server's addresses."""
    _clear(names)
    with ExitStack() as undo:
        for cable in Cable:
            ip("link", "add", cable.bridge, "type", "bridge")
            undo.callback(ip, "link", "del", cable.bridge)
            ip("addr", "add", f"{cable.server}/24", "dev", cable.bridge)
            ip("link", "set", cable.bridge, "up")
        for number, name in enumerate(names, start=2):
            ip("netns", "add", name)
            undo.callback(ip, "netns", "del", name)
            ip("-n", name, "link", "set", "lo", "up")
            for cable in Cable:
                _lay(cable, name, number)
        yield


def _clear(names: Sequence[str]) -> None:
    """Remove what a run that was killed has left: bridges, namespaces, and the server's ends of cables."""
    left = [("link", "del", cable.bridge) for cable in Cable]
    left += [("netns", "del", name) for name in names]
    left += [("link", "del", cable.end_at(name)) for name in names for cable in Cable]
    for words in left:
        subprocess.run(["ip", *words], check=False, capture_output=True)


def _lay(cable: Cable, name: str, number: int) -> None:
    """Lay one cable to one builder."""
    end = cable.end_at(name)
    ip("link", "add", end, "type", "veth", "peer", "name", cable, "netns", name)
    ip("link", "set", end, "master", cable.bridge, "up")
    address = f"{cable.server.rpartition('.')[0]}.{number}/24"
    ip("-n", name, "addr", "add", address, "dev", cable)
    ip("-n", name, "link", "set", cable, "up")


@contextmanager
def pulled(name: str, *which: Cable) -> Iterator[None]:
    """Pull these cables of a builder, which its end of them notices."""
    with ExitStack() as undo:
        for cable in which:
            ip("link", "set", cable.end_at(name), "down")
            undo.callback(ip, "link", "set", cable.end_at(name), "up")
        yield


@contextmanager
def blocked(name: str, cable: Cable) -> Iterator[None]:
    """Have a cable that looks well bring nothing, without a word, as behind a firewall that drops."""
    ip("link", "set", cable.end_at(name), "nomaster")
    try:
        yield
    finally:
        ip("link", "set", cable.end_at(name), "master", cable.bridge)


def sent(name: str, cable: Cable) -> int:
    """Return how many packets a builder has sent down a cable."""
    (told,) = json.loads(ip("-n", name, "-s", "-j", "link", "show", "dev", cable))
    return int(told["stats64"]["tx"]["packets"])


def slow_down(name: str, cable: Cable, rate: str) -> None:
    """Make a cable slow in both directions; what would wait for longer than 300 ms is lost, as in a modem."""
    shaped = ["root", "tbf", "rate", rate, "burst", "8kb", "latency", "300ms"]
    subprocess.run(["tc", "qdisc", "add", "dev", cable.end_at(name), *shaped], check=True)
    subprocess.run(["tc", "-n", name, "qdisc", "add", "dev", cable, *shaped], check=True)


class Cabled(Farm):
    """A farm whose server listens at one end of the cables, with a builder at the other end of each pair."""

    def __init__(self, folder: Path, upstream: FakePyPI, names: Sequence[str], database: str) -> None:
        """Follow all that upstream has."""
        super().__init__(folder, upstream.simple_url, *upstream.projects, database=database)
        self.env |= {
            "ALLOWED_HOSTS": f"{Cable.WEB.server},127.0.0.1",
            "PIWHEELS_LEASE_S": "900",
            "PIWHEELS_REFRESH_S": "600",
            "PIWHEELS_CLAIM_S": "30",
        }
        self.names = names
        self._broker = self.port + 1
        self._tokens: dict[str, str] = {}

    def commands(self) -> dict[str, list[str]]:
        """Return what it consists of."""
        commands = super().commands()
        commands["web"] += ["--bind", f"{Cable.WEB.server}:{self.port}"]
        where = ["--bind", Cable.ORDERS.server, "--port", str(self._broker), "--protected-mode", "no"]
        commands["redis"] += where
        builder = commands.pop("builder")
        return commands | {name: ["ip", "netns", "exec", name, *builder] for name in self.names}

    def environment(self, name: str) -> dict[str, str]:
        """Return the environment of one of the processes."""
        if name not in self.names:
            return super().environment(name)
        if name not in self._tokens:
            done = self.manage("create_builder", name, self._target(), "--json")
            assert done.returncode == 0, done.stderr
            self._tokens[name] = json.loads(done.stdout.splitlines()[-1])["token"]
        return miniature.builder_settings(self.env, f"http://{Cable.WEB.server}:{self.port}") | {
            "PIWHEELS_BUILDER": name,
            "PIWHEELS_BUILDER_TOKEN": self._tokens[name],
            "PIWHEELS_ORDERS_URL": f"redis://{Cable.ORDERS.server}:{self._broker}/0",
            "PIWHEELS_WORK": str(self.work_of(name)),
        }

    def work_of(self, name: str) -> Path:
        """Return a builder's work folder."""
        return Path(self.var, "work", name)

    def _target(self) -> str:
        return str(
            self.ask(
                "import json; from builds.models import Target; "
                "print(json.dumps(Target.objects.get(is_active=True).key))"
            )
        )

    def tree(self, name: str) -> list[psutil.Process]:
        """Return a builder's processes, those of its build included."""
        top = psutil.Process(self.processes[name].pid)
        return [top, *top.children(recursive=True)]

    def count(self, state: str) -> int:
        """Return how many builds are in a state; asked so often that a shell for each would be the load."""
        return int(self._first("SELECT count(*) FROM builds_build WHERE state = %s", state))

    def is_building(self, name: str) -> bool:
        """Whether a builder has a build."""
        sql = (
            "SELECT count(*) FROM builds_build build "
            "JOIN builds_builder builder ON builder.id = build.builder_id "
            "WHERE builder.name = %s AND build.state = 'building'"
        )
        return bool(self._first(sql, name) == 1)

    def _first(self, sql: str, *values: str) -> Any:
        with (
            contextlib.closing(psycopg2.connect(self.env["DATABASE_URL"])) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(sql, values)
            return cursor.fetchone()[0]
