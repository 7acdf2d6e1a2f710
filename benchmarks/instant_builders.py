"""Builders that have every wheel before it is ordered, as a process of its own: `throughput` starts it.

They speak to the servers as a builder does, and take as little of the processor from them as they can: a bare
HTTP connection each, and wheels that are made before the clock starts.  What they measured is the last line
that they print, as JSON.
"""

import json
import resource
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from threading import Event, Thread
from typing import Any

from redis import Redis

from benchmarks.door import Door, NotOurs, Order, rung
from benchmarks.sample_wheel import sample_wheel
from builder import contract
from builder.facts import facts

# Pages that somebody reads each second, of packages that were just built.
READS = 20
JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}


@dataclass
class Work:
    """What is to be done, and what was."""

    port: int
    socket: str
    folder: Path
    tokens: dict[str, str]
    wheels: dict[tuple[str, str], bytes]
    finished: list[float] = field(default_factory=list)  # when each build was
    took: list[float] = field(default_factory=list)  # how long each report was answered after it was sent
    last: str = ""  # the package that was built last
    reads: int = 0
    ended: Event = field(default_factory=Event)
    faults: list[str] = field(default_factory=list)


def main() -> int:
    """Make the wheels, say "ready", and build all when a line comes."""
    told = json.loads(sys.stdin.readline())
    wheels = {(package, version): sample_wheel(package, version) for package, version in told["versions"]}
    work = Work(told["port"], told["socket"], Path(told["folder"]), told["tokens"], wheels)
    print("ready", flush=True)
    sys.stdin.readline()
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.time()
    threads = [Thread(target=_guarded, args=(work, work_as, name)) for name in work.tokens]
    threads.append(Thread(target=_guarded, args=(work, read_pages)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    took = sorted(work.took)
    print(
        json.dumps(
            {
                "began": began,
                "finished": sorted(work.finished),
                "took": [took[len(took) // 2], took[len(took) * 99 // 100]] if took else [],
                "reads": work.reads,
                "cpu_s": cpu_s,
                "faults": work.faults,
            }
        ),
        flush=True,
    )
    return 1 if work.faults else 0


def _guarded(work: Work, deed: Any, *rest: str) -> None:  # Any: one of the two below
    """Do something in a thread; a fault of one ends all."""
    try:
        deed(work, *rest)
    except Exception as fault:
        work.faults.append(repr(fault))
        work.ended.set()


def work_as(work: Work, name: str) -> None:
    """Be a builder until all is built."""
    door = Door(work.port, work.tokens[name])
    order: Order | None = None
    with Redis(unix_socket_path=work.socket) as rings:
        door.hello(facts(work.folder))
        while not work.ended.is_set():
            if order is None and (ring := rings.brpop([contract.queue_for(name)], timeout=1)):
                # A ring that was repeated, as its claim took long, is for a build that we have had by now.
                with suppress(NotOurs):
                    order = door.claim(*rung(ring[1]))
            elif order is not None:
                order = _report(work, door, order)


def _report(work: Work, door: Door, order: Order) -> Order | None:
    """Report a build, with its wheel and its log; return the next order, if one came."""
    began = time.time()
    verdict = door.report(order, work.wheels[(order["package"], order["version"])])
    if verdict["state"] != "succeeded":
        raise RuntimeError(f"Build {order['build']} is {verdict['state']}: {verdict['reason']}")
    now = time.time()
    work.took.append(now - began)
    work.finished.append(now)
    work.last = order["package"]
    if len(work.finished) >= len(work.wheels):
        work.ended.set()
    following: Order | None = verdict["next"]
    return following


def read_pages(work: Work) -> None:
    """Read pages of the index, of what was built a moment ago, and find each wheel there."""
    server = HTTPConnection("127.0.0.1", work.port, timeout=60)
    while not work.ended.wait(1 / READS):
        if work.last:
            package = work.last
            server.request("GET", f"/simple/{package}/", headers=JSON)
            answer = server.getresponse()
            content = answer.read()
            if answer.status != 200 or len(json.loads(content)["files"]) != 1:
                raise RuntimeError(f"The index does not have the wheel of {package}: {content[:300]!r}")
            work.reads += 1


if __name__ == "__main__":
    sys.exit(main())
