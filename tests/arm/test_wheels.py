import io
import struct
import zipfile

import pytest

from tests.arm import wheels

PURE = wheels.Package("plain", "pure", "plain", wheels.PURE)
NATIVE = wheels.Package("fast", "C extension", "fast", wheels.ARM, frozenset({"libffi8"}), libraries=1)
NAME = "fast-1.0-cp311-cp311-linux_armv7l.whl"


def elf(*, machine=40, flags=0x5000400):
    """The header of a 32-bit library, which ends there."""
    ident = b"\x7fELF\1\1\1".ljust(16, b"\0")
    return ident + struct.pack("<HHIIIIIHHHHHH", 3, machine, 1, 0, 0, 0, flags, 52, 32, 0, 40, 0, 0)


def archive(*contents):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        for number, content in enumerate(contents):
            zipped.writestr(f"lib{number}.so", content)
    return file.getvalue()


def found(package, name, *contents, apt=("libffi8",)):
    return list(wheels.problems(package, [wheels.Made(name, apt, archive(*contents))]))


@pytest.mark.parametrize("name", [NAME, NAME.replace("linux_armv7l", "linux_armv6l.linux_armv7l")])
def test_nothing_is_wrong_with_a_wheel_for_arm(name):
    assert found(NATIVE, name, elf()) == []


@pytest.mark.parametrize(
    ("name", "contents", "apt", "problem"),
    [
        (NAME.replace("armv7l", "armv8l"), [elf()], ["libffi8"], "it is named fast"),
        (NAME, [elf()], [], "it needs nothing from apt"),
        (NAME, [elf()], ["libffi8", "libpq5"], "libpq5 from apt"),
        (NAME, [], ["libffi8"], "it holds 0 shared libraries"),
        (NAME, [elf(machine=62)], ["libffi8"], "lib0.so is for EM_X86_64"),
        (NAME, [elf(flags=0x5000200)], ["libffi8"], "lib0.so is not of the hard-float ABI"),
    ],
)
def test_what_is_wrong_with_a_wheel_is_said(name, contents, apt, problem):
    said = found(NATIVE, name, *contents, apt=tuple(apt))

    assert len(said) == 1
    assert problem in said[0]


def test_a_pure_wheel_with_a_library_is_not_pure():
    said = found(PURE, "plain-1.0-py3-none-any.whl", elf(), apt=())

    assert said == ["it holds 1 shared libraries"]


def test_a_build_without_a_wheel_is_not_good():
    assert list(wheels.problems(PURE, [])) == ["there are 0 files"]
