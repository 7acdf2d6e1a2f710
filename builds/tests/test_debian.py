import re

import pytest

from builds.debian import PACKAGE, is_package


@pytest.mark.parametrize(
    "name", ["g++", "libstdc++6", "libffi8", "python3.13", "0ad", "gcc-12-base", "r-base-core", "x" * 100]
)
def test_what_debian_calls_a_package_is_a_name(name):
    assert is_package(name)
    assert re.fullmatch(rf"({PACKAGE})( .*)?", f"{name} (>= 1)").group(1) == name


@pytest.mark.parametrize(
    "name",
    [
        *("", "x", "x" * 101, "Libffi8", "lib_ffi", "lib ffi8", "libffi8\n", "lib\u00e9"),
        *("-y", "--yes", "+x", ".x", "libffi8-", "g++-", "libffi8:armhf", "libffi8=3.4", "libffi*"),
    ],
)
def test_what_apt_would_take_for_something_else_is_none(name):
    assert not is_package(name)
