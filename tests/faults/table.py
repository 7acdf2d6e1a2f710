"""A plugin of pytest that runs the numbered faults alone and writes how they went as a table, docs/faults.md.

`make test-faults` runs it.  A test says by T01 to T60 in its name which faults it is about, and tells by
`record_property` how much it did of what.
"""

import platform
import re
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from deploy.farm import ROOT

TABLE = ROOT / "docs" / "faults.md"
NUMBERED = re.compile(r"test_((?:T[0-9]{2}_)+)(\w+)")
_HEAD = """# Faults, and what holds whatever happens

Made by `make test-faults` on {date}, on {system}, from the tests that have these numbers in their names. The
promises are in [promises.md](promises.md). *Cases* are a test's parameters and seeds; *figures* are what it
did meanwhile, of all of its cases together.

| number | what holds | cases | seconds | figures |
| --- | --- | --- | --- | --- |
"""


@dataclass
class Row:
    """How a test went, in all of its cases."""

    outcomes: list[str] = field(default_factory=list)
    took_s: float = 0.0
    figures: dict[str, float] = field(default_factory=lambda: defaultdict(float))


class Faults:
    """Leaves out what has no number, and notes how the others went."""

    def __init__(self, reporter: pytest.TerminalReporter) -> None:
        self.reporter = reporter
        self.rows: dict[tuple[str, str], Row] = defaultdict(Row)
        self.began = time.monotonic()

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out what has no number."""
        without = [item for item in items if not _numbered(item.name)]
        config.hook.pytest_deselected(items=without)
        items[:] = [item for item in items if _numbered(item.name)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that ran, or that could not."""
        found = _numbered(report.nodeid.rpartition("::")[2])
        if found is None:
            return
        row = self.rows[found[1].strip("_").replace("_", " "), found[2].replace("_", " ")]
        row.took_s += report.duration
        if report.when == "call" or not report.passed:
            row.outcomes.append(report.outcome)
        if report.failed:
            # Until the end, at which pytest tells it, it may be an hour.
            self.reporter.write_line(f"\n{report.longreprtext}")
        if report.when == "call":
            for name, value in report.user_properties:
                row.figures[name] += float(value)

    def pytest_sessionfinish(self) -> None:
        """Write the table."""
        said = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "system": f"{platform.machine()} with Linux"}
        lines = [
            f"| {numbers} | {what} | {_held(row.outcomes)} | {row.took_s:.0f} | {_figures(row.figures)} |"
            for (numbers, what), row in sorted(self.rows.items())
        ]
        kinds = {number for numbers, _ in self.rows for number in numbers.split()}
        end = f"\n{len(kinds)} faults, in {time.monotonic() - self.began:.0f} s.\n"
        TABLE.write_text(_HEAD.format(**said) + "\n".join(lines) + "\n" + end)
        print("\n" + TABLE.read_text())


def _numbered(name: str) -> re.Match[str] | None:
    """Return the numbers and the words of a test's name, if it has numbers."""
    return NUMBERED.fullmatch(name.partition("[")[0])


def _held(outcomes: list[str]) -> str:
    """Return what a cell says of the cases."""
    failed, skipped = outcomes.count("failed"), outcomes.count("skipped")
    if failed:
        return f"**{failed} of {len(outcomes)} failed**"
    return f"{len(outcomes) - skipped}" + (f", {skipped} skipped" if skipped else "")


def _figures(figures: dict[str, float]) -> str:
    return ", ".join(f"{value:,.0f} {name}" for name, value in figures.items())


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Begin to take notes."""
    config.pluginmanager.register(Faults(config.pluginmanager.getplugin("terminalreporter")))
