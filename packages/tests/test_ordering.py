from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from packages.ordering import LEGACY, order

NUMBER = st.integers(min_value=0, max_value=12).map(str)
PARTS = st.tuples(
    st.sampled_from(["", "", "1!"]),
    st.lists(NUMBER, min_size=1, max_size=4).map(".".join),
    st.sampled_from(["", "", "a1", "b2", "rc1", "rc10"]),
    st.sampled_from(["", "", ".post1", ".post12"]),
    st.sampled_from(["", "", ".dev1", ".dev20240101"]),
    st.sampled_from(["", "", "+cpu", "+1", "+cpu.2", "+ubuntu"]),
)
VERSIONS = PARTS.map("".join).map(lambda text: str(Version(text)))


@given(st.lists(VERSIONS, min_size=2, max_size=20))
def test_the_order_is_that_of_packaging(versions):
    ordered = sorted(versions, key=lambda version: (order(version), version))

    assert all(Version(before) <= Version(after) for before, after in pairwise(ordered))


@given(VERSIONS, VERSIONS)
def test_what_packaging_calls_equal_is_equal(one, other):
    assert (order(one) == order(other)) == (Version(one) == Version(other))


def test_a_legacy_version_is_below_all():
    assert order("") == LEGACY < order("0.dev0")
