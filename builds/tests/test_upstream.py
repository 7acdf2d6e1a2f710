"""Whether upstream's wheels serve a target, as a table of cases."""

import pytest

from builds.wheels.upstream import UpstreamWheel, machines, serving, tags_of

ARMHF = ("linux_armv6l", "linux_armv7l")
PI2 = ("linux_armv7l",)
ARM64 = ("linux_aarch64",)
AMD64 = ("linux_x86_64",)


def wheels(*names, requires_python=""):
    return [UpstreamWheel(f"demo-1.0-{name}.whl", requires_python) for name in names]


def serves(names, platforms, glibc="2.41", python="3.13", requires_python=""):
    abi = f"cp{python.replace('.', '')}"
    found = wheels(*names, requires_python=requires_python)
    return serving(found, machines(python, abi, platforms, glibc), python)


@pytest.mark.parametrize(
    ("name", "platforms", "glibc"),
    [
        ("py3-none-any", ARMHF, "2.41"),
        ("py2.py3-none-any", ARMHF, ""),
        ("cp313-cp313-manylinux_2_17_aarch64.manylinux2014_aarch64", ARM64, "2.41"),
        ("cp313-cp313-manylinux_2_41_aarch64", ARM64, "2.41"),
        ("cp39-abi3-manylinux_2_28_aarch64", ARM64, "2.28"),
        ("py3-none-manylinux2014_armv7l", PI2, "2.36"),
        ("cp313-cp313-manylinux1_x86_64", AMD64, "2.36"),
        ("cp313-cp313-manylinux2010_x86_64", AMD64, "2.36"),
        ("1-cp313-cp313-manylinux_2_17_x86_64", AMD64, "2.36"),
    ],
)
def test_what_pip_would_take_and_would_run_serves(name, platforms, glibc):
    assert serves([name], platforms, glibc) == [f"demo-1.0-{name}.whl"]


@pytest.mark.parametrize(
    ("name", "platforms", "glibc"),
    [
        # A Pi 1 or Zero is a machine of this target, too, and nobody builds manylinux for it.
        ("cp313-cp313-manylinux_2_17_armv7l.manylinux2014_armv7l", ARMHF, "2.41"),
        # A newer C library than the system has.
        ("cp313-cp313-manylinux_2_42_aarch64", ARM64, "2.41"),
        # Nobody knows the C library of the system.
        ("cp313-cp313-manylinux_2_17_aarch64", ARM64, ""),
        # pip takes it, and it runs perhaps: it says nothing of the system.
        ("cp313-cp313-linux_armv7l", PI2, "2.41"),
        ("cp313-cp313-musllinux_1_2_aarch64", ARM64, "2.41"),
        ("cp313-cp313-macosx_11_0_arm64", ARM64, "2.41"),
        ("cp313-cp313-manylinux_2_17_x86_64", ARM64, "2.41"),
        ("cp312-cp312-manylinux_2_17_aarch64", ARM64, "2.41"),
        ("cp313-cp313t-manylinux_2_17_aarch64", ARM64, "2.41"),
        ("cp314-abi3-manylinux_2_17_aarch64", ARM64, "2.41"),
        ("py2-none-any", ARM64, "2.41"),
        # There is no manylinux for less than this on ARM.
        ("cp313-cp313-manylinux_2_12_aarch64", ARM64, "2.41"),
    ],
)
def test_what_pip_would_not_take_or_could_not_run_does_not_serve(name, platforms, glibc):
    assert serves([name], platforms, glibc) == []


def test_each_machine_of_a_target_may_be_served_by_another_file():
    names = ["cp313-cp313-manylinux_2_17_armv7l", "py3-none-any"]

    assert serves(names, ARMHF) == [f"demo-1.0-{name}.whl" for name in names]


def test_a_python_that_the_file_excludes_is_not_served():
    assert serves(["py3-none-any"], ARM64, requires_python=">=3.14") == []
    assert serves(["py3-none-any"], ARM64, requires_python=">=3.9") != []


@pytest.mark.parametrize(
    "filename", ["demo-1.0.tar.gz", "demo.whl", "demo-1.0-py3.whl", "a-b-c-d-py3-none-any.whl", ""]
)
def test_a_name_that_is_no_wheels_has_no_tags(filename):
    assert tags_of(filename) == frozenset()


def test_a_target_without_machines_is_not_served():
    assert serves(["py3-none-any"], ()) == []


@pytest.mark.parametrize(
    "tag",
    [
        # As the wheels of ten years ago were named at times, which no pip of today takes.
        "2.7-none-any",
        "py3--any",
        "py3-none-.any",
        # 27,000 tags in one.
        "-".join(".".join(f"{letter}{number}" for number in range(30)) for letter in "abc"),
    ],
)
def test_a_name_that_no_pip_of_today_reads_has_no_tags(tag):
    assert tags_of(f"demo-1.0-{tag}.whl") == frozenset()
    assert serves([tag, "py3-none-any"], ARMHF) == ["demo-1.0-py3-none-any.whl"]
