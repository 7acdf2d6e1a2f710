"""`make test-real`: twenty real packages from PyPI, of every kind, built on this machine's own target.

Not every one of them can be built here, and that is the point: what fails must say why.  Needs PyPI; takes
some ten minutes, most of them in compilers.  The table goes into docs/real-packages.md with `--write`.
"""

import argparse
import os
import platform
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from deploy.demo import Ended, farm, wait_for_site
from deploy.farm import ROOT
from deploy.scratch import free_port

PATIENCE_S = float(os.environ.get("PIWHEELS_REAL_S", "2400"))
DOCUMENT = ROOT / "docs" / "real-packages.md"
ENDED = frozenset({"succeeded", "failed", "cancelled", "lost"})


@dataclass(frozen=True)
class Package:
    """A package, and why it is one of the twenty."""

    name: str
    kind: str


PACKAGES = [
    Package("docopt", "pure, setup.py of 2014"),
    Package("attrs", "pure, hatchling with plugins"),
    Package("idna", "pure, flit"),
    Package("rich", "pure, poetry"),
    Package("markupsafe", "C, setuptools"),
    Package("psutil", "C, abi3, reads /proc"),
    Package("wrapt", "C, optional extension"),
    Package("regex", "C, one large file"),
    Package("kiwisolver", "C++, setuptools"),
    Package("greenlet", "C++ and assembler"),
    Package("frozenlist", "Cython, expandvars backend"),
    Package("pyyaml", "Cython, optional library"),
    Package("cffi", "C, needs libffi"),
    Package("argon2-cffi-bindings", "CFFI, abi3"),
    Package("contourpy", "meson-python and pybind11"),
    Package("simplejson", "C, setuptools"),
    Package("pyzmq", "CMake, scikit-build-core, needs libzmq"),
    Package("rpds-py", "Rust, maturin"),
    Package("psycopg2", "C, needs PostgreSQL's headers"),
    Package("demjson", "setup.py that asks for 2to3"),
]


def wait(process: Any, address: str) -> dict[str, dict[str, Any]]:  # Any: a process of subprocess; JSON
    """Return how each package's newest version ended; tell of each as it does."""
    began, found = time.monotonic(), dict[str, dict[str, Any]]()
    while len(found) < len(PACKAGES):
        if process.poll() is not None:
            raise Ended(f"the farm ended by itself, with status {process.returncode}")
        if time.monotonic() - began > PATIENCE_S:
            break
        time.sleep(5)
        for package in PACKAGES:
            if package.name not in found and (row := ended(address, package.name)):
                found[package.name] = row
                print(
                    f"  {package.name} {row['number']}: {row['build']['state']} ({len(found)} of 20)",
                    flush=True,
                )
    return found


def ended(address: str, name: str) -> dict[str, Any] | None:  # Any: JSON
    """Return the number, the build and the files of a package's newest version, once its build has ended."""
    answer = requests.get(f"{address}/project/{name}/json", timeout=20)
    if not answer.ok:
        return None
    for number, release in answer.json()["releases"].items():
        for build in release["builds"].values():
            if build["state"] in ENDED:
                return {"number": number, "build": build, "files": release["files"]}
    return None


def line(package: Package, row: dict[str, Any] | None) -> str:  # Any: JSON
    """Return a package's line of the table."""
    if row is None:
        return f"| {package.name} | {package.kind} | not ended in time |{' |' * 6}"
    build = row["build"]
    files = list(row["files"].items())
    tags = "<br>".join(name.removesuffix(".whl").split("-", 2)[2] for name, _ in files)
    apt = ", ".join(sorted({name for _, file in files for name in file["apt_dependencies"]}))
    same = {True: "yes", False: "no", None: "not tried"}
    again = ", ".join(same[file.get("reproducible")] for _, file in files)
    trial = ", ".join(file.get("trial") or "" for _, file in files)
    why = build.get("failure") or ""
    about = build.get("failure_about") or ""
    result = build["state"] + (f": {why} {about}".rstrip() if why else "")
    rung = build.get("rung") or ""
    took = f"{build['duration'] or 0:.1f} s"
    cells = [f"{package.name} {row['number']}", package.kind, result, took, rung, tags, apt, again, trial]
    return f"| {' | '.join(cells)} |"


def table(found: dict[str, dict[str, Any]]) -> str:  # Any: JSON
    """Return the table as Markdown."""
    head = [
        "| package | kind | result | time in pip | rung | tags | apt packages | same bytes again | imports |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *(line(package, found.get(package.name)) for package in PACKAGES)])


def document(text: str) -> str:
    """Return the page that keeps the table, with how it was made."""
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    machine = f"{system}, {platform.machine()}, Python {platform.python_version()}, {os.cpu_count()} cores"
    return f"""# Twenty real packages

Made by `make test-real` on {datetime.now(UTC):%-d %B %Y}: {machine}. Of each package the newest \
version that this Python may have, built from its source by `make run`'s own parts, with the newest tools \
that PyPI had on that day.

{text}

A wheel that "works" was installed into a clean sandbox and its top-level modules were imported there. What \
failed says why on its build's page; the class of the failure is in the table.
"""


def main() -> int:
    """Build them all, print the table, and exit with 0 if each has ended and each failure has a class."""
    parser = argparse.ArgumentParser(prog="make test-real", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the table to docs/real-packages.md")
    arguments = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="piwheels-real-"))
    var = scratch / "var"
    var.mkdir()
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    try:
        with farm(var, port, [package.name for package in PACKAGES]) as process:
            wait_for_site(process, address)
            print(f"The farm is at {address}/ ...", flush=True)
            found = wait(process, address)
    except Ended as end:
        print((var / "farm.log").read_text(errors="replace")[-3000:], end, sep="\n", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    text = table(found)
    print(f"\n{text}")
    if arguments.write:
        DOCUMENT.write_text(document(text))
    unexplained = [
        name
        for name, row in found.items()
        if row["build"]["state"] != "succeeded" and row["build"].get("failure") in ("", "unknown")
    ]
    print(
        f"\n{len(found)} of {len(PACKAGES)} ended; without an explanation: {', '.join(unexplained) or 'none'}"
    )
    return 0 if len(found) == len(PACKAGES) and not unexplained else 1


if __name__ == "__main__":
    sys.exit(main())
