"""How long it takes from `git clone` to the first wheel that pip installs, with a warm cache of packages.

The whole way is gone twice, as somebody would who has read README.md: the first time fills a cache of pip's
own for this measurement, the second is the figure.  This needs the network.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
import requests

from benchmarks.figures import Figure, show
from deploy.farm import ROOT
from deploy.scratch import free_port
from simple.formats import Format
from tests.farm import clean_environment, new_environment
from tests.services import scratch

PACKAGE = "markupsafe"
PATIENCE_S = 600


class NeverCame(Exception):
    """What was waited for did not happen; the text has the end of the farm's output."""


def main() -> int:
    """Measure and print."""
    head = ["git", "-C", str(ROOT), "rev-parse", "--quiet", "--verify", "HEAD"]
    if subprocess.run(head, stdout=subprocess.DEVNULL, check=False).returncode:
        print("  There is nothing to clone yet: commit first.")
        return 1
    with scratch() as folder:
        try:
            first = go(folder / "first", folder / "cache")
            warm = go(folder / "second", folder / "cache")
        except NeverCame as problem:
            print(f"  {problem}")
            return 1
    for what, seconds in warm.items():
        show(Figure(f"until {what}", seconds, "s", "under 60 s" if what == "pip has installed it" else ""))
    show(Figure("the same with an empty cache", list(first.values())[-1], "s"))
    return 0


def go(folder: Path, cache: Path) -> dict[str, float]:
    """Go the whole way and return how many seconds after the start each thing had happened."""
    folder.mkdir()
    began = time.monotonic()
    passed: dict[str, float] = {}

    def note(what: str) -> None:
        passed[what] = time.monotonic() - began

    checkout = folder / "checkout"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(checkout)], check=True)
    note("the repository is cloned")
    with farm(checkout, cache) as address:
        # What a user needs anyway, in a second terminal.
        python = new_environment(folder / "environment")
        log = checkout.with_suffix(".log")
        wait_until((checkout / ".venv" / "run.stamp").exists, log)
        note("the farm's environment is made")
        wait_until(lambda: requests.get(f"{address}/healthz", timeout=5).ok, log)
        note("the site answers")
        wait_until(lambda: is_listed(address), log)
        note("the index has the wheel")
        wait_until(lambda: install(python, address, folder), log)
        note("pip has installed it")
    return passed


@contextmanager
def farm(checkout: Path, cache: Path) -> Iterator[str]:
    """Run `make run` in a checkout and give the address of its site; end all of it afterwards."""
    port = free_port()
    env = {
        **environment(os.environ),
        "PIP_CACHE_DIR": str(cache),
        "PIWHEELS_WATCH": PACKAGE,
        "PORT": str(port),
    }
    with checkout.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            ["make", "run"], cwd=checkout, env=env, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        started = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        _, left = psutil.wait_procs(started, timeout=30)
        for each in left:
            each.kill()


def environment(ours: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what belongs to this measurement or to the checkout that it runs from."""
    strange = ("PIWHEELS", "REDIS", "DATABASE", "DJANGO", "PYTHON", "VIRTUAL_ENV", "MAKE", "MFLAGS")
    return {name: value for name, value in ours.items() if not name.startswith(strange)}


def wait_until(condition: Callable[[], bool], log: Path) -> None:
    """Wait until something is so; raise NeverCame when that takes too long."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            if condition():
                return
        except requests.RequestException:
            pass
        time.sleep(0.2)
    raise NeverCame(f"It did not come true in {PATIENCE_S} s.\n{log.read_text(errors='replace')[-3000:]}")


def is_listed(address: str) -> bool:
    """Tell whether the index has a wheel of the package."""
    page = requests.get(f"{address}/simple/{PACKAGE}/", headers={"Accept": Format.JSON}, timeout=5)
    return page.ok and bool(page.json()["files"])


def install(python: str, address: str, home: Path) -> bool:
    """Try to install the package from the farm, and from nowhere else."""
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir"]
    done = subprocess.run(
        [*pip, "--index-url", f"{address}/simple/", "--only-binary", ":all:", PACKAGE],
        env=clean_environment(home),
        check=False,
    )
    return done.returncode == 0
