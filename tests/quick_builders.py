"""A builder that needs no time for a build, and otherwise speaks to the server as real ones do.

`python -m tests.quick_builders` runs one; the environment has the settings of a real one, and QUICK_PAUSE_S:
how long it waits before each report.  It prints a line for what it published, and for each fault.
"""

import base64
import hashlib
import json
import os
import random
import sys
import time
from contextlib import suppress
from io import BytesIO
from typing import NoReturn

from redis import Redis, RedisError

from builder import contract, settings
from builder.client import Client, DeadTicket, LostClaim, Refused, Unreachable
from builder.facts import facts
from builder.settings import Settings
from builds.tests.wheels import make_wheel, wheel_of
from tests.sdists import stem

TAG = "py3-none-any"
# Whoever builds this package dies of it.
KILLER = "kills-its-builder"
# Not so small that half of a file would be a rare sight.
PAYLOAD = 20_000
# Where a builder keeps what it was trusted with, for whoever looks whether anybody else knows.
TICKETS = "tickets"
# What is more than a kernel keeps for a client that reads slowly, and too large to come with a report.
LARGE, LARGE_PAYLOAD = "is-large", 30 << 20


class QuickBuilder:
    """One builder; it goes on through all that befalls its server, with the client that real ones have."""

    def __init__(self, settings: Settings, pause_s: float) -> None:
        self.settings, self.pause_s = settings, pause_s

    def run(self) -> NoReturn:
        """Build for ever."""
        with Client(self.settings, patience_s=60, first_pause_s=0.1) as server:
            said_at = 0.0
            while True:
                if time.monotonic() - said_at > 20:
                    with suppress(Unreachable):
                        server.hello(facts(self.settings.work))
                        said_at = time.monotonic()
                if ring := self.ring():
                    (build, attempt), *_ = json.loads(base64.b64decode(json.loads(ring[1])["body"]))
                    self.build_all(server, build, attempt)

    def ring(self) -> tuple[bytes, bytes] | None:
        """Wait for a ring; as long as Redis is away there is none."""
        try:
            # Kombu's way to name a socket is not redis-py's.
            with Redis.from_url(self.settings.orders_url.replace("redis+socket:", "unix:")) as rings:
                rung: tuple[bytes, bytes] | None = rings.brpop(
                    [contract.queue_for(self.settings.builder)], timeout=1
                )
                return rung
        except RedisError:
            time.sleep(0.1)
            return None

    def build_all(self, server: Client, build: int, attempt: int) -> None:
        """Claim a build, and report it and those that come with the answers."""
        try:
            order: contract.BuildOrder | None = server.claim(build, attempt)
            while order:
                order = self.build(server, order)
        except (LostClaim, DeadTicket, Unreachable):
            # Somebody has it, or has it by now: it was reported, and the answer got lost on its way.
            pass
        except Refused as refused:
            print(f"fault {refused}", flush=True)

    def build(self, server: Client, order: contract.BuildOrder) -> contract.BuildOrder | None:
        """Report the wheel of an order; return the next order."""
        if order.package == KILLER:
            sys.exit("killed by a package")
        with (self.settings.work / TICKETS).open("a") as tickets:
            print(order.ticket, file=tickets)
        wheel = wheel_for(order)
        told = contract.WheelReport(
            filename="-".join(filter(None, [stem(order.package, order.version), order.build_tag, TAG]))
            + ".whl",
            size=len(wheel),
            sha256=hashlib.sha256(wheel).hexdigest(),
            apt=(),
        )
        report = contract.BuildReport(
            contract=contract.CONTRACT,
            succeeded=True,
            reason="",
            duration_s=0.1,
            wheels=(told,),
            attached=order.package != LARGE,
        )
        time.sleep(self.pause_s)
        if not report.attached:
            server.upload(order, told.filename, BytesIO(wheel), size=told.size, sha256=told.sha256)
        behind = wheel if report.attached else b""
        verdict = server.report(order, report, behind, wants_next=True)
        if verdict.state == "succeeded":
            print(f"published {told.filename}", flush=True)
        else:
            print(f"fault {told.filename} is {verdict.state}: {verdict.reason}", flush=True)
        return verdict.next


def wheel_for(order: contract.BuildOrder) -> bytes:
    """Return a wheel that no other order has; the same order has the same one."""
    build_line = f"Build: {order.build_tag}\n".encode() if order.build_tag else b""
    module = stem(order.package, order.version).partition("-")[0]
    size = LARGE_PAYLOAD if order.package == LARGE else PAYLOAD
    content = random.Random(order.build).randbytes(size)
    return make_wheel(
        order.package,
        order.version,
        TAG,
        files={f"{module}/content": content},
        wheel=wheel_of(TAG) + build_line,
    )


if __name__ == "__main__":
    QuickBuilder(settings.current(), float(os.environ["QUICK_PAUSE_S"])).run()
