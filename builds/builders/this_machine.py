"""What a machine is as a target: `python3 -m builds.builders.this_machine` tells it, with nothing installed.

On a machine that is to become a builder of a new kind there is a checkout and Debian's Python, and no more.
"""

import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from builder.platforms import this_platform

# Debian's names of architectures, which are not the kernel's; a machine missing here keeps its own name.
_DEBIAN = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "armhf",
    "armv6l": "armhf",
    "i686": "i386",
    "loongarch64": "loong64",
    "ppc64le": "ppc64el",
}


def fields() -> dict[str, Any]:  # Any: of each its own
    """Return the target that this machine is: the fields of its row that a machine shows."""
    system = _os_release()
    platform_name = this_platform()
    machine = platform_name.split("-", 1)[-1]
    architecture = _DEBIAN.get(machine, machine.replace("_", "-"))
    release = system.get("VERSION_CODENAME") or f"{system['ID']}{system.get('VERSION_ID', '')}"
    abi = f"cp{sys.version_info.major}{sys.version_info.minor}"
    return {
        "key": f"{release}-{architecture}-{abi}".lower(),
        "os_release": release,
        "os_name": f"{system.get('NAME', 'Linux')} {system.get('VERSION_ID', '')}".strip(),
        "architecture": architecture,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "abi": abi,
        "platform_tags": [platform_name.replace("-", "_").replace(".", "_")],
        "glibc": _glibc(),
        "glibcxx": _glibcxx(),
        "preinstalled": _preinstalled(),
    }


def _os_release() -> dict[str, str]:
    """Return /etc/os-release, or as much as can be told without it."""
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {"ID": platform.system().lower(), "NAME": platform.system()}


def _glibc() -> str:
    """Return the C library's version; "" for another C library than GNU's."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except ValueError:
        return ""
    return version if name == "glibc" else ""


def _glibcxx() -> str:
    """Return the newest version of symbols that this machine's libstdc++ has; "" when there is none."""
    folders = (f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}", "/usr/lib64", "/usr/lib")
    for path in (Path(folder, "libstdc++.so.6") for folder in folders):
        if path.exists():
            # Among the names in the file; nothing else in it begins like this and ends so.
            found = re.findall(rb"\0GLIBCXX_(\d+(?:\.\d+)+)(?=\0)", path.read_bytes())
            return max((version.decode() for version in found), key=_numbers, default="")
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    """Return what versions are compared by; `builder.elf` has the same, and wants a library installed."""
    return tuple(int(number) for number in version.split("."))


def _preinstalled() -> list[str]:
    """Return the apt packages that every installation of this system has; none where there is no dpkg."""
    try:
        listed = subprocess.run(
            ["dpkg-query", "--show", "--showformat", "${Package} ${Priority}\\n"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    pairs = (line.split(" ") for line in listed.splitlines())
    always = {name for name, priority in pairs if priority in ("required", "important")}
    # Not in that class themselves, but needed by dpkg or apt, which are.
    return sorted(always | {"libc6", "libgcc-s1", "libstdc++6", "zlib1g"})


if __name__ == "__main__":
    json.dump(fields(), sys.stdout, indent=2)
    sys.stdout.write("\n")
