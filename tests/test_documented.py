"""What docs/operating.md lists is what there is."""

import re

import pytest

from deploy.farm import ROOT
from piwheels_site.celery import app

PAGE = (ROOT / "docs" / "operating.md").read_text()
UNITS = {"s": 1, "min": 60, "h": 3600}


def rows(heading):
    """Return the rows of the table below that line, by their first cell."""
    table = PAGE.split(f"\n{heading}")[1].partition("\n\n")[0]
    cells = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return {cell[0].strip("`"): cell[1:] for cell in cells}


@pytest.mark.parametrize(
    ("heading", "path", "pattern"),
    [
        ("| of the server |", "piwheels_site/settings.py", r'env(?:\.\w+)?\(\s*"(\w+)"'),
        ("| of a builder |", "builder/settings.py", r'"((?:PIWHEELS|LOG)_\w+)"'),
    ],
)
def test_every_setting_is_on_the_page_and_no_other(heading, path, pattern):
    assert set(rows(heading)) == set(re.findall(pattern, (ROOT / path).read_text()))


def test_all_that_happens_by_itself_is_on_the_page_and_as_often_as_it_says():
    told = {}
    for task, (every, *_) in rows("| task |").items():
        number, unit = re.match(r"([\d.]+) (\w+)|", every).groups()
        told[task] = float(number) * UNITS[unit] if number else every

    assert told.pop("packages.poll") == "`PIWHEELS_POLL_S`"
    assert set(told) == set(app.conf.beat_schedule) - {"packages.poll"}
    # A crontab has no period: each minute of some hours.
    del told["builds.check_storage"]
    assert told == {task: app.conf.beat_schedule[task]["schedule"].seconds for task in told}
