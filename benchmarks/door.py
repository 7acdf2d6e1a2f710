"""What a played builder says to the server, with as little processor time as that can be said.  No Django.

The real builder's client (`builder.client`) takes several times as much, which would be taken from the
servers that are measured on the same machine.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from http.client import HTTPConnection
from typing import Any

from benchmarks.sample_wheel import LOG
from builder import contract
from builds.tests.wheels import wheel_name

# What the server answers to a claim, of which only a builder's own code makes a BuildOrder.
Order = dict[str, Any]  # Any: JSON


class NotOurs(Exception):
    """The build is not ours to have, or over."""


class Unanswered(Exception):
    """The answer is neither what was asked for nor that the build is not ours."""


def rung(ring: bytes | str) -> tuple[int, int]:
    """Return the build and the attempt that a message in a builder's queue names."""
    (build, attempt), *_ = json.loads(base64.b64decode(json.loads(ring)["body"]))
    return build, attempt


def described(filename: str, wheel: bytes) -> contract.WheelReport:
    """Return what a builder says of a sample wheel."""
    sha256 = hashlib.sha256(wheel).hexdigest()
    return contract.WheelReport(filename=filename, size=len(wheel), sha256=sha256, apt=("libc6 (>= 2.36)",))


def success(wheel: contract.WheelReport, **more: Any) -> contract.BuildReport:  # Any: fields of the report
    """Return the report of a build that left a wheel, with further fields."""
    return contract.BuildReport(
        contract=contract.CONTRACT, succeeded=True, reason="", duration_s=1.0, wheels=(wheel,), **more
    )


class Door:
    """A builder's connection to the server."""

    def __init__(self, port: int, token: str) -> None:
        self._server = HTTPConnection("127.0.0.1", port, timeout=60)
        self._token = token

    def hello(self, facts: contract.BuilderFacts) -> float:
        """Say that the builder is there; return how soon the server wants to hear that again."""
        return float(self._ask("hello", self._token, contract.encode(facts))["heartbeat_s"])

    def claim(self, build: int, attempt: int) -> Order:
        """Ask for the order that a ring announced; raises NotOurs."""
        order: Order = self._ask(f"builds/{build}/{attempt}/claim", self._token)
        return order

    def heartbeat(self, order: Order, offset: int, chunk: bytes) -> int:
        """Bring a piece of the log; return how much of it the server has.  Raises NotOurs."""
        path = f"builds/{order['build']}/heartbeat?log={offset}"
        return int(self._ask(path, order["ticket"], chunk)["log_size"])

    def report(
        self, order: Order, wheel: bytes, *, log_offset: int = 0, wants_next: bool = True
    ) -> dict[str, Any]:  # Any: JSON
        """Report a success with its wheel and the rest of its log; return the verdict.  Raises NotOurs."""
        log = LOG[log_offset:]
        told = described(wheel_name(order["package"], order["version"]), wheel)
        report = contract.encode(success(told, log_offset=log_offset, log_length=len(log), attached=True))
        headers = {"Report-Length": str(len(report)), **({"Next-For": self._token} if wants_next else {})}
        path = f"builds/{order['build']}/report"
        verdict: dict[str, Any] = self._ask(path, order["ticket"], report + log + wheel, headers)
        return verdict

    def close(self) -> None:
        """Close the connection; what is asked next opens another."""
        self._server.close()

    def _ask(
        self, path: str, secret: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Any:  # Any: JSON
        """Ask the builders' door, and return what it answers."""
        head = {"Authorization": f"Bearer {secret}", **(headers or {})}
        self._server.request("POST", contract.API + path, body, head)
        answer = self._server.getresponse()
        content = answer.read()
        if answer.status == 409:
            raise NotOurs(content)
        if answer.status != 200:
            raise Unanswered(f"{path}: {answer.status} {content[:300]!r}")
        return json.loads(content)
