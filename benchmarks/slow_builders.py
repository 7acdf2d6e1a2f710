"""Builders that take their time, as a process of its own: `soak` starts some of these.

Each takes an order by its ring in Redis and a claim, or with the answer to a report, as a builder does; keeps
it for a time that is drawn, while it says hello and brings the log as a builder does; and reports a small
wheel.  Each order and each end is a line of JSON on the standard output, and so is what went wrong.
"""

import hashlib
import json
import random
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from http.client import HTTPException
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TypeVar

from redis import Redis

from benchmarks.door import Door, NotOurs, Order, Unanswered, rung
from benchmarks.sample_wheel import LOG, sample_wheel
from builder import contract
from builder.facts import facts
from builds.tests.wheels import wheel_name

Answer = TypeVar("Answer")

# The longest that a build takes, in the times that they take on average.
LONGEST = 5.0
# How much of its log a build has printed from one heartbeat to the next, in bytes.
PIECE = 300
# As the real client's, where it has patience.
PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0)


@dataclass
class Crew:
    """What the builders of a process have in common."""

    port: int
    socket: str
    hold_s: float  # how long a build takes on average
    facts: contract.BuilderFacts
    over: Event = field(default_factory=Event)  # from now on nobody begins a build
    printing: Lock = field(default_factory=Lock)

    def tell(self, kind: str, **what: object) -> None:
        """Print what happened."""
        with self.printing:
            print(json.dumps({"kind": kind, "at": time.time(), **what}), flush=True)


class SlowBuilder(Thread):
    """One builder."""

    def __init__(self, crew: Crew, name: str, token: str) -> None:
        super().__init__(name=name)
        self._crew = crew
        self._door = Door(crew.port, token)
        self._chance = random.Random(name)
        self._hello_at = 0.0
        self._free_at: float | None = None  # when its last build ended

    def run(self) -> None:
        """Build until all is over; the first of many does not begin together with the last."""
        try:
            self._crew.over.wait(self._chance.uniform(0, self._crew.hold_s))
            with Redis(unix_socket_path=self._crew.socket) as rings:
                while not self._crew.over.is_set():
                    self._greet(0)
                    if ring := rings.brpop([contract.queue_for(self.name)], timeout=1):
                        self._build_all(*rung(ring[1]))
        except Exception as fault:
            self._crew.tell("fault", text=f"{self.name} has ended: {fault!r}")

    def _build_all(self, build: int, attempt: int) -> None:
        """Claim a build, and build it and all that come with the answers."""
        try:
            following: Order | None = self._patiently(lambda: self._door.claim(build, attempt))
        except NotOurs:
            # A ring that was repeated is for a build that we have had by now.
            return
        while order := following:
            wait_s = None if self._free_at is None else time.monotonic() - self._free_at
            self._crew.tell("order", build=order["build"], attempt=order["attempt"], wait_s=wait_s)
            try:
                following = self._report(order, self._hold(order))
            except NotOurs as refusal:
                self._crew.tell("fault", text=f"build {order['build']} was taken away: {refusal}")
                return

    def _hold(self, order: Order) -> int:
        """Be at a build for as long as it takes; return how much of its log the server has then."""
        hold_s = min(self._chance.expovariate(1 / self._crew.hold_s), LONGEST * self._crew.hold_s)
        now = time.monotonic()
        end, beat_at, offset = now + hold_s, now + order["heartbeat_s"], 0
        while now < end:
            time.sleep(max(min(end, beat_at, self._hello_at) - now, 0))
            self._greet(order["build"])
            if time.monotonic() >= beat_at and beat_at < end:
                chunk = LOG[offset : offset + PIECE]
                offset = self._patiently(partial(self._door.heartbeat, order, offset, chunk))
                beat_at = time.monotonic() + order["heartbeat_s"]
            now = time.monotonic()
        return offset

    def _report(self, order: Order, log_offset: int) -> Order | None:
        """Report a build, and return the next order if it came with the answer."""
        wheel = sample_wheel(order["package"], order["version"])
        wants_next = not self._crew.over.is_set()
        self._free_at = time.monotonic()
        verdict = self._patiently(
            lambda: self._door.report(order, wheel, log_offset=log_offset, wants_next=wants_next)
        )
        self._crew.tell(
            "end",
            build=order["build"],
            state=verdict["state"],
            package=order["package"],
            filename=wheel_name(order["package"], order["version"]),
            sha256=hashlib.sha256(wheel).hexdigest(),
            took_s=time.monotonic() - self._free_at,
        )
        following: Order | None = verdict["next"]
        return following

    def _greet(self, build: int) -> None:
        """Say hello, if it is time to."""
        if time.monotonic() >= self._hello_at:
            told = replace(self._crew.facts, clock=time.time(), build=build)
            pause_s = self._patiently(lambda: self._door.hello(told))
            self._hello_at = time.monotonic() + pause_s

    def _patiently(self, ask: Callable[[], Answer]) -> Answer:
        """Ask again what was not answered, after growing pauses, and tell of each time."""
        for pause_s in PAUSES_S:
            try:
                return ask()
            except (OSError, HTTPException, Unanswered) as fault:
                self._crew.tell("again", text=f"{self.name}: {fault!r}")
                self._door.close()
            time.sleep(pause_s)
        return ask()


def main() -> int:
    """Read what to do from the standard input, and do it for as long as it says."""
    told = json.loads(sys.stdin.readline())
    crew = Crew(told["port"], told["socket"], told["hold_s"], facts(Path(told["folder"])))
    builders = [SlowBuilder(crew, name, token) for name, token in told["tokens"].items()]
    for builder in builders:
        builder.start()
    crew.over.wait(told["seconds"])
    crew.over.set()
    for builder in builders:
        builder.join()
    used = resource.getrusage(resource.RUSAGE_SELF)
    crew.tell("over", cpu_s=used.ru_utime + used.ru_stime)
    return 0


if __name__ == "__main__":
    sys.exit(main())
