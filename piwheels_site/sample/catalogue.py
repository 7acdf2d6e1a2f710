"""Which packages the sample has, and which versions of each."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

TABLE = Path(__file__).with_name("catalogue.toml")

_FIRST = ("amber", "brisk", "calm", "dusty", "eager", "faint", "grand", "hollow", "icy", "jolly", "keen")
_SECOND = ("sensor", "relay", "display", "stepper", "camera", "modem", "garden", "battery", "kettle")
_PURPOSES = ("A driver for the {} HAT", "Reads a {} over I2C", "Logs a {} to MQTT", "Talks to a {} board")
_KINDS = ("pure", "source", "source", "native", "gaps", "abi3")
# Most projects have a few versions and some have dozens.
_FEWEST, _MOST = 3, 40


@dataclass(frozen=True)
class Entry:
    """A package of the sample."""

    name: str  # as its people spell it
    kind: str  # "pure", "source", "gaps", "native" or "abi3", as the table explains
    seconds: float
    newest: str
    apt: tuple[str, ...]
    needs: tuple[str, ...]
    summary: str
    fails: str = ""  # the name of the log that every version of it fails with
    status: str = "active"
    status_reason: str = ""

    @property
    def is_pure(self) -> bool:
        """Whether its wheels run everywhere."""
        return self.kind in ("pure", "source")

    @property
    def is_portable(self) -> bool:
        """Whether a wheel for one release has machine code that runs on the next ones, too."""
        return self.kind == "abi3" and not self.apt


@cache
def _table() -> dict[str, Any]:  # Any: TOML
    return tomllib.loads(TABLE.read_text())


def entries(count: int, seed: int) -> list[Entry]:
    """Return so many packages, the most wanted first; those beyond the table are invented."""
    table = _table()
    known = [_entry(row, table) for row in table["packages"][:count]]
    return known + [_invented(number, seed) for number in range(len(known), count)]


def skipped() -> dict[str, tuple[str, str]]:
    """Return for which target an operator skips which package ("" is all), and why."""
    return {name: (target, reason) for name, (target, reason) in _table()["skipped"].items()}


def _entry(row: list[Any], table: dict[str, Any]) -> Entry:
    name, kind, seconds, newest, apt, needs, summary = row
    status, reason = table["status"].get(name, ("active", ""))
    return Entry(
        name,
        kind,
        seconds,
        newest,
        tuple(apt.split()),
        tuple(needs.split()),
        summary,
        fails=table["failing"].get(name, ""),
        status=status,
        status_reason=reason,
    )


def _invented(number: int, seed: int) -> Entry:
    """Return a package that nobody has ever heard of; all of them differ."""
    chance = Random(f"{seed}/invented/{number}")
    thing = chance.choice(_SECOND)
    return Entry(
        name=f"{chance.choice(_FIRST)}-{thing}-{number}",
        kind=chance.choice(_KINDS),
        seconds=chance.lognormvariate(3, 1),
        newest=f"{chance.randrange(4)}.{chance.randrange(12)}.{chance.randrange(9)}",
        apt=(),
        needs=(),
        summary=f"{chance.choice(_PURPOSES).format(thing)}.",
    )


def versions(entry: Entry, chance: Random) -> list[str]:
    """Return the versions of a package, the newest first; now and then that is a pre-release."""
    count = min(_FEWEST + int(chance.expovariate(1 / 4)), _MOST)
    parts = [int(part) for part in entry.newest.split(".")]
    found = [entry.newest]
    while len(found) < count and _step_back(parts, chance):
        found.append(".".join(map(str, parts)))
    if chance.random() < 0.2:
        major, minor, *_ = [*map(int, entry.newest.split(".")), 0]
        found.insert(0, f"{major}.{minor + 1}.0rc{chance.randint(1, 2)}")
    return found


def _step_back(parts: list[int], chance: Random) -> bool:
    """Make the numbers those of an earlier version; False if there can be none."""
    last = max((place for place, part in enumerate(parts) if part > 0), default=-1)
    if last < 0 or (last == 0 and parts[0] == 1):
        return False
    parts[last] -= 1
    for place in range(last + 1, len(parts)):
        parts[place] = chance.randint(0, 3)
    return any(parts)
