"""The farm outside: web server, worker, beat, and a Redis with a user for the builder inside."""

import json
import os
import re
import secrets
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from deploy import redis
from deploy.farm import ROOT
from deploy.scratch import free_port
from tests.arm.wheels import Made
from tests.farm import Farm

TARGET = "bookworm-armhf-cp311"
BUILDER = "arm-1"

_EXAMPLE = ROOT / "deploy" / "redis" / "users.acl.example"
_CONFIGURATION = ROOT / "deploy" / "redis" / "redis.conf"

_SETTINGS = {
    # QEMU has no user namespaces for the programs that it runs, so bubblewrap cannot start anything.
    "PIWHEELS_SANDBOX": "bare",
    "PIWHEELS_DEPTH": "1",
    "PIWHEELS_REFRESH_S": "3600",
    # An emulated builder on a busy machine may be silent for long without being lost.
    "PIWHEELS_CLAIM_S": "300",
    "PIWHEELS_LEASE_S": "600",
}


class Server(Farm):
    """A farm for ARM on ports of the loopback, without a builder of its own."""

    def __init__(self, folder: Path, *watch: str) -> None:
        super().__init__(folder, os.environ.get("PIWHEELS_PYPI", PYPI_SIMPLE_ENDPOINT), *watch)
        self.redis_port = free_port()
        self.passwords = {user: secrets.token_hex(24) for user in ("server", "orders", "admin")}
        self.env |= {
            **_SETTINGS,
            "REDIS_URL": self.redis_url("server"),
            "PIWHEELS_ORDERS_URL": self.redis_url("orders"),
            "PIWHEELS_REDIS_ADMIN_URL": self.redis_url("admin"),
        }
        (folder / "users.acl").write_text(self._users())

    def redis_url(self, user: str) -> str:
        """Return where Redis is for one of its users."""
        return f"redis://{user}:{self.passwords[user]}@127.0.0.1:{self.redis_port}/0"

    def commands(self) -> dict[str, list[str]]:
        """Return what runs outside."""
        own = ["--port", str(self.redis_port), "--dir", str(self.var)]
        guarded = [redis.server(), str(_CONFIGURATION), *own, "--aclfile", str(self.var / "users.acl")]
        others = super().commands()
        return {"redis": guarded, **{name: others[name] for name in ("web", "worker", "beat")}}

    def enrol(self) -> dict[str, str]:
        """Begin to build for ARM, enrol the builder and return its token and where it waits for orders."""
        self.ask(_ACTIVATE.format(TARGET))
        done = self.manage("create_builder", BUILDER, TARGET, "--json")
        assert done.returncode == 0, done.stderr
        keys = json.loads(done.stdout)
        # The farm does not know what others call the machine of a Redis on its own loopback.
        return {**keys, "orders_url": keys["orders_url"].replace("@HOST:", "@127.0.0.1:")}

    def builder(self) -> dict[str, Any]:
        """Return what the builder says of itself; nothing before its first hello."""
        return dict(self.ask(_FACTS.format(BUILDER)))

    def build(self, package: str) -> dict[str, Any]:
        """Return the last attempt at a package's newest version for ARM, once it ended; nothing before."""
        for number, release in self.releases(package).items():
            build = release["builds"].get(TARGET, {})
            if build.get("state") in ("succeeded", "failed", "cancelled"):
                return {"number": number, "files": release["files"], **build}
        return {}

    def releases(self, package: str) -> dict[str, Any]:
        """Return the versions of a package, as its JSON tells them; none before it is known."""
        answer = requests.get(f"{self.address}/project/{package}/json", timeout=20)
        return dict(answer.json()["releases"]) if answer.ok else {}

    def wheels(self, files: dict[str, Any]) -> list[Made]:
        """Fetch the wheels that the JSON of a version lists."""
        made = []
        for name, file in files.items():
            answer = requests.get(urljoin(self.address, file["file_url"]), timeout=60)
            answer.raise_for_status()
            made.append(Made(name, tuple(file["apt_dependencies"]), answer.content))
        return made

    def log_of(self, build: int) -> str:
        """Return the log of a build."""
        return requests.get(f"{self.address}/builds/{build}/log", timeout=20).text

    def _users(self) -> str:
        """Return the users of this Redis, as an operator makes them of the example."""
        text = _EXAMPLE.read_text()
        for user, password in self.passwords.items():
            text = text.replace(f"{{{user}}}", sha256(password.encode()).hexdigest())
        version = subprocess.run([redis.server(), "--version"], capture_output=True, text=True, check=True)
        found = re.search(r"v=(\d+)\.(\d+)", version.stdout)
        assert found, version.stdout
        if (int(found[1]), int(found[2])) < (7, 2):
            text = text.replace(" +client|setinfo", "")
        return text


_ACTIVATE = """
import json
from builds.models import Target
target = Target.objects.get(key={!r})
# Upstream has a pure wheel of some of the packages, which would leave nothing to build.
target.follow("everything")
print(json.dumps(target.activate()))
"""

_FACTS = """
import json
from builds.models import Builder
print(json.dumps(Builder.objects.get(name={!r}).facts))
"""
