"""What a file with machine code for ARM says of its processor: its attributes, and how it passes floats.

`builder.elf` reads it with the rest of the file.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import ARMAttributesSection

# ELF for the Arm Architecture, "e_flags".
_ARM_SOFT, _ARM_HARD = 0x200, 0x400
# Addenda to the ABI for the Arm Architecture: Tag_ABI_VFP_args says whether floats are passed in the FPU.
_VFP_ARGS_HARD, _VFP_ARGS_SOFT = 1, 0
# Tag_CPU_arch up to v6, v6KZ and v6K.  Not v6T2 (8), which has Thumb-2; the Pi 1 and Zero are v6KZ.
_ARMV6 = frozenset({0, 1, 2, 3, 4, 5, 6, 7, 9})
# Tag_FP_arch: VFPv2 is what an ARM1176 has.
_VFPV2 = 2
# What the Cortex-A7 of a Pi 2 has: v7, VFPv4 (6 is that with half of its registers), NEON with fused steps.
_ARMV7, _VFPV4, _NEONV2 = 10, 6, 2
# Tag_THUMB_ISA_use: 2 is Thumb-2; 3 leaves it to the architecture, which is looked at as well.
_THUMB2 = 2


@dataclass(frozen=True)
class Arm:
    """What a file for ARM says of the processor that it was made for, in the numbers of ARM's ABI."""

    cpu: int
    fpu: int
    simd: int
    thumb: int

    def is_armv6(self) -> bool:
        """Tell whether a Pi 1 or Zero has all that it was made for."""
        return self.cpu in _ARMV6 and self.fpu <= _VFPV2 and self.simd == 0 and self.thumb != _THUMB2

    def is_armv7(self) -> bool:
        """Tell whether a Pi 2 has all that it was made for."""
        return self.cpu <= _ARMV7 and self.fpu <= _VFPV4 and self.simd <= _NEONV2


def arm_attributes(elf: ELFFile) -> Iterator[tuple[str, int]]:
    """Yield what a file for ARM says of itself as a whole."""
    for section in elf.iter_sections("SHT_ARM_ATTRIBUTES"):
        if not isinstance(section, ARMAttributesSection):
            continue
        for vendor in section.iter_subsections("aeabi"):
            for scope in vendor.iter_subsubsections("TAG_FILE"):
                for attribute in scope.iter_attributes():
                    if isinstance(attribute.value, int):
                        yield str(attribute.tag), attribute.value


def processor(attributes: Mapping[str, int]) -> Arm | None:
    """Return the attributes that tell processors apart; one that is not there is 0 by ARM's rule."""
    if "TAG_CPU_ARCH" not in attributes:
        return None
    return Arm(
        cpu=attributes["TAG_CPU_ARCH"],
        fpu=attributes.get("TAG_FP_ARCH", 0),
        simd=attributes.get("TAG_ADVANCED_SIMD_ARCH", 0),
        thumb=attributes.get("TAG_THUMB_ISA_USE", 0),
    )


def float_abi(flags: int, attributes: Mapping[str, int]) -> str:
    """Return how floats are passed: the header's word first, as it is the loader's, else the attributes'."""
    if flags & _ARM_HARD:
        return "hard"
    if flags & _ARM_SOFT:
        return "soft"
    return {_VFP_ARGS_HARD: "hard", _VFP_ARGS_SOFT: "soft"}.get(
        attributes.get("TAG_ABI_VFP_ARGS", -1), "none"
    )
