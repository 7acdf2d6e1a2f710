"""The campaign notices what it is there for."""

import re
from dataclasses import replace

import pytest

from tests.chaos import world_of
from tests.faults.conftest import CALM
from tests.faults.with_bug import BUGS

pytestmark = [pytest.mark.whole, pytest.mark.faults]


# What a reader must say of each: any other complaint is of something else.
SAID = {
    "database_before_file": r"\.whl(\.metadata)?: 404 ",
    "page_written_in_place": "half a page|JSONDecodeError|EOFError",
    "replaceable_files": r"\.whl(\.metadata)? is not what a page says",
}


def test_every_bug_has_its_complaint():
    assert SAID.keys() == BUGS.keys()


@pytest.mark.parametrize("bug", BUGS)
def test_T25_a_farm_with_a_bug_is_found_out(bug):
    with world_of(replace(CALM, bug=bug), seed=1) as world, world.reader("simple", 1) as reader:
        world.begin()
        for filename in world.published():
            world.operators.ask("act", kind="rebuild", filename=filename)
        for name in world.names:
            world.release(name)

        world.farm.wait_until(lambda: any(re.search(SAID[bug], said) for said in list(reader.wrong)))
