"""What is known of a farm at a moment, made of the API's answers."""

from dataclasses import dataclass
from datetime import datetime

from monitor.record import Nonsense, Record

# Of a machine, the figures that are drawn over time.
FIGURES = ("load", "temperature_c", "memory_used", "swap_used", "disk_used")


@dataclass(frozen=True)
class Machine:
    """What a builder, or the server, says of its machine; None where it has no such thing or does not say."""

    load: float | None
    temperature_c: float | None
    memory_used: float | None
    swap_used: float | None
    disk_used: float | None
    processors: int = 4


@dataclass(frozen=True)
class Task:
    """What a builder is at."""

    package: str
    version: str
    for_s: float | None


@dataclass(frozen=True)
class Builder:
    """A builder at the moment."""

    name: str
    target: str
    mode: str
    state: str
    said: str
    is_well: bool
    reason: str
    heard_s: float | None  # for so long nothing was heard of it
    per_hour: int
    task: Task | None
    machine: Machine
    facts: tuple[tuple[str, str], ...]  # what else it says of itself
    up_s: float | None
    clock_ahead_s: float | None


@dataclass(frozen=True)
class Queue:
    """What waits for a target."""

    target: str
    ready: int
    pausing: int
    builders: int
    per_hour: float
    empty_in_s: float | None


@dataclass(frozen=True)
class Disk:
    """A disk of the server's."""

    holds: tuple[str, ...]
    size_bytes: float
    free_bytes: float

    @property
    def used(self) -> float:
        """The part of it that is in use."""
        return 1 - self.free_bytes / self.size_bytes if self.size_bytes else 1.0


@dataclass(frozen=True)
class Operators:
    """What a token shows besides."""

    user: str
    may_act: bool
    machine: Machine
    disks: tuple[Disk, ...]
    sync_lag: int
    sync_polled_s: float | None
    sync_warning: str
    downloads_today: int
    matters: tuple[tuple[str, bool], ...]  # what needs a decision, and whether it is urgent
    reasons: dict[str, str]


@dataclass(frozen=True)
class Farm:
    """All of it."""

    builders: tuple[Builder, ...]
    queues: tuple[Queue, ...]
    ended: int
    built: int
    operators: Operators | None
    refused: str = ""  # why the token that was given opens nothing


def farm(found: Record, queues: Record, operators: Record | None, refused: str = "") -> Farm:
    """Return the farm of these answers; raises Nonsense."""
    seen_at = found.moment("seen_at")
    if seen_at is None:
        raise Nonsense("farm.seen_at is missing")
    more = _operators(operators) if operators else None
    reasons = more.reasons if more else {}
    return Farm(
        builders=tuple(_builder(each, seen_at, reasons) for each in found.records("builders")),
        queues=tuple(_queue(each) for each in queues.records("queues")),
        ended=found.count("ended"),
        built=found.count("built"),
        operators=more,
        refused=refused,
    )


def _builder(found: Record, seen_at: datetime, reasons: dict[str, str]) -> Builder:
    machine, name = found.record("machine"), found.text("name")
    said = ("model", "os_release", "python", "software", "sandbox")
    return Builder(
        name=name,
        target=found.text("target"),
        mode=found.text("mode"),
        state=found.text("state"),
        said=found.text("said"),
        is_well=found.flag("is_well"),
        reason=reasons.get(name) or found.text("reason"),
        heard_s=_since(found.moment("heard_at"), seen_at),
        per_hour=found.count("built_an_hour"),
        task=_task(found.maybe_record("building"), seen_at),
        machine=_machine(machine, machine.maybe("disk_used")),
        facts=tuple((each.replace("_", " "), machine.text(each)) for each in said),
        up_s=machine.maybe("up_s"),
        clock_ahead_s=machine.maybe("clock_ahead_s"),
    )


def _machine(found: Record, disk_used: float | None, processors: int = 4) -> Machine:
    return Machine(
        load=found.maybe("load"),
        temperature_c=found.maybe("temperature_c"),
        memory_used=found.maybe("memory_used"),
        swap_used=found.maybe("swap_used"),
        disk_used=disk_used,
        processors=processors,
    )


def _task(found: Record | None, seen_at: datetime) -> Task | None:
    if found is None:
        return None
    return Task(found.text("package"), found.text("version"), _since(found.moment("since"), seen_at))


def _since(moment: datetime | None, seen_at: datetime) -> float | None:
    """Return how long ago something was, by the clock of the server alone."""
    return None if moment is None else max((seen_at - moment).total_seconds(), 0.0)


def _queue(found: Record) -> Queue:
    return Queue(
        target=found.text("target"),
        ready=found.count("ready"),
        pausing=found.count("pausing"),
        builders=found.count("builders"),
        per_hour=found.number("ended_an_hour"),
        empty_in_s=found.maybe("empty_in_s"),
    )


def _operators(found: Record) -> Operators:
    server, sync = found.record("server"), found.record("sync")
    disks = tuple(_disk(each) for each in server.records("disks"))
    fullest = max((disk.used for disk in disks), default=None)
    return Operators(
        user=found.text("user"),
        may_act=found.flag("may_act"),
        machine=_machine(server, fullest, server.count("processors")),
        disks=disks,
        sync_lag=sync.count("lag"),
        sync_polled_s=sync.maybe("polled_s"),
        sync_warning=sync.text("warning"),
        downloads_today=found.count("downloads_today"),
        matters=tuple((each.text("said"), each.flag("is_urgent")) for each in found.records("matters")),
        reasons=dict(found.record("reasons").pairs()),
    )


def _disk(found: Record) -> Disk:
    size, free = found.number("size_bytes"), found.number("free_bytes")
    if not 0 <= free <= size:
        raise Nonsense("a disk has more free than there is")
    return Disk(tuple(found.texts("holds")), size, free)
