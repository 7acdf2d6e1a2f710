from datetime import UTC, datetime

import pytest

from builder import rungs
from builder.contract import RUNGS
from builder.rungs import CURRENT, LADDER
from builder.tests.server import make_order

TRACE = "Traceback (most recent call last):\n"


def at(*date) -> int:
    return int(datetime(*date, tzinfo=UTC).timestamp())


def rung(name):
    return next(rung for rung in LADDER if rung.name == name)


@pytest.mark.parametrize(
    ("log", "name"),
    [
        (f"{TRACE}ModuleNotFoundError: No module named 'pkg_resources'\n", "setuptools<82"),
        (f"{TRACE}ModuleNotFoundError: No module named 'numpy'\n", "known-modules"),
        ("Cython.Compiler.Errors.CompileError: demo.pyx\n", "older-tools"),
        ("error: 'PyArray_Descr' has no member named 'elsize'\n", "older-tools"),
        (f"{TRACE}AttributeError: `np.float_` was removed in the NumPy 2.0 release.\n", "older-tools"),
        (f"{TRACE}TypeError: something else\n", "time-travel"),
        (f"{TRACE}urllib.error.URLError: <urlopen error [Errno -3] Temporary failure>\n", None),
        ("demo.c:1:10: fatal error: ffi.h: No such file or directory\n", None),
        ("", None),
    ],
)
def test_the_words_of_a_failure_choose_the_next_rung(log, name):
    order = make_order(uploaded_at=at(2024, 1, 1))

    following = rungs.following([CURRENT], log, order, "3.11")

    assert (following.name if following else None) == name


def test_the_rungs_are_those_of_the_contract():
    assert tuple(rung.name for rung in LADDER) == RUNGS


def test_no_rung_is_tried_twice():
    log = f"{TRACE}ModuleNotFoundError: No module named 'pkg_resources'\n"
    order = make_order(uploaded_at=at(2015, 1, 1))

    following = rungs.following([CURRENT, rung("setuptools<82"), rung("older-tools")], log, order, "3.11")

    assert following is None


def test_nobody_travels_to_a_time_before_the_python():
    old, young = make_order(uploaded_at=at(2022, 9, 1)), make_order(uploaded_at=at(2022, 10, 1))

    assert rungs.following([CURRENT], TRACE, old, "3.11") is None
    assert rungs.following([CURRENT], TRACE, young, "3.11").name == "time-travel"


def test_a_source_of_unknown_age_does_not_travel():
    assert rungs.following([CURRENT], TRACE, make_order(uploaded_at=None), "3.11") is None


def test_a_source_gets_only_modules_that_we_know():
    log = (
        "ModuleNotFoundError: No module named 'numpy'\n"
        "ModuleNotFoundError: No module named 'numpy.distutils'\n"
        "ModuleNotFoundError: No module named 'surprise'\n"
    )

    following = rungs.following([CURRENT], log, make_order(), "3.13")

    assert following.modules == ("setuptools", "wheel", "numpy")


def test_an_order_may_begin_higher():
    assert rungs.first(make_order(rung="older-tools")).name == "older-tools"
    assert rungs.first(make_order(rung="unheard of")) is CURRENT


def test_time_travel_goes_to_a_month_after_the_upload():
    assert rungs.uploaded_prior_to(make_order(uploaded_at=at(2024, 1, 1))) == "2024-01-31T00:00:00Z"
