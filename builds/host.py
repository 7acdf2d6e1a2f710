"""The target that this machine itself is, for a farm on one machine."""

import platform
import subprocess
import sys
import sysconfig

from builds.models import Target

# Debian's names of architectures, which are not the kernel's; a machine missing here keeps its own name.
_DEBIAN = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armhf", "armv6l": "armhf", "i686": "i386"}


def host_target() -> Target:
    """Return the active target for this machine and the Python that runs this, adding it if need be."""
    system = _os_release()
    machine = sysconfig.get_platform().split("-", 1)[-1]
    architecture = _DEBIAN.get(machine, machine.replace("_", "-"))
    release = system.get("VERSION_CODENAME") or f"{system['ID']}{system.get('VERSION_ID', '')}"
    abi = f"cp{sys.version_info.major}{sys.version_info.minor}"
    target, _ = Target.objects.get_or_create(
        key=f"{release}-{architecture}-{abi}".lower(),
        defaults={
            "os_release": release,
            "os_name": f"{system.get('NAME', 'Linux')} {system.get('VERSION_ID', '')}".strip(),
            "architecture": architecture,
            "python": f"{sys.version_info.major}.{sys.version_info.minor}",
            "abi": abi,
            "platform_tags": [sysconfig.get_platform().replace("-", "_").replace(".", "_")],
            "order": 1,
            "preinstalled": _preinstalled(),
        },
    )
    if not target.is_active:
        target.activate()
    return target


def _os_release() -> dict[str, str]:
    """Return /etc/os-release, or as much as can be told without it."""
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {"ID": platform.system().lower(), "NAME": platform.system()}


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
