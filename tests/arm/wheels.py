"""What must be true of the wheels that came out: their names, their machine code, what they need."""

import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from elftools.elf.elffile import ELFFile

# Set in a library's header where floating-point numbers are passed in registers of their own (hard float).
_EF_ARM_ABI_FLOAT_HARD = 0x400


@dataclass(frozen=True)
class Package:
    """A package of PyPI, and what should become of it."""

    name: str
    kind: str
    module: str = ""
    tag: str = ""
    apt: frozenset[str] = frozenset()
    libraries: int = 0

    @property
    def should(self) -> str:
        """Return the state that its build should end in."""
        return "succeeded" if self.module else "failed"


# One file may serve the Pi Zero too if all its code runs there; Debian's compiler for armhf makes ARMv7's.
ARM = r"cp311-cp311-(linux_armv6l\.linux_armv7l|linux_armv7l)"
PURE = r"(py2\.py3|py3|py2)-none-any"

PACKAGES = [
    Package("docopt", "pure", "docopt", PURE),
    # Needed by cffi, so that pip finds both of them here.
    Package("pycparser", "pure", "pycparser", PURE),
    Package("markupsafe", "C extension", "markupsafe._speedups", ARM, libraries=1),
    Package("cffi", "C extension, apt", "_cffi_backend", ARM, frozenset({"libffi8"}), libraries=1),
    # Asks for `use_2to3`, which setuptools dropped in version 58.
    Package("demjson", "cannot be built"),
]


@dataclass(frozen=True)
class Made:
    """A wheel that came out, as the index has it."""

    filename: str
    apt: tuple[str, ...]
    content: bytes


def problems(package: Package, made: Sequence[Made]) -> Iterator[str]:
    """Yield what is wrong with the wheels of a version."""
    if len(made) != 1:
        yield f"there are {len(made)} files"
    for wheel in made:
        if not re.fullmatch(rf".+-{package.tag}\.whl", wheel.filename):
            yield f"it is named {wheel.filename}"
        if set(wheel.apt) != package.apt:
            yield f"it needs {', '.join(wheel.apt) or 'nothing'} from apt"
        found = list(_libraries(wheel.content))
        if len(found) != package.libraries:
            yield f"it holds {len(found)} shared libraries"
        yield from (problem for problem in found if problem)


def _libraries(wheel: bytes) -> Iterator[str]:
    """Yield of each shared library in a wheel what is wrong with it, empty if nothing is."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            if content.startswith(b"\x7fELF"):
                yield _problem(name, ELFFile(io.BytesIO(content)))


def _problem(name: str, elf: ELFFile) -> str:
    """Return in what a library is not one for 32-bit ARM with hard float."""
    if (elf["e_machine"], elf.elfclass) != ("EM_ARM", 32):
        return f"{name} is for {elf['e_machine']}, {elf.elfclass} bit"
    if not elf["e_flags"] & _EF_ARM_ABI_FLOAT_HARD:
        return f"{name} is not of the hard-float ABI"
    return ""
