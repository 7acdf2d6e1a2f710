"""What the sample's builds print: a log for each, and of the failed ones what real builds printed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from builds import failures
from builds.models import Target
from piwheels_site.sample.catalogue import Entry

# Logs that builds printed, cut to what matters; a part of the tests, which only a checkout has.
LOGS = Path(failures.__file__).with_name("tests") / "logs"

_EXIT = "`pip wheel` ended with exit code 1; the log says why."
# What no log shows and the builder tells.
_TOLD = {
    "timeout": "It took longer than 10,800 s and was ended.",
    "stalled": "It printed nothing and used no processor for 1,800 s, and was ended.",
    "bad-source": "The source's sha256 is not the one that was ordered.",
    "no-source": "The source is not there any more (404).",
    "no-wheel": "It left 0 wheels; one was expected.",
    "bad-output": "It left 2 wheels; one was expected.",
    "builder-disk-full": "The builder's disk is full: 96 MB are left.",
    "source-unreachable": "The source could not be fetched: the connection was reset.",
    "no-apt-packages": "apt-get failed: E: Unable to locate package libfoo-dev",
    "apt-unreachable": "apt-get failed: Could not resolve the archive's name.",
    "upload-failed": "The wheel could not be brought: the server did not answer for 120 s.",
    "proxy-failed": "The package proxy on the builder ended.",
    "builder-fault": "The builder had a fault: [Errno 5] Input/output error.",
}


@dataclass(frozen=True)
class Failed:
    """How a build failed, and the end of what it printed."""

    key: str
    about: str
    reason: str
    log: str


class NoLogs(Exception):
    """The logs are not here; the text says what to do."""


@cache
def by_name() -> dict[str, Failed]:
    """Return what real builds failed with, by the names of their logs, and what only builders tell."""
    found = {}
    for path in sorted(LOGS.glob("*.txt")):
        # Its first line says who printed it.
        text = path.read_text().partition("\n")[2]
        diagnosis = failures.classify(text, "")
        found[path.stem] = Failed(diagnosis.failure.key, diagnosis.about, _EXIT, text)
    if not found:
        raise NoLogs(
            "The logs of failed builds are a part of the tests, which are not here: clone the repository and"
            " run this command there."
        )
    return found | {key: Failed(key, "", reason, "") for key, reason in _TOLD.items()}


def log(entry: Entry, number: str, target: Target, chance: Random, failed: Failed | None = None) -> str:
    """Return what a build printed, from its first line to its end."""
    lines = [*_start(entry, number, target), *_compiling(entry, target, chance)]
    if failed and not failed.log:
        return "\n".join([*lines[: len(lines) // 2], ""])
    if failed:
        return "\n".join([*lines, failed.log])
    return "\n".join([*lines, *_end(entry, number, target), ""])


def _start(entry: Entry, number: str, target: Target) -> list[str]:
    stem = f"{entry.name}-{number}.tar.gz"
    return [
        f"Processing ./{stem}",
        "  Installing build dependencies: started",
        "  Installing build dependencies: finished with status 'done'",
        "  Getting requirements to build wheel: started",
        "  Getting requirements to build wheel: finished with status 'done'",
        "  Preparing metadata (pyproject.toml): started",
        "  Preparing metadata (pyproject.toml): finished with status 'done'",
        f"Building wheels for collected packages: {entry.name}",
        f"  Building wheel for {entry.name} (pyproject.toml): started",
        "  Running command Building wheel for " + entry.name,
        "  running bdist_wheel",
        "  running build",
        "  running build_py",
        f"  creating build/lib.{target.platform}-cpython-{target.abi.removeprefix('cp')}",
    ]


def _compiling(entry: Entry, target: Target, chance: Random) -> Sequence[str]:
    """Return the middle of a log: files that are copied, and of machine code files that are compiled."""
    module = entry.name.lower().replace("-", "_")
    if entry.is_pure:
        names = ("__init__", "core", "errors", "models", "cli", "version", "util")
        return [f"  copying src/{module}/{name}.py -> build/lib/{module}" for name in names]
    triplet = {"armhf": "arm-linux-gnueabihf", "arm64": "aarch64-linux-gnu"}.get(
        target.architecture, "x86_64-linux-gnu"
    )
    lines = ["  running build_ext"]
    for unit in range(min(300, 4 + int(entry.seconds / 8))):
        lines.append(
            f"  {triplet}-gcc -fno-strict-overflow -Wsign-compare -DNDEBUG -g -O2 -Wall -fPIC"
            f" -I/usr/include/python{target.python} -c src/unit{unit:03}.c"
            f" -o build/temp.{target.platform}-cpython-{target.abi.removeprefix('cp')}/src/unit{unit:03}.o"
        )
        if chance.random() < 0.1:
            lines += [
                f"  src/unit{unit:03}.c: In function ‘read_{chance.randrange(99)}’:",
                f"  src/unit{unit:03}.c:{chance.randrange(20, 900)}:{chance.randrange(5, 60)}:"
                " \x1b[01;35mwarning:\x1b[0m comparison of integers of different signs [-Wsign-compare]",
            ]
    return lines


def _end(entry: Entry, number: str, target: Target) -> list[str]:
    module = entry.name.lower().replace("-", "_").replace(".", "_")
    return [
        "  installing to build/bdist/wheel",
        "  running install",
        "  running install_lib",
        f"  creating build/bdist/wheel/{module}-{number}.dist-info/WHEEL",
        f"  Building wheel for {entry.name} (pyproject.toml): finished with status 'done'",
        f"  Created wheel for {entry.name}: filename={module}-{number}-{target.abi}-{target.abi}.whl",
        f"Successfully built {entry.name}",
    ]
