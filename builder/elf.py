"""What a file with machine code says of itself: which processor runs it and what it asks of the system.

Pure functions over pyelftools; nothing of the file is executed.  The server reads wheels with the same
module, so it needs nothing of the builder.  What the loader would go by is read from the segments, as it
does: the table of sections may be missing or lie, and is asked only for what is nowhere else.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, BinaryIO, cast

from elftools.construct.lib.container import Container
from elftools.elf.dynamic import Dynamic
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from elftools.elf.sections import StringTableSection

from builder.arm import Arm, arm_attributes, float_abi, processor

MAGIC = b"\x7fELF"

# An ordinary library takes some 2,000 steps, and Debian's libLLVM 116,000; a step takes three microseconds,
# so a file of nothing but loops is given up after a second, and a wheel of them after half a minute.
_STEPS = 10_000_000
_STEPS_A_FILE = 300_000
# The largest table of names that was seen has 30 MB.
_LARGEST_READ = 256 << 20
# As much of it as is in memory at a time.
_PIECE = 1 << 20
_MOST_NAMES = 10_000
_FARTHEST = 1 << 40

# Debian's names of architectures: machine, bits and byte order.
_ARCHITECTURES = {
    "amd64": ("EM_X86_64", 64, "little"),
    "arm64": ("EM_AARCH64", 64, "little"),
    "armel": ("EM_ARM", 32, "little"),
    "armhf": ("EM_ARM", 32, "little"),
    "i386": ("EM_386", 32, "little"),
    "loong64": ("EM_LOONGARCH", 64, "little"),
    "ppc64el": ("EM_PPC64", 64, "little"),
    "riscv64": ("EM_RISCV", 64, "little"),
    "s390x": ("EM_S390", 64, "big"),
}

# What every system with a C library, and one that runs C++, has under the same name for ever.
_RUNTIME = re.compile(
    r"(libc|libm|libmvec|libpthread|libdl|librt|libutil|libgcc_s|libstdc\+\+)\.so\.\d+|ld-linux.*\.so\.\d|ld64\.so\.\d"
)
# libstdc++'s two version names grow together (GNU libstdc++ manual, "ABI Policy and Guidelines").
_GLIBCXX_OF_CXXABI: dict[tuple[int, ...], str] = {
    (1, 3, 8): "3.4.20",
    (1, 3, 9): "3.4.21",
    (1, 3, 10): "3.4.22",
    (1, 3, 11): "3.4.23",
    (1, 3, 12): "3.4.26",
    (1, 3, 13): "3.4.29",
    (1, 3, 14): "3.4.31",
    (1, 3, 15): "3.4.33",
    (1, 3, 16): "3.4.34",
}
# Names that stand for a version (glibc's NEWS for 2.36).
_GLIBC_OF_NAME = {"GLIBC_ABI_DT_RELR": "2.36"}
# libgcc_s of GCC 7 is older than any system that we build for.
_OLD_GCC = (7, 0, 0)
_VERSION = re.compile(r"(GLIBC|GLIBCXX|CXXABI|GCC)_(\d{1,4}(?:\.\d{1,4}){0,3})")
# PEP 3149: Python imports `_x.cpython-313-arm-linux-gnueabihf.so` only if it is that Python.
_TIED = re.compile(r"\.(?:cpython-\d|cp\d|pypy\d)[\w-]*\.so$")
_STABLE = re.compile(r"\.abi3t?\.so$")
_EXTENSION = b"\0PyInit_"


class BadElf(ValueError):
    """The file says that it is ELF, and cannot be read as such; the text says why."""


@dataclass
class Budget:
    """How many steps may still be spent on reading; shared by the files of a wheel."""

    steps: int = _STEPS


@dataclass(frozen=True)
class Elf:
    """A file with machine code."""

    is_loaded: bool  # a program or shared library; not an object file, which nothing runs as it is
    machine: str  # pyelftools' name, "EM_ARM"
    bits: int
    byte_order: str  # "little" or "big"
    float_abi: str  # "hard", "soft" or "none" when it does not say, as those of other processors
    arm: Arm | None  # None when it says nothing of its processor
    soname: str
    needed: tuple[str, ...]  # libraries, "libpq.so.5"
    search: tuple[str, ...]  # folders to find them in, "$ORIGIN/../demo.libs"
    asked: tuple[tuple[str, str], ...]  # of a library a version of its symbols: ("libc.so.6", "GLIBC_2.34")
    is_extension: bool  # Python can import it


@dataclass(frozen=True)
class System:
    """What the machine code of a wheel asks of the system that it is installed on."""

    glibc: str  # the least version, "2.34"; "" when it asks for none
    glibcxx: str  # the least version of libstdc++, as GLIBCXX has it; "" when it asks for none
    libraries: tuple[str, ...]  # what the wheel does not bring itself
    asked: tuple[str, ...]  # which versions of their symbols, "libc.so.6@GLIBC_2.34"
    is_portable: bool  # needs nothing but the C and C++ libraries, in those versions or newer


class _Metered:
    """A file that can only be read so much and so often: whatever loops in it comes to an end."""

    def __init__(self, file: BinaryIO, budget: Budget) -> None:
        self._file = file
        self._budget = budget
        self._steps = _STEPS_A_FILE

    def _step(self) -> None:
        self._steps -= 1
        self._budget.steps -= 1
        if min(self._steps, self._budget.steps) < 0:
            raise BadElf("It takes too long to read.")

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        self._step()
        if not 0 <= size <= _LARGEST_READ:
            raise BadElf(f"It has a table of {size} bytes.")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to another place."""
        self._step()
        # To the system such a place is an error of the disk.
        if not -_FARTHEST <= offset <= _FARTHEST or (whence == 0 and offset < 0):
            raise BadElf(f"It refers to the byte {offset}.")
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        self._step()
        return self._file.tell()


def read_elf(file: BinaryIO, budget: Budget | None = None) -> Elf:
    """Return what a file says of itself; raises BadElf for whatever is wrong with it, in bounded time."""
    try:
        return _read(cast(IO[bytes], _Metered(file, budget or Budget())))
    except (BadElf, OSError):
        raise
    # The parser is not ours, and what it is given was made by strangers.
    except Exception as error:
        raise BadElf(f"It is not the ELF that it says it is ({error!r:.200}).") from error


def _read(stream: IO[bytes]) -> Elf:
    """Read the header, the dynamic segment and, for ARM, the attributes."""
    elf = ELFFile(stream)
    machine = str(elf["e_machine"])
    attributes = dict(arm_attributes(elf)) if machine == "EM_ARM" else {}
    dynamic = _dynamic(elf)
    tags = list(_tags(dynamic)) if dynamic else []
    return Elf(
        is_loaded=elf["e_type"] in ("ET_DYN", "ET_EXEC"),
        machine=machine,
        bits=elf.elfclass,
        byte_order="little" if elf.little_endian else "big",
        float_abi=float_abi(elf["e_flags"], attributes) if machine == "EM_ARM" else "none",
        arm=processor(attributes),
        soname=next((value for tag, value in tags if tag == "DT_SONAME"), ""),
        needed=tuple(value for tag, value in tags if tag == "DT_NEEDED"),
        search=tuple(value for tag, value in tags if tag in ("DT_RPATH", "DT_RUNPATH")),
        asked=tuple(_asked(elf, dynamic)) if dynamic else (),
        is_extension=_is_extension(stream, dynamic) if dynamic else False,
    )


def _dynamic(elf: ELFFile) -> Dynamic | None:
    """Return what the loader goes by, if there is anything for it."""
    for segment in elf.iter_segments("PT_DYNAMIC"):
        # Not the segment's own idea, which asks the sections where the names are.
        return Dynamic(elf.stream, elf, None, segment["p_offset"], segment["p_filesz"] == 0)
    return None


def _tags(dynamic: Dynamic) -> Iterator[tuple[str, str]]:
    """Yield the entries that are text."""
    for count, tag in enumerate(dynamic.iter_tags()):
        if count == _MOST_NAMES:
            raise BadElf(f"It has more than {_MOST_NAMES} dynamic entries.")
        name = str(tag.entry.d_tag)
        if name in ("DT_NEEDED", "DT_SONAME", "DT_RPATH", "DT_RUNPATH"):
            yield name, _plain(getattr(tag, name.removeprefix("DT_").lower()))


def _plain(text: str) -> str:
    """Return a name that rows, logs and command lines can hold."""
    if len(text) > 1000 or not text.isprintable():
        raise BadElf(f"It has a name that is none: {text[:50]!a}.")
    return text


def _asked(elf: ELFFile, dynamic: Dynamic) -> Iterator[tuple[str, str]]:
    """Yield the versions of symbols that it asks for, each with the library."""
    count = next((tag.entry.d_val for tag in dynamic.iter_tags("DT_VERNEEDNUM")), 0)
    _, start = dynamic.get_table_offset("DT_VERNEED")
    if start is None or not count:
        return
    header = Container(
        sh_offset=start, sh_info=count, sh_type="SHT_GNU_verneed", sh_flags=0, sh_size=0, sh_addralign=0
    )
    # Of the table of names it uses the one method that both kinds have.
    names = cast(StringTableSection, dynamic._get_stringtable())
    found = 0
    for library, versions in GNUVerNeedSection(header, "", elf, names).iter_versions():
        for version in versions:
            found += 1
            if found > _MOST_NAMES:
                raise BadElf(f"It asks for more than {_MOST_NAMES} versions.")
            yield _plain(str(library.name)), _plain(str(version.name))


def _is_extension(stream: IO[bytes], dynamic: Dynamic) -> bool:
    """Tell whether it has a name by which Python begins a module.

    It is looked for among all names instead of symbol by symbol, of which there may be a hundred thousand.
    """
    size = next((tag.entry.d_val for tag in dynamic.iter_tags("DT_STRSZ")), 0)
    _, start = dynamic.get_table_offset("DT_STRTAB")
    if start is None:
        return False
    if size > _LARGEST_READ:
        raise BadElf(f"It has a table of {size} bytes.")
    stream.seek(start)
    piece = b""
    while size > 0 and (block := stream.read(min(size, _PIECE))):
        # With the end of the piece before it, as the name may lie across the two.
        piece = piece[-len(_EXTENSION) :] + block
        if _EXTENSION in piece:
            return True
        size -= len(block)
    return False


def fits(elf: Elf, architecture: str) -> bool:
    """Tell whether a system of that architecture, by Debian's name, loads this file.

    An architecture that we do not know fits nothing.
    """
    if (elf.machine, elf.bits, elf.byte_order) != _ARCHITECTURES.get(architecture):
        return False
    wrong = {"armhf": "soft", "armel": "hard"}.get(architecture)
    return wrong is None or elf.float_abi != wrong


def runs_on_armv6(elf: Elf) -> bool:
    """Tell whether this file says that a Pi 1 or Zero runs it; one that says nothing may not.

    Code that looks for NEON before it uses it says so too, and then counts as not running there.
    """
    return fits(elf, "armhf") and elf.arm is not None and elf.arm.is_armv6()


def tied_module(files: Mapping[str, Elf], abis: Collection[str]) -> str:
    """Return an extension module that does not fit the ABIs that its wheel names; "" if all do.

    A claim of abi3 cannot be proven without looking at each symbol of the C API; but a module whose file is
    named for one Python disproves it.  To a wheel for no ABI in particular, no extension module fits.
    """
    loaded = sorted(path for path, elf in files.items() if elf.is_loaded)
    if "none" in abis:
        return next((path for path in loaded if files[path].is_extension or names_python(path)), "")
    if any(abi.startswith("abi3") for abi in abis):
        return next((path for path in loaded if _TIED.search(path)), "")
    return ""


def names_python(path: str) -> bool:
    """Tell whether a file is named as an extension module alone is."""
    return bool(_TIED.search(path) or is_stable(path))


def is_stable(path: str) -> bool:
    """Tell whether a file is named as an extension module for the stable ABI."""
    return bool(_STABLE.search(path))


def describe(elf: Elf) -> str:
    """Return what a file is for, as a person would say it."""
    names = [name for name in _ARCHITECTURES if fits(elf, name)]
    return (
        " or ".join(names) or f"{elf.machine.removeprefix('EM_')}, {elf.bits} bits, {elf.byte_order}-endian"
    )


def system_of(files: Mapping[str, Elf]) -> System:
    """Return what the files of a wheel, by their paths, ask of the system and do not bring themselves."""
    loaded = [elf for elf in files.values() if elf.is_loaded]
    brought = {path.rpartition("/")[2] for path in files} | {elf.soname for elf in loaded}
    libraries = {name for elf in loaded for name in elf.needed} - brought
    pairs = {pair for elf in loaded for pair in elf.asked if pair[0] not in brought}
    asked = {version for _, version in pairs}
    is_known = all(map(_is_common, asked))
    return System(
        glibc=max(map(_glibc, asked), key=version_key, default=""),
        glibcxx=max(map(_glibcxx, asked), key=version_key, default=""),
        libraries=tuple(sorted(libraries)),
        asked=tuple(sorted(map("@".join, pairs))),
        is_portable=bool(loaded) and is_known and all(_RUNTIME.fullmatch(name) for name in libraries),
    )


def version_key(version: str) -> tuple[int, ...]:
    """Return what versions such as 2.34 are compared by; "" is below them all."""
    return tuple(int(part) for part in version.split(".")) if version else ()


def _split(version: str) -> tuple[str, str]:
    """Return the name and the number in GLIBC_2.34; two empty ones for another kind of name."""
    match = _VERSION.fullmatch(version)
    return (match[1], match[2]) if match else ("", "")


def _glibc(version: str) -> str:
    """Return the C library that has these symbols."""
    name, number = _split(version)
    return number if name == "GLIBC" else _GLIBC_OF_NAME.get(version, "")


def _glibcxx(version: str) -> str:
    """Return the libstdc++ that has these symbols."""
    name, number = _split(version)
    if name == "CXXABI":
        return _GLIBCXX_OF_CXXABI.get(version_key(number), "")
    return number if name == "GLIBCXX" else ""


def _is_common(version: str) -> bool:
    """Tell whether we know which systems have these symbols."""
    name, number = _split(version)
    if name == "CXXABI":
        return version_key(number) <= max(_GLIBCXX_OF_CXXABI)
    if name == "GCC":
        return version_key(number) <= _OLD_GCC
    # GLIBC_PRIVATE changes from one build of it to the next; other names belong to libraries that are not
    # portable for being there at all, or to oddities such as CXXABI_FLOAT128, which not every system has.
    return bool(name) or version in _GLIBC_OF_NAME
