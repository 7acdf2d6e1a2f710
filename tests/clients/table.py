"""A plugin of pytest that writes which client did what as a table, docs/clients.md.

`make test-clients` begins it anew; a run of some of the tests brings their cells up to date.
"""

import json
import platform
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from itertools import count

import pytest

from deploy.farm import ROOT
from tests.clients import installers, projects

TABLE = ROOT / "docs" / "clients.md"
NOTES = installers.CLIENTS / "notes.json"
# A test that asks for no platform is on that of the most usual Pi.
USUAL = "armv7l"
SHORT = {"armv6l": "6", USUAL: "7", "aarch64": "8", "host": "h"}
_HEAD = """# The index and its clients

Made by `make test-clients` from the tests in `tests/clients`, on {date}, on {system}. Real clients, each in a
fresh environment of the Python that its release of Raspberry Pi OS has or had, install from the production
stack (nginx before gunicorn, on PostgreSQL), with a fake PyPI as upstream. Every wheel and sdist tells, once
installed, which file it was, so that it is known what was chosen.

A cell says on which platforms it held: **6** is `linux-armv6l` (Pi 1 and Zero), **7** `linux-armv7l` (Pi 2
and later with 32 bits), **8** `linux-aarch64`, **h** this machine; what does not depend on the platform is
tried on one alone. The platform is what the interpreter says of itself (`_PYTHON_HOST_PLATFORM`), by which
all of them go; so no manylinux for armv7l is among what they take. *No* is a client that has no such thing;
*other* one that does otherwise, of which the test finds that it really is so. The small number is the reason.
An empty cell has not been asked yet.

E01 to E09 are lines of the index's checklist. pip locks nothing itself: its locks are written by
`uv pip compile --generate-hashes`. *uv pip* reads requirements as pip does, *uv* is a project with uv.lock.
poetry has us as a supplemental source beside PyPI, pipenv is told of each package of ours that it is from us.

| client | version | Python |
| --- | --- | --- |
{clients}

"""


@dataclass(frozen=True)
class Note:
    """How one test went."""

    row: str
    client: str
    platform: str
    outcome: str  # held, no, other or failed
    reason: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is about."""
        return self.row, self.client, self.platform


class Matrix:
    """Notes how each test went with each client, beside what was noted before."""

    def __init__(self) -> None:
        self.notes = {note.key: note for note in _kept()}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that ran, or that could not; at once, as the whole takes long."""
        told = {name: str(value) for name, value in report.user_properties}
        if "client" not in told or (report.when != "call" and report.passed):
            return
        outcome, reason = "held" if report.passed else "failed", ""
        if hasattr(report, "wasxfail"):
            outcome, reason = "other" if report.skipped else "failed", report.wasxfail
        elif report.skipped:
            outcome, reason = "no", str(report.longrepr[2])  # type: ignore[index]
        reason = reason.removeprefix("reason: ").removeprefix("Skipped: ")
        note = Note(told["row"], told["client"], told["platform"], outcome, reason)
        self.notes[note.key] = note
        NOTES.write_text(json.dumps([astuple(note) for note in self.notes.values()], indent=1))

    def pytest_sessionfinish(self) -> None:
        """Write the table."""
        noted = {note.client for note in self.notes.values()}
        clients = [client for client in projects.ALL if client.name in noted]
        rows = [f"| {client.name} | {installers.fetched(client)} | {client.minor} |" for client in clients]
        head = _HEAD.format(date=f"{datetime.now(UTC):%Y-%m-%d}", system=_system(), clients="\n".join(rows))
        lines = _lines([client.name for client in clients], [*self.notes.values()])
        TABLE.write_text(head + "\n".join(lines) + "\n")


def _kept() -> list[Note]:
    """Return what runs before have noted."""
    return [Note(*fields) for fields in json.loads(NOTES.read_text())] if NOTES.exists() else []


def _lines(clients: list[str], notes: list[Note]) -> Iterable[str]:
    """Return the lines of the matrix and of the reasons."""
    numbers: dict[str, int] = defaultdict(count(1).__next__)
    cells: dict[str, dict[str, list[Note]]] = defaultdict(lambda: defaultdict(list))
    for note in notes:
        cells[note.row][note.client].append(note)
    yield f"| what is true | {' | '.join(clients)} |"
    yield f"| --- | {' | '.join('---' for _ in clients)} |"
    for row in sorted(cells, key=lambda row: (not row.startswith("E"), row)):
        yield f"| {row} | {' | '.join(_said(cells[row][client], numbers) for client in clients)} |"
    yield ""
    for reason, number in numbers.items():
        yield f"{number}. {reason}"


def _system() -> str:
    """Return what this machine and its system call themselves."""
    return f"{platform.machine()} with {platform.freedesktop_os_release()['PRETTY_NAME']}"


def _said(cell: list[Note], numbers: dict[str, int]) -> str:
    """Return what a cell says, with reasons by their numbers."""
    parts = []
    for outcome, said in (("held", "{}"), ("no", "no"), ("other", "other"), ("failed", "**failed** {}")):
        found = [note for note in cell if note.outcome == outcome]
        on = "".join(short for name, short in SHORT.items() if any(note.platform == name for note in found))
        reasons = dict.fromkeys(note.reason for note in found if note.reason)
        notes = "".join(f"<sup>{numbers[reason]}</sup>" for reason in reasons)
        parts += [said.format(on) + notes] if found else []
    return " ".join(parts)


def row_of(item: pytest.Item) -> str:
    """Return what a test says is true, with the checklist's lines before it."""
    found = re.fullmatch(r"test_((?:E[0-9]{2}_)*)(\w+)", item.originalname)
    assert found
    lines, what = found[1].strip("_").replace("_", " "), found[2].replace("_", " ")
    others = [
        str(value) for name, value in item.callspec.params.items() if name not in ("client", "platform")
    ]
    return f"{lines} {what}{''.join(f' `{other}`' for other in others)}".strip()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Have the report say what is in the table."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    if "client" in params:
        platform = next(
            (part for part in SHORT if item.name.endswith(f"-{part}]") or f"_{part}_" in item.name), USUAL
        )
        told = {"row": row_of(item), "client": params["client"].name, "platform": platform}
        item.user_properties.extend(told.items())


def pytest_configure(config: pytest.Config) -> None:
    """Begin to take notes."""
    config.pluginmanager.register(Matrix())
