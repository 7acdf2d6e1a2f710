"""A plugin of pytest that writes the index's checklist as a table: what was tested on which server, and held.

`make checklist` runs the tests of the index with it and writes docs/index-checklist.md.  A line that nothing
asks for is in the table too, and fails the run.
"""

import re
from collections import defaultdict
from pathlib import Path

import pytest

from deploy.farm import ROOT

TABLE = ROOT / "docs" / "index-checklist.md"
# What real clients do, on the production stack (`make test-clients`).
CLIENTS = ROOT / "docs" / "clients.md"
# How many lines standards.md 1.5 has of each kind, in the table's order.
KINDS = {"S": 16, "N": 17, "J": 16, "H": 10, "F": 10, "C": 6, "X": 4, "E": 10}
LINES = [f"{kind}{number:02}" for kind, count in KINDS.items() for number in range(1, count + 1)]
NUMBERED = re.compile(r"test_((?:(?:to_)?[SNJHFCXE][0-9]{2}_)+)(\w+)")
SERVERS = ("development", "production")
_HEAD = """# The checklist of the index

Made by `make checklist` from the tests in `simple/tests`, each of which has its lines' numbers in its name: S
are addresses, N negotiation, J the JSON, H the HTML, F files, C caching, X web pages, E real clients.
*Development* is Django alone, with pages from rows and from the published tree; *production* is nginx before
gunicorn on PostgreSQL. A number says in how many cases it held; - was not asked there, as the test looks into
the process or the tree. Where nginx does otherwise and the standards leave it open, the test says so
(`is_nginx`). What a dozen real clients of all ages do has [a table of its own](clients.md).

| line | what is true | development | production |
| --- | --- | --- | --- |
"""


class Checklist:
    """Notes how each numbered test went."""

    def __init__(self) -> None:
        # By line and what is true: by server, how many cases held and how many did not.
        self.rows: dict[tuple[str, str], dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that ran, or that could not."""
        name, _, case = report.nodeid.rpartition("::")[2].partition("[")
        found = NUMBERED.fullmatch(name)
        if not found or report.skipped or (report.when != "call" and report.passed):
            return
        server = "production" if re.split(r"[-\]]", case)[0] == "production" else "development"
        # A case may say which of the test's lines it is of.
        its_own = re.search(r"\b[SNJHFCXE][0-9]{2}(?= )", case)
        for line in [its_own[0]] if its_own else _lines(found[1]):
            self.rows[line, found[2].replace("_", " ")][server].append(report.passed)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the table."""
        cells = {row: [_said(held[server]) for server in SERVERS] for row, held in self.rows.items()}
        cells |= {row: ["-", f"[clients]({CLIENTS.name})"] for row in _of_clients()}
        if missing := set(LINES).difference(line for line, _ in cells):
            cells |= {(line, "**nothing asks for it**"): ["-", "-"] for line in missing}
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            print(f"\nNo test has the number of these lines: {', '.join(sorted(missing))}.")
        rows = sorted(cells.items(), key=lambda row: (LINES.index(row[0][0]), row[0]))
        lines = [f"| {line} | {what} | {' | '.join(said)} |" for (line, what), said in rows]
        Path(TABLE).write_text(_HEAD + "\n".join(lines) + "\n")


def _lines(numbers: str) -> list[str]:
    """Return the lines that a test's name begins with; from `N02_to_N12_` it is of eleven."""
    found = []
    for first, last in re.findall(r"([A-Z][0-9]{2})_(?:to_([A-Z][0-9]{2})_)?", numbers):
        found += LINES[LINES.index(first) : LINES.index(last or first) + 1]
    return found


def _of_clients() -> list[tuple[str, str]]:
    """Return the lines that real clients do and none failed at, by their table, each with what is true."""
    rows = re.findall(r"^\| ((?:E[0-9]{2} )+)([^|]+?) \|(.*)$", CLIENTS.read_text(), re.MULTILINE)
    return [
        (line, what)
        for numbers, what, cells in rows
        if re.search(r"\| [678]", f"|{cells}") and "**failed**" not in cells
        for line in numbers.split()
    ]


def _said(held: list[bool]) -> str:
    """Return what a cell says."""
    if not held:
        return "-"
    return str(len(held)) if all(held) else f"**{held.count(False)} of {len(held)} failed**"


def pytest_configure(config: pytest.Config) -> None:
    """Begin to take notes."""
    config.pluginmanager.register(Checklist())
