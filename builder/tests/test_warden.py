import platform
import subprocess
import sys
from pathlib import Path

import pytest

from builder import warden

ROOT = Path(warden.__file__).parents[1]


def said_by(code: str) -> str:
    """What a program prints that has a process of its own."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("machine", "pointer_bytes", "is_wrong"),
    [
        ("aarch64", 4, True),
        ("aarch64", 8, False),
        ("armv7l", 4, False),
        ("armv8l", 4, False),
        ("x86_64", 8, False),
    ],
)
def test_a_64_bit_kernel_under_a_32_bit_system_names_the_wrong_processor(machine, pointer_bytes, is_wrong):
    assert warden.is_named_wrongly(machine, pointer_bytes) is is_wrong


@pytest.mark.parametrize(("count", "chosen"), [(1, [3]), (2, [2, 3]), (4, [0, 1, 2, 3]), (9, [0, 1, 2, 3])])
def test_a_program_gets_the_last_of_the_processors_and_no_more_than_there_are(count, chosen):
    assert warden.last_of({3, 0, 2, 1}, count) == chosen


@pytest.mark.skipif(platform.machine() != "x86_64", reason="another processor may have no 32 bits at all")
def test_whatever_a_program_starts_is_told_of_32_bits_as_well():
    ask = "import ctypes; print(ctypes.CDLL(None).personality(0xFFFFFFFF))"

    told = said_by(
        "import subprocess, sys; from builder import warden; warden.take_32_bits()\n"
        f"subprocess.run([sys.executable, '-c', {ask!r}], check=True)"
    )

    assert told == "8"
