"""`make test-arm`: a builder on an emulated 32-bit ARM builds packages from PyPI; pip there installs them.

The farm runs outside, on this machine; the builder is set up inside as on a Pi, and hears of its orders
through Redis.  The exit status is 0 only if every step ended as it should.  Needs root, Linux 6.7, Debian's
packages and PyPI.  Roots are kept in the folder that is named, `var/arm` if none is.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import requests

from deploy.demo import Step, print_table
from deploy.farm import ROOT
from tests import services
from tests.arm import machine, wheels
from tests.arm import root as roots
from tests.arm.root import Root
from tests.arm.server import Server

# How long all builds may take together, in seconds; emulated, each takes seven times as long as here.
PATIENCE_S = float(os.environ.get("PIWHEELS_ARM_S", "1800"))
# How long a builder may take to say hello, and one that has nothing to do to end.
HELLO_S, DRAIN_S = 120.0, 60.0

_FAULTS = (AssertionError, OSError, subprocess.CalledProcessError, requests.RequestException)

PIP = "/home/pip"
PYTHON = f"{PIP}/environment/bin/python"


class Broken(Exception):
    """A step did not end as it should; the text says how it did."""


class Run:
    """One way through all of it, and the steps that it took."""

    def __init__(self, scratch: Path, cache: Path) -> None:
        self.steps: list[Step] = []
        self.cache = cache
        self.logs = scratch / "var"
        for folder in (self.logs, scratch / "root"):
            folder.mkdir()
        self.root = Root(scratch / "root", self.logs / "root.log")
        self.server = Server(self.logs, *(package.name for package in wheels.PACKAGES))

    @contextmanager
    def step(self, what: str) -> Iterator[Step]:
        """Note a step, how it went and how long it took; raises Broken if it went wrong."""
        print(f"  {what} ...", flush=True)
        began = time.monotonic()
        step = Step(what, "", 0.0, False)
        self.steps.append(step)
        try:
            yield step
            step.good = True
        except (Broken, roots.CommandFailed, *_FAULTS) as error:
            step.outcome = "FAILED"
            raise Broken(f"{what}: {error}") from error
        finally:
            step.seconds = time.monotonic() - began

    def go(self) -> None:
        """Go the whole way; raises Broken at the first step that goes wrong."""
        with self.step("make an ARM root") as step:
            step.outcome = machine.unpack(self.root, self.cache)
        with ExitStack() as ends:
            with self.step("start the farm") as step:
                ends.enter_context(self.server)
                step.outcome = "running"
            with self.step("set up the builder inside") as step:
                machine.set_up(self.root, self.cache, self.server, self.server.enrol())
                step.outcome = "set up"
            builder = ends.enter_context(machine.builder(self.root))
            with self.step("wait for its hello") as step:
                step.outcome = self.hear(builder)
            self.wait_for_builds(builder)
            self.install()
            with self.step("end the builder") as step:
                step.outcome = self.end(builder)
        with self.step("look for what is left") as step:
            step.outcome = self.look_for_remains()

    def hear(self, builder: "subprocess.Popen[bytes]") -> str:
        """Wait until the builder has said what it is; return that."""
        end = time.monotonic() + HELLO_S
        while not (facts := self.server.builder()):
            self.check_alive(builder, end)
            time.sleep(1)
        return f"{facts['platform']}, {facts['sandbox']}"

    def wait_for_builds(self, builder: "subprocess.Popen[bytes]") -> None:
        """Wait for each package's build, in the order in which they end, and look at what came out."""
        end = time.monotonic() + PATIENCE_S
        left = {package.name: package for package in wheels.PACKAGES}
        while left:
            with self.step(f"wait for {' '.join(left)}") as step:
                while not (ended := [package for name, package in left.items() if self.server.build(name)]):
                    self.check_alive(builder, end)
                    time.sleep(0.5)
                package = left.pop(ended[0].name)
                step.what, step.outcome = self.look_at(package)

    def look_at(self, package: wheels.Package) -> tuple[str, str]:
        """Check how a build ended; return what it was and what came out of it."""
        build = self.server.build(package.name)
        made = self.server.wheels(build["files"])
        what = f"build {package.name} {build['number']} ({package.kind})"
        wrong = [] if build["state"] == package.should else [f"its state is {build['state']}"]
        if package.should == "succeeded":
            wrong += wheels.problems(package, made)
        if wrong:
            log = self.server.log_of(build["build_id"])
            raise Broken(f"{what}: {'; '.join(wrong)}. {build['reason']}\n{log[-3000:]}")
        tags = [wheel.filename.removesuffix(".whl").split("-", 2)[2] for wheel in made]
        needs = [f"needs {name}" for wheel in made for name in wheel.apt]
        return what, ", ".join([build["state"], *tags, *needs])

    def install(self) -> None:
        """Install what was built with pip inside, as a user who has nothing but our index, and import it."""
        good = [package for package in wheels.PACKAGES if package.should == "succeeded"]
        pip = [PYTHON, "-m", "pip", "--disable-pip-version-check"]
        from_us = [
            "--index-url",
            f"{self.server.address}/simple/",
            "--only-binary",
            ":all:",
            "--no-cache-dir",
        ]
        self.root.run("install", "-d", "-o", "nobody", PIP)
        for what, outcome, words in [
            ("make an environment inside", "made", ["python3", "-m", "venv", f"{PIP}/environment"]),
            ("pip install inside", "installed", [*pip, "install", *from_us, *(each.name for each in good)]),
            *(
                (f"import {each.module}", "imported", [PYTHON, "-c", f"import {each.module}"])
                for each in good
            ),
            ("pip check", "clean", [*pip, "check"]),
        ]:
            with self.step(what) as step:
                clean = {"HOME": PIP, "PIP_CONFIG_FILE": os.devnull}
                self.root.run(*words, user="nobody", environment=clean)
                step.outcome = outcome

    def end(self, builder: "subprocess.Popen[bytes]") -> str:
        """Ask the builder to end and see that it does."""
        status = machine.drain(builder, DRAIN_S)
        if status:
            raise Broken(f"it ended with status {status}")
        if status is None:
            raise Broken(f"it did not end within {DRAIN_S:.0f} s of being asked to")
        return "ended"

    def look_for_remains(self) -> str:
        """See that nothing that ran inside still does, and that no mount was left to this machine."""
        mounts = Path("/proc/self/mountinfo").read_text()
        if (left := self.root.processes()) or str(self.root.folder) in mounts:
            raise Broken(f"processes {left} or a mount are left")
        return "nothing"

    def check_alive(self, builder: "subprocess.Popen[bytes]", end: float) -> None:
        """Raise Broken if there is nothing more to wait for."""
        if builder.poll() is not None:
            raise Broken(f"the builder ended by itself, with status {builder.returncode}")
        if time.monotonic() > end:
            raise Broken("it took too long")


def main() -> int:
    """Go the whole way and print the table."""
    parser = argparse.ArgumentParser(prog="make test-arm", description=__doc__)
    parser.add_argument(
        "cache", nargs="?", type=Path, default=ROOT / "var" / "arm", help="where roots are kept"
    )
    cache = parser.parse_args().cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    # All that was started ends, and what is scratch goes, also when we are told to end.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    try:
        roots.check()
        with tempfile.TemporaryDirectory(prefix="run-", dir=cache) as scratch:
            return _report(Run(Path(scratch), cache))
    except (roots.CannotMake, services.CannotInstall) as problem:
        print(problem, file=sys.stderr)
        return 2


def _report(run: Run) -> int:
    """Go, and tell how it went; return the exit status."""
    began = time.monotonic()
    try:
        run.go()
        end = "Real ARM wheels, installed from our index."
    except Broken as broken:
        end = f"Broken off.\n{broken}"
        logs = [*run.logs.glob("*.log")]
        print(*(f"--- {path.name}\n{path.read_text(errors='replace')[-2500:]}" for path in logs), sep="\n")
    good = all(step.good for step in run.steps)
    print_table([*run.steps, Step("all of it", "", time.monotonic() - began, good)])
    print(f"\n{end}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
