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
# How a test is defined, wherever it is.
DEFINED = re.compile(r"^\s*def (test_\w+)\(", re.MULTILINE)
_HEAD = """# Faults, and what holds whatever happens

Made by `make test-faults` on {date}, on {system}, from the tests that have these numbers in their names. The
promises are in [promises.md](promises.md), and so are the numbers that are not here, with what stands in for
them. *Cases* are a test's parameters and seeds that ran; *figures* are what it did meanwhile, of all of its
cases together.

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

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note the tests of a module that is skipped as a whole, of which pytest knows no names."""
        if report.skipped and report.nodeid.endswith(".py"):
            for found in DEFINED.finditer((ROOT / report.nodeid).read_text()):
                if match := _numbered(found[1]):
                    self._row(match).outcomes.append("skipped")

    def _row(self, found: re.Match[str]) -> Row:
        """Return the row of a test with such a name."""
        return self.rows[found[1].strip("_").replace("_", " "), found[2].replace("_", " ")]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that ran, or that could not."""
        found = _numbered(report.nodeid.rpartition("::")[2])
        if found is None:
            return
        row = self._row(found)
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
        end = f"\n{_sum(self.rows)}, in {time.monotonic() - self.began:.0f} s.\n"
        TABLE.write_text(_HEAD.format(**said) + "\n".join(lines) + "\n" + end)
        print("\n" + TABLE.read_text())


def _sum(rows: dict[tuple[str, str], Row]) -> str:
    """Return how many of the numbers hold, which do not, and which are not known to: no test of them ran."""
    outcomes: dict[str, set[str]] = defaultdict(set)
    for (numbers, _), row in rows.items():
        for number in numbers.split():
            outcomes[number] |= set(row.outcomes)
    failed = sorted(number for number, each in outcomes.items() if "failed" in each)
    skipped = sorted(number for number, each in outcomes.items() if not each & {"passed", "failed"})
    told = [f"{len(outcomes) - len(failed) - len(skipped)} faults"]
    told += [f"{len(failed)} failed ({', '.join(failed)})"] if failed else []
    told += [f"{len(skipped)} were skipped ({', '.join(skipped)})"] if skipped else []
    return "; ".join(told)


def _numbered(name: str) -> re.Match[str] | None:
    """Return the numbers and the words of a test's name, if it has numbers."""
    return NUMBERED.fullmatch(name.partition("[")[0])


def _held(outcomes: list[str]) -> str:
    """Return what a cell says of the cases."""
    failed, skipped = outcomes.count("failed"), outcomes.count("skipped")
    if failed:
        return f"**{failed} of {len(outcomes)} failed**"
    if skipped == len(outcomes):
        return f"none: {skipped} skipped"
    return f"{len(outcomes) - skipped}" + (f", {skipped} skipped" if skipped else "")


def _figures(figures: dict[str, float]) -> str:
    return ", ".join(f"{value:,.0f} {name}" for name, value in figures.items())


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Begin to take notes."""
    config.pluginmanager.register(Faults(config.pluginmanager.getplugin("terminalreporter")))
