"""`make demo`: the whole way without a person, in a scratch farm on free ports, with packages from PyPI.

A pure package and a C extension are built, installed with pip into a new environment and imported; a third
is known to fail and must fail.  The exit status is 0 only if all three end as they should.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import requests

from deploy.farm import ROOT
from deploy.scratch import ELSEWHERE, free_port

# How long all three may take together, in seconds; with a warm connection it is well under a minute.
PATIENCE_S = float(os.environ.get("PIWHEELS_DEMO_S", "300"))


@dataclass(frozen=True)
class Package:
    """A package of the demonstration, and how it should end."""

    name: str
    module: str
    kind: str
    should: str


# demjson asks for `use_2to3`, which setuptools dropped in version 58: no compiler will ever build it again.
PACKAGES = [
    Package("docopt", "docopt", "pure Python", "succeeded"),
    Package("markupsafe", "markupsafe._speedups", "C extension", "succeeded"),
    Package("demjson", "demjson", "cannot be built", "failed"),
]


@dataclass
class Step:
    """A line of the table at the end."""

    what: str
    outcome: str
    seconds: float
    good: bool


class Ended(Exception):
    """The farm ended, or the time did; the text says which."""


@contextmanager
def farm(var: Path, port: int, watch: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a scratch farm that follows these packages; its output goes to a file in its folder."""
    env = {
        **{name: value for name, value in os.environ.items() if name not in ELSEWHERE},
        "PIWHEELS_VAR": str(var),
        "PORT": str(port),
        "PIWHEELS_WATCH": " ".join(watch),
        "PIWHEELS_DEPTH": "1",
    }
    with (var / "farm.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy.farm"],
            env=env,
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()


def ended(address: str, package: Package) -> Step | None:
    """Return how the build of a package's newest version ended; None while it has not."""
    answer = requests.get(f"{address}/project/{package.name}/json", timeout=10)
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return None
    for number, release in answer.json()["releases"].items():
        for build in release["builds"].values():
            if build["state"] in ("succeeded", "failed", "cancelled", "lost"):
                what = f"build {package.name} {number} ({package.kind})"
                state = build["state"]
                return Step(what, state, build["duration"] or 0.0, state == package.should)
    return None


def wait_for_builds(process: subprocess.Popen[bytes], address: str, began: float) -> list[Step]:
    """Wait until each package has ended, telling of each; raise Ended if that will not happen."""
    steps: dict[str, Step] = {}
    while len(steps) < len(PACKAGES):
        if process.poll() is not None:
            raise Ended(f"the farm ended by itself, with status {process.returncode}")
        if time.monotonic() - began > PATIENCE_S:
            raise Ended(f"not all packages were built after {PATIENCE_S:.0f} s")
        time.sleep(0.2)
        for package in PACKAGES:
            step = None if package.name in steps else ended(address, package)
            if step:
                steps[package.name] = step
                print(f"  {step.what}: {step.outcome} after {_since(began):.1f} s", flush=True)
    return list(steps.values())


def wait_for_site(process: subprocess.Popen[bytes], address: str) -> None:
    """Wait until the site answers; raise Ended if that will not happen."""
    for _ in range(600):
        if process.poll() is not None:
            raise Ended(f"the farm ended by itself, with status {process.returncode}")
        try:
            if requests.get(f"{address}/healthz", timeout=5).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.1)
    raise Ended("the site did not answer for a minute")


def install(scratch: Path, address: str) -> Iterator[Step]:
    """Install what should have been built with pip into a new environment, and import it."""
    environment = scratch / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = str(environment / "bin" / "python")
    # Nothing of this machine's configuration of pip may help.
    clean = {"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": os.devnull, "HOME": str(scratch)}
    from_us = ["--index-url", f"{address}/simple/", "--only-binary", ":all:", "--no-deps", "--no-cache-dir"]
    for package in PACKAGES:
        if package.should != "succeeded":
            continue
        began = time.monotonic()
        pip = [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            *from_us,
            package.name,
        ]
        done = subprocess.run(pip, env=clean, check=False).returncode == 0
        yield Step(f"pip install {package.name}", "installed" if done else "FAILED", _since(began), done)
        began = time.monotonic()
        done = (
            subprocess.run([python, "-c", f"import {package.module}"], env=clean, check=False).returncode == 0
        )
        yield Step(f"import {package.module}", "imported" if done else "FAILED", _since(began), done)


def _since(began: float) -> float:
    return time.monotonic() - began


def demonstrate(scratch: Path) -> list[Step]:
    """Go the whole way and return each step of it."""
    var = scratch / "var"
    var.mkdir()
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    began = time.monotonic()
    print(f"Starting a scratch farm at {address}/ ...", flush=True)
    with farm(var, port, [package.name for package in PACKAGES]) as process:
        try:
            wait_for_site(process, address)
            steps = [Step("start the farm", "running", _since(began), True)]
            steps += wait_for_builds(process, address, began)
            steps += install(scratch, address)
        except Ended as end:
            print((var / "farm.log").read_text(errors="replace")[-3000:], file=sys.stderr)
            return [Step("the demonstration", f"broken off: {end}", _since(began), False)]
    return [*steps, Step("all of it", "", _since(began), True)]


def print_table(steps: Sequence[Step]) -> None:
    """Print what was done, how it ended and how long it took."""
    what, outcome = (
        max(map(len, texts)) for texts in zip(*((s.what, s.outcome) for s in steps), strict=True)
    )
    print()
    for step in steps:
        sign = "✔" if step.good else "✘"
        print(f"  {sign} {step.what:<{what}}  {step.outcome:<{outcome}} {step.seconds:6.1f} s")


def main() -> int:
    """Demonstrate and print the table."""
    scratch = Path(tempfile.mkdtemp(prefix="piwheels-demo-"))
    try:
        steps = demonstrate(scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print_table(steps)
    good = all(step.good for step in steps)
    print("\nAll three ended as they should." if good else "\nNot all ended as they should.")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
