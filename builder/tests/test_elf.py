import io
import random
import shutil
import subprocess
import time

import pytest

from builder.elf import BadElf, Budget, Elf, describe, fits, read_elf, runs_on_armv6, system_of, version_key
from builder.tests.elves import (
    AARCH64,
    ARM,
    ARMV6,
    ARMV7,
    ARMV8,
    EABI5,
    NEON,
    SOFT,
    X86,
    X86_64,
    armhf,
    make_elf,
)

RUNTIME = {"libc.so.6": ["GLIBC_2.4", "GLIBC_2.34"], "libstdc++.so.6": ["GLIBCXX_3.4.9", "GLIBCXX_3.4.29"]}


def read(content: bytes, budget: Budget | None = None) -> Elf:
    return read_elf(io.BytesIO(content), budget)


# --- Reading -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [32, 64])
def test_a_library_says_what_it_needs(bits):
    elf = read(
        make_elf(
            X86_64 if bits == 64 else X86,
            bits,
            needed=["libpq.so.5", "libc.so.6"],
            asked=RUNTIME,
            soname="libtiny.so.1",
            runpath="$ORIGIN/../tiny.libs",
        )
    )

    assert (elf.machine, elf.bits, elf.byte_order) == (
        "EM_X86_64" if bits == 64 else "EM_386",
        bits,
        "little",
    )
    assert elf.is_loaded
    assert elf.needed == ("libpq.so.5", "libc.so.6")
    assert elf.soname == "libtiny.so.1"
    assert elf.search == ("$ORIGIN/../tiny.libs",)
    assert ("libc.so.6", "GLIBC_2.34") in elf.asked
    assert ("libstdc++.so.6", "GLIBCXX_3.4.9") in elf.asked
    assert not elf.is_extension


@pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")
def test_what_a_compiler_makes_is_read(tmp_path):
    code = "#include <stdlib.h>\nint PyInit_tiny(const char *s) { return atoi(s); }"
    (tmp_path / "tiny.c").write_text(code)
    command = ["gcc", "-shared", "-fPIC", "-Wl,-soname,libtiny.so.1", "-o", "tiny.so", "tiny.c"]
    subprocess.run(command, cwd=tmp_path, check=True)

    elf = read((tmp_path / "tiny.so").read_bytes())

    assert elf.needed == ("libc.so.6",)
    assert elf.soname == "libtiny.so.1"
    assert elf.is_extension
    assert any(version.startswith("GLIBC_2.") for _, version in elf.asked)


def test_without_sections_it_is_read_as_the_loader_reads_it():
    content = bytearray(make_elf(needed=["libpq.so.5"], asked=RUNTIME, names=["PyInit_tiny"]))
    content[40:48] = bytes(8)  # e_shoff
    content[60:64] = bytes(4)  # e_shnum, e_shstrndx

    elf = read(bytes(content))

    assert elf.needed == ("libpq.so.5",)
    assert ("libc.so.6", "GLIBC_2.34") in elf.asked
    assert elf.is_extension


def test_an_object_file_is_not_loaded():
    assert not read(make_elf(kind=1)).is_loaded


# --- Which processor ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "architectures"),
    [
        (make_elf(X86_64, 64), {"amd64"}),
        (make_elf(X86, 32), {"i386"}),
        # x32: a machine of 64 bits with addresses of 32.
        (make_elf(X86_64, 32), set()),
        (make_elf(AARCH64, 64), {"arm64"}),
        (make_elf(AARCH64, 32), set()),
        (armhf(), {"armhf"}),
        (armhf(flags=EABI5), {"armhf"}),
        (armhf({**ARMV6, 28: 0}, flags=EABI5), {"armel"}),
        (armhf(flags=EABI5 | SOFT), {"armel"}),
        # Nothing in it passes floats.
        (make_elf(ARM, 32, flags=EABI5), {"armel", "armhf"}),
        (armhf(big_endian=True), set()),
        (make_elf(8, 32, big_endian=True), set()),
    ],
)
def test_a_file_fits_an_architecture(content, architectures):
    known = ("armhf", "armel", "arm64", "amd64", "i386", "riscv64", "an unknown one")
    assert {name for name in known if fits(read(content), name)} == architectures


@pytest.mark.parametrize(
    ("content", "runs"),
    [
        (armhf(ARMV6), True),
        (armhf({**ARMV6, 6: 7}), True),
        (armhf({**ARMV6, 6: 9}), True),
        (armhf({**ARMV6, 6: 8}), False),
        (armhf(ARMV7), False),
        (armhf({**ARMV6, 6: 14}), False),
        (armhf(NEON), False),
        (armhf({**ARMV6, 10: 3}), False),
        (armhf({**ARMV6, 9: 2}), False),
        (armhf({**ARMV6, 9: 3}), True),
        (armhf({28: 1}), False),
        (armhf({}), False),
        (make_elf(ARM, 32, flags=EABI5), False),
        (armhf(flags=EABI5 | SOFT), False),
        (make_elf(AARCH64, 64), False),
    ],
)
def test_a_pi_1_runs_what_says_so(content, runs):
    assert runs_on_armv6(read(content)) is runs


@pytest.mark.parametrize(
    ("attributes", "runs"),
    [
        (ARMV6, True),
        (ARMV7, True),
        ({**ARMV7, 10: 6, 12: 2}, True),
        ({**ARMV7, 12: 3}, False),
        ({**ARMV7, 10: 7}, False),
        ({**ARMV7, 6: 14}, False),
        (ARMV8, False),
    ],
)
def test_a_pi_2_has_what_armv7_has(attributes, runs):
    assert read(armhf(attributes)).arm.is_armv7() is runs


def test_a_file_is_described_as_people_say_it():
    assert describe(read(armhf())) == "armhf"
    assert describe(read(make_elf(8, 32, big_endian=True))) == "MIPS, 32 bits, big-endian"


# --- What system --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("needed", "asked", "glibc", "glibcxx", "is_portable"),
    [
        ([], {}, "", "", True),
        (["libc.so.6"], {"libc.so.6": ["GLIBC_2.4", "GLIBC_2.34", "GLIBC_2.9"]}, "2.34", "", True),
        (["libc.so.6"], {"libc.so.6": ["GLIBC_2.2.5"]}, "2.2.5", "", True),
        (["libc.so.6"], {"libc.so.6": ["GLIBC_2.4", "GLIBC_ABI_DT_RELR"]}, "2.36", "", True),
        (["libc.so.6"], {"libc.so.6": ["GLIBC_PRIVATE"]}, "", "", False),
        (["libstdc++.so.6", "libgcc_s.so.1", "ld-linux-armhf.so.3"], RUNTIME, "2.34", "3.4.29", True),
        (["libstdc++.so.6"], {"libstdc++.so.6": ["CXXABI_1.3", "CXXABI_1.3.13"]}, "", "3.4.29", True),
        (["libstdc++.so.6"], {"libstdc++.so.6": ["CXXABI_1.3.99"]}, "", "", False),
        (["libstdc++.so.6"], {"libstdc++.so.6": ["CXXABI_FLOAT128"]}, "", "", False),
        (["libgcc_s.so.1"], {"libgcc_s.so.1": ["GCC_3.5"]}, "", "", True),
        (["libgcc_s.so.1"], {"libgcc_s.so.1": ["GCC_14"]}, "", "", False),
        (["libpq.so.5"], {}, "", "", False),
        (["libc.musl-armv7.so.1"], {}, "", "", False),
    ],
)
def test_a_wheel_asks_of_its_system(needed, asked, glibc, glibcxx, is_portable):
    system = system_of({"tiny/_tiny.so": read(make_elf(needed=needed, asked=asked))})

    assert (system.glibc, system.glibcxx, system.is_portable) == (glibc, glibcxx, is_portable)
    assert system.libraries == tuple(sorted(needed))


def test_what_a_wheel_brings_it_does_not_ask_for():
    outer = read(
        make_elf(
            needed=["libinner.so.1", "libz-abc.so.1"],
            asked={"libinner.so.1": ["INNER_9"], "libz-abc.so.1": ["ZLIB_1.2.9"]},
        )
    )
    files = {
        "a/_a.so": outer,
        "a.libs/libinner-1234.so": read(make_elf(soname="libinner.so.1")),
        "a.libs/libz-abc.so.1": read(make_elf(needed=["libc.so.6"])),
    }

    assert system_of(files).libraries == ("libc.so.6",)
    assert system_of(files).is_portable


def test_versions_are_compared_as_numbers():
    assert version_key("") < version_key("2.9") < version_key("2.31") < version_key("2.31.1")


# --- Bad files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x7fELF",
        b"\x7fELF nonsense" * 20,
        b"MZ" + bytes(100),
        make_elf()[:100],
        make_elf(needed=["liba\nb.so"]),
        make_elf(needed=["x" * 2000]),
    ],
)
def test_what_is_no_elf_is_one_kind_of_error(content):
    with pytest.raises(BadElf):
        read(content)


def test_a_circle_of_versions_comes_to_an_end():
    content = make_elf(asked={"libc.so.6": ["GLIBC_2.34"]})
    at = content.index(b"\1\0\1\0", content.index(b"GLIBC"))
    endless = content[:at] + b"\1\0\xff\xff" + content[at + 4 :]
    begun = time.monotonic()

    with pytest.raises(BadElf, match=r"more than|too long"):
        read(endless)

    assert time.monotonic() - begun < 10


def test_a_table_that_is_larger_than_memory_is_not_read():
    content = make_elf(names=["PyInit_x"])
    size = len(b"\0PyInit_x\0").to_bytes(8, "little")

    with pytest.raises(BadElf, match="a table of"):
        read(content.replace(b"\x0a" + bytes(7) + size, b"\x0a" + bytes(7) + (1 << 40).to_bytes(8, "little")))


class Noted(io.BytesIO):
    """A file that notes how much is read of it at once."""

    most = 0

    def read(self, size=-1):
        block = super().read(size)
        self.most = max(self.most, len(block))
        return block


@pytest.mark.parametrize("before", [3 << 20, (1 << 20) - 3, (1 << 20) - 9])
def test_a_long_table_of_names_is_read_in_pieces(before):
    file = Noted(make_elf(names=["x" * before, "PyInit_tiny", "y" * (1 << 20)]))

    assert read_elf(file).is_extension
    assert file.most <= 1 << 20


def test_a_wheel_full_of_files_has_one_budget():
    budget = Budget(steps=1000)

    with pytest.raises(BadElf, match="too long"):
        for _ in range(100):
            read(armhf(needed=["libc.so.6"]), budget)


@pytest.mark.parametrize("seed", range(4))
def test_a_mutated_file_is_read_or_refused(seed):
    """Never another exception, and never for long."""
    chance = random.Random(seed)
    good = (
        armhf(needed=["libc.so.6"], asked=RUNTIME, soname="libx.so") if seed % 2 else make_elf(asked=RUNTIME)
    )
    begun = time.monotonic()
    refused = 0
    for _ in range(150):
        content = bytearray(good)
        for _ in range(chance.choice([1, 1, 2, 8])):
            at = chance.randrange(len(content))
            length = chance.choice([1, 2, 4])
            content[at : at + length] = chance.choice(
                [chance.randbytes(length), b"\xff" * length, bytes(length), b""]
            )
        try:
            read(bytes(content), Budget(steps=100_000))
        except BadElf:
            refused += 1

    assert refused > 20
    assert time.monotonic() - begun < 60
