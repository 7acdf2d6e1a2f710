"""The table of faults counts what ran, and hides nothing that did not."""

import re
from types import SimpleNamespace

from deploy.farm import ROOT
from tests.faults.table import DEFINED, NUMBERED, Faults, Row, _held, _sum

HELD, SKIPPED, FAILED = Row(["passed"]), Row(["skipped"]), Row(["passed", "failed"])


def test_a_number_counts_when_a_test_of_it_ran_and_none_failed():
    rows = {("T01 T02", "a"): HELD, ("T02", "b"): SKIPPED, ("T03", "c"): SKIPPED, ("T04", "d"): FAILED}

    assert _sum(rows) == "2 faults; 1 failed (T04); 1 were skipped (T03)"


def test_what_was_skipped_has_no_cases():
    assert _held(["skipped", "skipped"]) == "none: 2 skipped"
    assert _held(["passed", "skipped"]) == "1, 1 skipped"


def test_a_module_that_is_skipped_as_a_whole_is_in_the_table():
    faults = Faults(reporter=None)

    faults.pytest_collectreport(SimpleNamespace(skipped=True, nodeid="tests/faults/test_disks.py"))

    assert {numbers for numbers, _ in faults.rows} == {"T11", "T12", "T13"}
    assert {_held(row.outcomes) for row in faults.rows.values()} == {"none: 1 skipped"}


def test_every_number_of_the_promises_has_a_test_and_every_other_a_reason():
    promised, _, not_run = (ROOT / "docs" / "promises.md").read_text().partition("## What the plan has")
    cited = set(re.findall(r"\bT[0-9]{2}\b", promised))
    excused = set(re.findall(r"^\| (T[0-9]{2}) \|", not_run, re.MULTILINE))
    rooms = ("builder", "builds", "packages", "piwheels_site", "simple", "tests")
    paths = [path for room in rooms for path in (ROOT / room).rglob("test_*.py")]
    names = [name for path in paths for name in DEFINED.findall(path.read_text())]
    there = {
        number for name in names if (found := NUMBERED.fullmatch(name)) for number in found[1].split("_")
    }

    assert len(cited) > 40
    assert cited <= there
    assert {f"T{number:02}" for number in range(1, 61)} <= there | excused
