"""Builders that have every wheel before it is ordered, as a process of its own: `throughput` starts it.

They speak to the servers as a builder does, and take as little of the processor from them as they can: a bare
HTTP connection each, and wheels that are made before the clock starts.  What they measured is the last line
that they print, as JSON.
"""

import base64
import hashlib
import json
import resource
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from threading import Event, Thread
from typing import Any

from redis import Redis

from benchmarks.sample_wheel import LOG, sample_wheel
from builder import contract
from builder.facts import facts
from builds.tests.wheels import wheel_name

# Pages that somebody reads each second, of packages that were just built.
READS = 20
JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}


class NotOurs(Exception):
    """The build is not ours to have, or over."""


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
    server = HTTPConnection("127.0.0.1", work.port, timeout=60)
    token = work.tokens[name]
    hello = contract.encode(facts(work.folder))
    order: dict[str, Any] | None = None
    with Redis(unix_socket_path=work.socket) as rings:
        _ask(server, "hello", token, hello)
        while not work.ended.is_set():
            if order is None and (ring := rings.brpop([contract.queue_for(name)], timeout=1)):
                (build, attempt), *_ = json.loads(base64.b64decode(json.loads(ring[1])["body"]))
                # A ring that was repeated, as its claim took long, is for a build that we have had by now.
                with suppress(NotOurs):
                    order = _ask(server, f"builds/{build}/{attempt}/claim", token)
            elif order is not None:
                order = _report(work, server, order, token)


def _report(
    work: Work, server: HTTPConnection, order: dict[str, Any], token: str
) -> dict[str, Any] | None:  # Any: what the server answers
    """Report a build, with its wheel and its log; return the next order, if one came."""
    wheel = work.wheels[(order["package"], order["version"])]
    told = contract.WheelReport(
        filename=wheel_name(order["package"], order["version"]),
        size=len(wheel),
        sha256=hashlib.sha256(wheel).hexdigest(),
        apt=("libc6 (>= 2.36)",),
    )
    report = json.dumps(
        {
            **asdict(_SUCCESS),
            "wheels": [asdict(told)],
            "log_length": len(LOG),
            "attached": True,
        }
    ).encode()
    headers = {"Report-Length": str(len(report)), "Next-For": token}
    began = time.time()
    verdict = _ask(server, f"builds/{order['build']}/report", order["ticket"], report + LOG + wheel, headers)
    if verdict["state"] != "succeeded":
        raise RuntimeError(f"Build {order['build']} is {verdict['state']}: {verdict['reason']}")
    now = time.time()
    work.took.append(now - began)
    work.finished.append(now)
    work.last = order["package"]
    if len(work.finished) >= len(work.wheels):
        work.ended.set()
    following: dict[str, Any] | None = verdict["next"]
    return following


_SUCCESS = contract.BuildReport(
    contract=contract.CONTRACT, succeeded=True, reason="", duration_s=1.0, wheels=()
)


def _ask(
    server: HTTPConnection,
    path: str,
    secret: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> Any:  # Any: JSON
    """Ask the builders' door, and return what it answers."""
    server.request(
        "POST", contract.API + path, body, {"Authorization": f"Bearer {secret}", **(headers or {})}
    )
    answer = server.getresponse()
    content = answer.read()
    if answer.status == 409:
        raise NotOurs(content)
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {content[:300]!r}")
    return json.loads(content)


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
