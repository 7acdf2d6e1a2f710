"""Builders that need no time for a build, and otherwise speak to the server as real ones do."""

import base64
import hashlib
import json
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from redis import Redis

from builder import contract
from builder.client import Client, DeadTicket, LostClaim, Refused, Unreachable
from builder.facts import facts
from builder.settings import Settings
from builds.tests.wheels import make_wheel, wheel_of
from tests.sdists import stem

TAG = "py3-none-any"
# Not so small that half of a file would be a rare sight.
PAYLOAD = 20_000


class QuickBuilder(threading.Thread):
    """One builder; it goes on through all that befalls its server, with the client that real ones have."""

    def __init__(self, settings: Settings, socket: Path, *, pace: Callable[[], None] = lambda: None) -> None:
        """Take orders from a Redis, and wait for `pace` before each report."""
        super().__init__(daemon=True)
        self.settings, self.socket, self.pace = settings, socket, pace
        self.published = 0
        self.faults: list[str] = []
        self._ended = threading.Event()

    def __enter__(self) -> "QuickBuilder":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join(60)

    def run(self) -> None:
        """Build until it is told to end."""
        with (
            Redis(unix_socket_path=str(self.socket)) as rings,
            Client(self.settings, patience_s=60, first_pause_s=0.1) as server,
        ):
            said_at = 0.0
            while not self._ended.is_set():
                if time.monotonic() - said_at > 20:
                    with suppress(Unreachable):
                        server.hello(facts(self.settings.work))
                        said_at = time.monotonic()
                if ring := rings.brpop([contract.queue_for(self.settings.builder)], timeout=1):
                    (build, attempt), *_ = json.loads(base64.b64decode(json.loads(ring[1])["body"]))
                    self.build_all(server, build, attempt)

    def build_all(self, server: Client, build: int, attempt: int) -> None:
        """Claim a build, and report it and those that come with the answers."""
        try:
            order: contract.BuildOrder | None = server.claim(build, attempt)
            while order and not self._ended.is_set():
                order = self.build(server, order)
        except (LostClaim, DeadTicket, Unreachable):
            # Somebody has it, or has it by now: it was reported, and the answer got lost on its way.
            pass
        except Refused as refused:
            self.faults.append(str(refused))

    def build(self, server: Client, order: contract.BuildOrder) -> contract.BuildOrder | None:
        """Report the wheel of an order; return the next order."""
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
            attached=True,
        )
        self.pace()
        verdict = server.report(order, report, wheel, wants_next=True)
        if verdict.state == "succeeded":
            self.published += 1
        else:
            self.faults.append(f"{told.filename} is {verdict.state}: {verdict.reason}")
        return verdict.next


def wheel_for(order: contract.BuildOrder) -> bytes:
    """Return a wheel that no other order has; the same order has the same one."""
    build_line = f"Build: {order.build_tag}\n".encode() if order.build_tag else b""
    module = stem(order.package, order.version).partition("-")[0]
    content = random.Random(order.build).randbytes(PAYLOAD)
    return make_wheel(
        order.package,
        order.version,
        TAG,
        files={f"{module}/content": content},
        wheel=wheel_of(TAG) + build_line,
    )
