"""What a builder says of itself: its board, its system, its load."""

import os
import platform
import shutil
import subprocess
import sys
import time
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from builder.contract import CONTRACT, BuilderFacts
from builder.platforms import this_platform
from builder.problems import problems
from builder.tools import PATH

# When this program began, as far as anybody can tell: this module is one of the first that it reads.
_BEGAN_S = time.monotonic()

_TOLD = ("piwheels", "pip", "celery", "redis", "requests")
# Programs that builds depend on, and how each is asked for its version.
_PROGRAMS = {"gcc": ["gcc", "-dumpfullversion"], "bubblewrap": ["bwrap", "--version"]}


def facts(
    work: Path, *, sandbox: str = "bare", lacks: tuple[str, ...] = (), build: int = 0, ending: bool = False
) -> BuilderFacts:
    """Return the facts of this moment; builds happen in the folder `work`."""
    disk, files = shutil.disk_usage(work), os.statvfs(work)
    temperature_c = _temperature_c()
    clock = time.time()
    return BuilderFacts(
        contract=CONTRACT,
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        platform=this_platform(),
        os_release=_os_release(),
        model=_model(),
        memory_bytes=memory("MemTotal"),
        memory_free_bytes=memory("MemAvailable"),
        swap_bytes=memory("SwapTotal"),
        swap_free_bytes=memory("SwapFree"),
        disk_bytes=disk.total,
        disk_free_bytes=disk.free,
        load=os.getloadavg()[0],
        temperature_c=temperature_c,
        clock=clock,
        sandbox=sandbox,
        sandbox_lacks=lacks,
        problems=tuple(
            problems(
                disk_bytes=disk.total,
                disk_free_bytes=disk.free,
                files=files.f_files,
                files_free=files.f_favail,
                # Also root may not where the file system is read-only.
                is_writable=os.access(work, os.W_OK),
                temperature_c=temperature_c,
                clock=clock,
                ending=ending,
            )
        ),
        build=build,
        versions={**_versions(), **_versions_of_programs()},
        up_s=time.monotonic() - _BEGAN_S,
    )


def made_with() -> dict[str, str]:
    """Return what a wheel built at this moment is made with, as its provenance has it."""
    found = {
        "model": _model(),
        "os": _os_name(),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "c_library": " ".join(platform.libc_ver()),
        "python": platform.python_version(),
        "compiler": _first_line(["gcc", "--version"]),
        "rust": _first_line(["rustc", "--version"]),
    }
    return {**_versions(), **{key: value for key, value in found.items() if value}}


def _first_line(command: list[str]) -> str:
    """Return the first line that a program of this system prints; nothing when there is no such program."""
    try:
        done = subprocess.run(
            command,
            # As a build has it: no home, which rustup's stand-in for rustc would fill, and no translations.
            env={"PATH": PATH, "HOME": os.devnull, "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.partition("\n")[0].strip() if done.returncode == 0 else ""


def _os_name() -> str:
    """Return the system's name and version, as Debian GNU/Linux 13 (trixie)."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _os_release() -> str:
    """Return the code name of the system's release, or what the server calls one that has none."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return platform.system().lower()
    return release.get("VERSION_CODENAME") or f"{release['ID']}{release.get('VERSION_ID', '')}"


def _model() -> str:
    """Return what the board says it is, or else what its processor says."""
    # The device tree's strings end in NUL.
    if board := _text("/proc/device-tree/model").strip("\0\n "):
        return board
    for line in _text("/proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("Model", "model name"):
            return value.strip()
    return platform.machine()


def memory(name: str) -> int:
    """Return one of the kernel's figures of its memory, in bytes; 0 if it has none of that name."""
    for line in _text("/proc/meminfo").splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    return 0


def _temperature_c() -> float | None:
    """Return the processor's temperature, where one can be read."""
    text = _text("/sys/class/thermal/thermal_zone0/temp").strip()
    return int(text) / 1000 if text.lstrip("-").isdecimal() else None


def _versions() -> dict[str, str]:
    """Return the versions of the kernel, of Python, and of what builds depend on there."""
    versions = {"kernel": platform.release(), "python": platform.python_version()}
    for name in _TOLD:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            # Run from a checkout, this distribution itself is not installed.
            continue
    return versions


@cache
def _versions_of_programs() -> dict[str, str]:
    """Return what programs say of their versions; asked once, as each costs a process."""
    versions = {}
    for name, command in _PROGRAMS.items():
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
        except (OSError, subprocess.SubprocessError):
            continue
        versions[name] = done.stdout.strip().rpartition(" ")[2][:40]
    return versions


def _text(path: str) -> str:
    """Return what stands in one of the kernel's files; nothing if it is not there."""
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
