"""What the platform of a Python is called that runs here; nothing but the standard library is needed."""

import struct
import sysconfig

# What a 32-bit system is called on a kernel that says it is a 64-bit one.
_OF_32_BIT = {"aarch64": "armv7l", "armv8l": "armv7l", "x86_64": "i686"}


def this_platform() -> str:
    """Return the platform of this Python's programs, as `linux-armv7l`."""
    return platform_of(sysconfig.get_platform(), struct.calcsize("P") * 8)


def platform_of(said: str, bits: int) -> str:
    """Return the platform of a Python of so many bits, where the kernel says that it is another.

    Raspberry Pi OS has 32 bits on a 64-bit kernel.
    """
    system, _, machine = said.partition("-")
    return f"{system}-{_OF_32_BIT.get(machine, machine)}" if bits == 32 else said
