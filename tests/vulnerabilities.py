"""`make audit`: what the locks pin, against the advisories of the index or of OSV.

A source that cannot be asked, or that answers but has no advisories (as mirrors do), is not one that found
nothing.  So an old pin with known holes is asked about first: only who knows those is believed about ours.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"
FOUND, NOT_AUDITED = 1, 3
PIN = re.compile(r"^([a-z0-9][a-z0-9.-]*)==([^ ;]+)", re.MULTILINE)


class NotAudited(Exception):
    """Nothing is known of the pins, neither good nor bad."""


@dataclass(frozen=True, order=True)
class Pin:
    """A version that a lock names, for whatever machine."""

    name: str
    version: str


# CVE-2018-18074 and three more; whoever keeps advisories for Python has them.
KNOWN_BAD = Pin("requests", "2.19.1")


@dataclass(frozen=True)
class Finding:
    """An advisory about a pin; or that the index has the pin no longer, which has no names."""

    pin: Pin
    names: tuple[str, ...]
    advice: str

    def __str__(self) -> str:
        return f"{self.pin.name} {self.pin.version}: {', '.join(self.names) or 'gone'}; {self.advice}"


@dataclass(frozen=True)
class Accepted:
    """A finding that somebody has looked at, why we live with it, and until when."""

    package: str
    id: str
    reason: str
    until: date

    def covers(self, finding: Finding, today: date) -> bool:
        """Say whether this is about that finding, and still holds."""
        return finding.pin.name == self.package and self.id in finding.names and today <= self.until


def pins(folder: Path) -> list[Pin]:
    """Return what all locks pin, without the markers: we answer for other machines than this one, too."""
    found = {Pin(*match) for lock in folder.glob("*.txt") for match in PIN.findall(lock.read_text())}
    if not found:
        raise SystemExit(f"There are no pins in {folder}.")
    return sorted(found)


def layers(asked: Iterable[Pin]) -> Iterator[list[Pin]]:
    """Split pins so that no name comes twice: pip-audit takes one version of each."""
    by_name: dict[str, list[Pin]] = {}
    for pin in asked:
        by_name.setdefault(pin.name, []).append(pin)
    for layer in zip_longest(*by_name.values()):
        yield [pin for pin in layer if pin]


def ask(asked: list[Pin]) -> list[Finding]:
    """Have pip-audit ask about these; its own environment variables say whom."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("".join(f"{pin.name}=={pin.version}\n" for pin in asked))
        file.flush()
        words = ["--no-deps", "--disable-pip", "--format=json", "--desc=off", "--aliases=on"]
        done = subprocess.run(
            [sys.executable, "-m", "pip_audit", *words, "--progress-spinner=off", "-r", file.name],
            capture_output=True,
            text=True,
            check=False,
        )
    try:
        answers = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        said = done.stderr.strip().splitlines() or ["pip-audit said nothing"]
        raise NotAudited(said[-1]) from None
    if len(answers) != len(asked):
        raise NotAudited(f"{len(asked)} pins were asked about, {len(answers)} answered")
    versions = {pin.name: pin for pin in asked}
    return [finding for answer in answers for finding in findings(versions[answer["name"]], answer)]


def findings(pin: Pin, answer: dict[str, Any]) -> Iterator[Finding]:
    """Read what pip-audit says of one pin."""
    if "skip_reason" in answer:
        yield Finding(pin, (), "the index does not know it; pin a version that it has")
    for hole in answer.get("vulns", ()):
        mended = ", ".join(hole["fix_versions"])
        advice = f"mended in {mended}" if mended else "no version mends it"
        yield Finding(pin, (hole["id"], *sorted(hole["aliases"])), advice)


def audit(folder: Path) -> list[Finding]:
    """Return what is known against the pins; NotAudited if the source is not one to believe."""
    if not any(finding.names for finding in ask([KNOWN_BAD])):
        raise NotAudited(f"it has none for {KNOWN_BAD.name} {KNOWN_BAD.version}, so it has none for anybody")
    return [finding for layer in layers(pins(folder)) for finding in ask(layer)]


def accepted(folder: Path) -> list[Accepted]:
    """Read the findings that we live with."""
    return [
        Accepted(**row) for row in tomllib.loads((folder / "accepted.toml").read_text()).get("accepted", ())
    ]


def report(found: list[Finding], known: list[Accepted], today: date) -> list[Finding]:
    """Print each finding with what to do, and return those that nobody has accepted."""
    bad = [finding for finding in found if not any(row.covers(finding, today) for row in known)]
    for finding in found:
        reasons = [row.reason for row in known if row.covers(finding, today)]
        print(f"accepted: {finding} ({reasons[0]})" if reasons else f"VULNERABLE: {finding}")
    for row in known:
        if not any(row.covers(finding, today) for finding in found):
            print(f"accepted.toml: {row.id} of {row.package} is over, or mended; remove it")
    return bad


def main(words: list[str], folder: Path = REQUIREMENTS) -> int:
    """Audit; 0 is clean, 1 is vulnerable, 3 is that nobody knows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--offline-passes", action="store_true", help="end with 0 where nobody can be asked")
    options = parser.parse_args(words)
    try:
        found = audit(folder)
    except NotAudited as problem:
        print("*" * 79, "*** THE DEPENDENCIES WERE NOT AUDITED. This says nothing about them.", sep="\n")
        print(f"*** The source of advisories: {problem}", "*** docs/security.md: another source", sep="\n")
        print("*" * 79, flush=True)
        return 0 if options.offline_passes else NOT_AUDITED
    bad = report(found, accepted(folder), datetime.now(UTC).date())
    print(
        f"{len(pins(folder))} pins audited: {len(bad)} vulnerable, {len(found) - len(bad)} accepted.",
        flush=True,
    )
    if bad:
        print("Upgrade what is vulnerable, or accept it with a reason: see CONTRIBUTING.md.")
    return FOUND if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
