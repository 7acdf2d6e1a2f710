"""Makes files with machine code for any processor, as bytes; they load nowhere, but say all that we read."""

import struct
from collections.abc import Mapping, Sequence

ARM, AARCH64, X86_64, X86 = 40, 183, 62, 3
HARD, SOFT, EABI5 = 0x400, 0x200, 0x05000000

# By their numbers: 6 Tag_CPU_arch, 9 Tag_THUMB_ISA_use, 10 Tag_FP_arch, 12 Tag_Advanced_SIMD_arch,
# 28 Tag_ABI_VFP_args
ARMV6 = {6: 6, 10: 2, 9: 1, 28: 1}
ARMV7 = {6: 10, 10: 3, 9: 2, 28: 1}
ARMV8 = {6: 14, 10: 7, 9: 2, 12: 3, 28: 1}
NEON = {**ARMV6, 12: 1}


def armhf(attributes: Mapping[int, int] | None = None, **how) -> bytes:
    """A shared library as Raspberry Pi OS' compiler makes it, unless other attributes are given."""
    how = {"flags": EABI5 | HARD, **how}
    return make_elf(ARM, 32, attributes=ARMV6 if attributes is None else attributes, **how)


def make_elf(
    machine=X86_64,
    bits=64,
    *,
    flags=0,
    kind=3,
    needed: Sequence[str] = (),
    asked: Mapping[str, Sequence[str]] | None = None,
    soname="",
    runpath="",
    names: Sequence[str] = (),
    attributes: Mapping[int, int] | None = None,
    big_endian=False,
) -> bytes:
    """An ELF file; `names` are names of symbols, `asked` the versions that it wants of each library."""
    order = ">" if big_endian else "<"
    strings = _Strings()
    entries = [(1, strings[name]) for name in needed]
    entries += [(14, strings[soname])] if soname else []
    entries += [(29, strings[runpath])] if runpath else []
    for name in names:
        strings[name]
    verneed = _verneed(order, asked or {}, strings)
    head, program = (64, 56) if bits == 64 else (52, 32)
    at_strings = head + 2 * program
    at_verneed = at_strings + len(strings.content)
    at_dynamic = at_verneed + len(verneed)
    entries += [(5, at_strings), (10, len(strings.content))]
    entries += [(0x6FFFFFFE, at_verneed), (0x6FFFFFFF, len(asked or {}))] if asked else []
    word = "Q" if bits == 64 else "I"
    dynamic = b"".join(struct.pack(f"{order}2{word}", *entry) for entry in [*entries, (0, 0)])
    at_attributes = at_dynamic + len(dynamic)
    body = strings.content + verneed + dynamic + _attributes(order, attributes)
    section_names = b"\0.ARM.attributes\0.shstrtab\0"
    at_names = at_strings + len(body)
    at_sections = at_names + len(section_names)
    sections = [(0, 0, 0, 0), (17, 3, at_names, len(section_names))]
    if attributes is not None:
        sections.append((1, 0x70000003, at_attributes, at_names - at_attributes))
    return b"".join(
        [
            b"\x7fELF" + bytes([bits // 32, 2 if big_endian else 1, 1]) + bytes(9),
            struct.pack(f"{order}HHI3{word}I", kind, machine, 1, 0, head, at_sections, flags),
            struct.pack(f"{order}6H", head, program, 2, 64 if bits == 64 else 40, len(sections), 1),
            _program(order, bits, 1, 0, at_sections),
            _program(order, bits, 2, at_dynamic, len(dynamic)),
            body,
            section_names,
            *(
                struct.pack(f"{order}II4{word}II2{word}", name, type_, 0, 0, where, size, 0, 0, 1, 0)
                for name, type_, where, size in sections
            ),
        ]
    )


class _Strings:
    """A table of names; asking for one puts it there."""

    def __init__(self):
        self.content = b"\0"

    def __getitem__(self, name: str) -> int:
        self.content += name.encode() + b"\0"
        return len(self.content) - len(name.encode()) - 1


def _program(order: str, bits: int, kind: int, where: int, size: int) -> bytes:
    if bits == 64:
        return struct.pack(f"{order}II6Q", kind, 5, where, where, where, size, size, 1)
    return struct.pack(f"{order}8I", kind, where, where, where, size, size, 5, 1)


def _verneed(order: str, asked: Mapping[str, Sequence[str]], strings: _Strings) -> bytes:
    content = b""
    for number, (library, versions) in enumerate(asked.items(), 1):
        size = 16 * (1 + len(versions))
        following = size if number < len(asked) else 0
        content += struct.pack(f"{order}HHIII", 1, len(versions), strings[library], 16, following)
        for index, version in enumerate(versions, 1):
            following = 16 if index < len(versions) else 0
            content += struct.pack(f"{order}IHHII", 0, 0, index + 1, strings[version], following)
    return content


def _attributes(order: str, attributes: Mapping[int, int] | None) -> bytes:
    if attributes is None:
        return b""
    values = b"".join(bytes(pair) for pair in attributes.items())
    scope = bytes([1]) + struct.pack(f"{order}I", 5 + len(values)) + values
    return b"A" + struct.pack(f"{order}I", 10 + len(scope)) + b"aeabi\0" + scope
