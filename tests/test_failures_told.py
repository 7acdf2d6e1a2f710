"""What a builder tells of a failure, the server knows; neither can see the other's code."""

import pytest

from builder import build, pip_wheel
from builds import failures

TOLD = {
    *build.FAILURES.values(),
    *(failure for failure, _ in pip_wheel._ENDS.values()),
    *pip_wheel._OF_THE_BUILDER.values(),
    "proxy-failed",
    "builder-disk-full",
}


@pytest.mark.parametrize("key", sorted(TOLD))
def test_the_server_knows_each_class_that_a_builder_tells(key):
    assert failures.classes()[key].is_told
