"""What may be done to builders, in the original's words: to one, or to all that it would change."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from monitor.farm import Builder
from monitor.text import many

# Whoever is in one of these was put there by somebody, or by the farm itself: a deed for all leaves it alone.
_APART = ("quarantined",)


@dataclass(frozen=True)
class Deed:
    """One thing that may be done."""

    name: str  # as the API has it
    key: str
    label: str
    effect: str  # what it does, in a sentence
    changes: Callable[[Builder], bool]  # whether it would do anything to that builder


def _builds(builder: Builder) -> bool:
    return builder.task is not None and builder.task.for_s is not None


def _would_rest(builder: Builder) -> bool:
    return builder.mode == "active"


DEEDS = (
    Deed("skip", "s", "Skip", "The present build ends, and goes to another builder.", _builds),
    Deed(
        "pause", "p", "Pause", "The present build goes on; nothing more is given until resume.", _would_rest
    ),
    Deed(
        "halt",
        "x",
        "Halt",
        "The present build ends, and goes to another builder; nothing more is given until resume.",
        lambda builder: _would_rest(builder) or _builds(builder),
    ),
    Deed("resume", "r", "Resume", "Builds are given again.", lambda builder: not _would_rest(builder)),
    Deed(
        "stop",
        "t",
        "Stop",
        "The builder's program ends after its build. Somebody has to start it on the machine again.",
        lambda builder: builder.mode != "stopped",
    ),
    Deed(
        "kill",
        "K",
        "Kill",
        "The present build ends and goes to another builder, and then the builder's program ends. Somebody"
        " has to start it on the machine again.",
        lambda builder: builder.mode != "stopped" or _builds(builder),
    ),
)


def of_all(deed: Deed, builders: Iterable[Builder]) -> list[Builder]:
    """Return those of all builders to which a deed would do anything and which nobody has taken out."""
    return [each for each in builders if each.mode not in _APART and deed.changes(each)]


def question(deed: Deed, chosen: list[Builder]) -> str:
    """Ask whether it is meant, with how many it is done to, and what they build."""
    names = ", ".join(builder.name for builder in chosen[:8])
    more = f" and {len(chosen) - 8:,} more" if len(chosen) > 8 else ""
    building = sum(_builds(builder) for builder in chosen)
    return f"{deed.label} {many(len(chosen), 'builder')} ({names}{more}), {building:,} of them building?"
