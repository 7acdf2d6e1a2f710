"""A plugin of pytest that writes the index's checklist as a table: what was tested on which server, and held.

`make checklist` runs the tests of the index with it and writes docs/index-checklist.md.
"""

import re
from collections import defaultdict
from pathlib import Path

import pytest

from deploy.farm import ROOT

TABLE = ROOT / "docs" / "index-checklist.md"
NUMBERED = re.compile(r"test_((?:[SNJHFCXE][0-9]{2}_)+)(\w+)")
ORDER = "SNJHFCXE"
SERVERS = ("development", "production")
_HEAD = """# The checklist of the index

Made by `make checklist` from the tests in `simple/tests`, each of which has its lines' numbers in its name: S
are addresses, N negotiation, J the JSON, H the HTML, F files, C caching, X web pages, E real clients.
*Development* is Django alone, with pages from rows and from the published tree; *production* is nginx before
gunicorn on PostgreSQL. A number says in how many cases it held; - was not asked there, as the test looks into
the process.

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
        for line in found[1].strip("_").split("_"):
            self.rows[line, found[2].replace("_", " ")][server].append(report.passed)

    def pytest_sessionfinish(self) -> None:
        """Write the table."""
        rows = sorted(self.rows.items(), key=lambda row: (ORDER.index(row[0][0][0]), row[0]))
        lines = [
            f"| {line} | {what} | {' | '.join(_said(held[server]) for server in SERVERS)} |"
            for (line, what), held in rows
        ]
        Path(TABLE).write_text(_HEAD + "\n".join(lines) + "\n")


def _said(held: list[bool]) -> str:
    """Return what a cell says."""
    if not held:
        return "-"
    return str(len(held)) if all(held) else f"**{held.count(False)} of {len(held)} failed**"


def pytest_configure(config: pytest.Config) -> None:
    """Begin to take notes."""
    config.pluginmanager.register(Checklist())
