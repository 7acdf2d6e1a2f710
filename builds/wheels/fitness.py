"""Does a wheel's machine code run where its tags say that it does?"""

from collections.abc import Collection, Mapping

from packaging.tags import Tag

from builder.elf import Elf, describe, fits, runs_on_armv6, tied_module


def misfit(files: Mapping[str, Elf], architecture: str, tags: Collection[Tag]) -> str:
    """Return what is wrong with these files under these tags, and what to do; "" when nothing is.

    Object files are let be: nothing loads them as they are, and some are for other processors on purpose.
    """
    loaded = {path: elf for path, elf in files.items() if elf.is_loaded}
    platforms = {tag.platform for tag in tags}
    if loaded and "any" in platforms:
        return (
            f"{min(loaded)} is machine code, but the wheel is named for any platform: "
            "have its build name the platform."
        )
    for path, elf in loaded.items():
        if not fits(elf, architecture):
            return f"{path} is for {describe(elf)}, not for {architecture}: build it on the target."
        if "linux_armv6l" in platforms and not runs_on_armv6(elf):
            return f"{path} does not say that an ARMv6 processor runs it: name linux_armv7l alone."
    if path := tied_module(loaded, {tag.abi for tag in tags}):
        return f"{path} is for one Python, and the wheel's name is not: name the target's ABI."
    return ""
