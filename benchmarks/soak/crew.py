"""The builders of a soak, in some processes of their own, and what they told."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import IO, Any, NamedTuple


class End(NamedTuple):
    """How a build ended for its builder, and what it left."""

    build: int
    state: str
    package: str
    filename: str
    sha256: str


@dataclass
class Record:
    """What builders told, each thing as it came."""

    ordered: list[int] = field(default_factory=list)  # the build of each order that somebody got
    ended: list[End] = field(default_factory=list)
    # At what time a builder had its next order, and how long after the end of its last build.
    waits: list[tuple[float, float]] = field(default_factory=list)
    reports: list[float] = field(default_factory=list)  # how long each was answered after it was sent
    ended_at: list[float] = field(default_factory=list)
    again: list[str] = field(default_factory=list)  # requests that had to be repeated
    faults: list[str] = field(default_factory=list)
    over: int = 0  # processes that came to their end
    cpu_s: float = 0.0

    def note(self, told: dict[str, Any]) -> None:  # Any: JSON
        """Note what a builder told."""
        match told["kind"]:
            case "order":
                self.ordered.append(told["build"])
                if told["wait_s"] is not None:
                    self.waits.append((told["at"], told["wait_s"]))
            case "end":
                self.ended.append(End(*(told[name] for name in End._fields)))
                self.ended_at.append(told["at"])
                self.reports.append(told["took_s"])
            case "over":
                self.over += 1
                self.cpu_s += told["cpu_s"]
            case "again":
                self.again.append(told["text"])
            case _:
                self.faults.append(told["text"])


class Crew:
    """Processes of builders."""

    def __init__(self, processes: "list[subprocess.Popen[str]]", record: Record) -> None:
        self._processes = processes
        self._readers = [Thread(target=_read, args=(each.stdout, record)) for each in processes]
        for reader in self._readers:
            reader.start()

    def is_at_work(self) -> bool:
        """Whether some of them have not come to their end."""
        return any(reader.is_alive() for reader in self._readers)

    def end(self) -> None:
        """End those that still run."""
        for process in self._processes:
            process.terminate()
            process.wait()
        for reader in self._readers:
            reader.join()


def _read(lines: IO[str], record: Record) -> None:
    """Note all that a process tells."""
    with lines:
        for line in lines:
            record.note(json.loads(line))


@dataclass(frozen=True)
class Job:
    """What all builders are told."""

    port: int
    socket: Path
    folder: Path
    seconds: float
    hold_s: float

    def of(self, tokens: dict[str, str]) -> str:
        """Return what a process is told, as a line."""
        whole = {**vars(self), "socket": str(self.socket), "folder": str(self.folder), "tokens": tokens}
        return json.dumps(whole) + "\n"


@contextmanager
def at_work(job: Job, tokens: dict[str, str], record: Record, processes: int) -> Iterator[Crew]:
    """Have builders work, in so many processes."""
    names = list(tokens)
    started = []
    for number in range(processes):
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.slow_builders"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdin
        with process.stdin as told:
            told.write(job.of({name: tokens[name] for name in names[number::processes]}))
    crew = Crew(started, record)
    try:
        yield crew
    finally:
        crew.end()
