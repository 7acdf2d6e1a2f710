"""When somebody should look: the rules of the original's monitor, as sentences."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from monitor.farm import Builder, Farm, Machine
from monitor.text import duration

# Without an answer for so long, the server is not well.
UNANSWERED_S = 30.0
# Builders say hello every 10 s; after 180 s of silence one is given nothing (`Builder.SILENCE`).
SILENT_S = 180.0
# Of disk and memory a tenth is to be free, of swap a half.
FULL, SWAPPED = 0.9, 0.5
LOADED = 4.0
HOT_C, SERVER_HOT_C = 78.0, 70.0
# A clock may be off by this.
CLOCK_S = 60.0


class Level(IntEnum):
    """How bad it is."""

    WELL = 0
    ALERT = 1
    DEAD = 2


@dataclass(frozen=True)
class Alert:
    """One thing that somebody should look at."""

    level: Level
    word: str  # for a list, as "HOT"
    said: str


def of_builder(builder: Builder) -> list[Alert]:
    """Return what is the matter with a builder, the worst first."""
    found = [*_of_silence(builder), *_of_state(builder), *_of_machine(builder.machine, HOT_C)]
    ahead_s = builder.clock_ahead_s
    if ahead_s is not None and abs(ahead_s) > CLOCK_S:
        way = "ahead" if ahead_s > 0 else "behind"
        found.append(Alert(Level.ALERT, "CLOCK", f"Its clock is {duration(abs(ahead_s))} {way}."))
    return sorted(found, key=lambda alert: -alert.level)


def _of_silence(builder: Builder) -> Iterator[Alert]:
    """Say that nothing is heard of a builder, unless it was stopped."""
    if builder.heard_s is None or builder.state == "stopped" or builder.heard_s < SILENT_S / 2:
        return
    level = Level.DEAD if builder.heard_s >= SILENT_S else Level.ALERT
    yield Alert(level, "SILENT", f"Nothing was heard of it for {duration(builder.heard_s)}.")


def _of_state(builder: Builder) -> Iterator[Alert]:
    """Say that a builder is fit for nothing, or was taken out by the farm itself."""
    if builder.state in ("unwell", "quarantined"):
        yield Alert(Level.DEAD, builder.state.upper(), f"It is {builder.said}. {builder.reason}".strip())


def _of_machine(machine: Machine, hot_c: float) -> Iterator[Alert]:
    """Say what a machine has too much or too little of."""
    for used, most, word, of in (
        (machine.disk_used, FULL, "DISK", "disk"),
        (machine.memory_used, FULL, "MEMORY", "memory"),
        (machine.swap_used, SWAPPED, "SWAP", "swap"),
    ):
        if used is not None and used > most:
            yield Alert(Level.ALERT, word, f"Of its {of}, {1 - used:.0%} are free.")
    if machine.load is not None and machine.load > max(LOADED, machine.processors):
        yield Alert(Level.ALERT, "LOAD", f"Its load is {machine.load:.1f}.")
    if machine.temperature_c is not None and machine.temperature_c > hot_c:
        yield Alert(Level.ALERT, "HOT", f"It has {machine.temperature_c:.0f} °C.")


def of_farm(farm: Farm, downloads: int | None) -> list[Alert]:
    """Return what is the matter with the farm as a whole, the worst first.

    The downloads are those of the last hour, and None as long as nobody has watched that long.
    """
    found = []
    if not farm.ended and any(queue.ready for queue in farm.queues):
        # Whether or not any builder is at work: then, too, what waits is not built.
        found.append(Alert(Level.ALERT, "NO BUILDS", "No build has ended for an hour, and some wait."))
    if downloads == 0:
        found.append(Alert(Level.ALERT, "NO DOWNLOADS", "Nobody has downloaded anything for an hour."))
    if farm.refused:
        found.append(Alert(Level.ALERT, "TOKEN", farm.refused))
    if operators := farm.operators:
        found += _of_machine(operators.machine, SERVER_HOT_C)
        if operators.sync_warning:
            found.append(Alert(Level.ALERT, "SYNC", operators.sync_warning))
        for said, is_urgent in operators.matters:
            found.append(Alert(Level.DEAD if is_urgent else Level.ALERT, "DECIDE", said))
    return sorted(found, key=lambda alert: -alert.level)


def of_silence(unanswered_s: float) -> list[Alert]:
    """Return that the server does not answer, once that lasts."""
    if unanswered_s < UNANSWERED_S:
        return []
    return [Alert(Level.DEAD, "NO ANSWER", f"The farm has not answered for {duration(unanswered_s)}.")]


def worst(alerts: list[Alert]) -> Level:
    """Return how bad the worst of them is."""
    return max((alert.level for alert in alerts), default=Level.WELL)
