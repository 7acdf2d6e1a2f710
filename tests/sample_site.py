"""A sample farm with a web server, as `make play` has it, and a Chromium to look at it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import requests
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, Response, sync_playwright

from deploy import play
from deploy.farm import MANAGE, ROOT, web
from deploy.scratch import free_port
from tests.stack import wait_for_answer

CHROMIUM = shutil.which("chromium")
_QUIET = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
_PACKAGES = 40
# A package with wheels of its own, and one of which upstream has everything.
_NAMES = {"package": "numpy", "unbuilt": "requests", "prefix": "num"}
# It needs no other package.
_PACKED = "spidev"
_ALSO = ("spidev", "scipy", "psutil", "lxml", "pandas", "cffi", "rpi-gpio", "pyyaml", "aiohttp", "greenlet")


@dataclass(frozen=True)
class SampleSite:
    """A running sample: its address, what names in the pages' addresses stand for, and its environment."""

    url: str
    names: dict[str, str]
    env: dict[str, str]


@contextmanager
def sample_site(folder: Path, database: str) -> Iterator[SampleSite]:
    """Run a sample on this database ("" is SQLite), as `make play` does."""
    env = {"WEB_CONCURRENCY": "1", "LOG_LEVEL": "WARNING", **play.settings(folder, os.environ)}
    # Tests ask more often than anybody.
    env["PIWHEELS_API_A_MINUTE"] = "0"
    env |= {"DATABASE_URL": database} if database else {}
    play.prepare(env, ["--packages", str(_PACKAGES)])
    port, log = free_port(), folder / "web.log"
    with log.open("wb") as output:
        server = subprocess.Popen(web(port), env=env, cwd=ROOT, stdout=output, stderr=output)
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for_answer(server, address, log)
            yield SampleSite(address, {**_NAMES, **_builds(address), **_bundles(address, env)}, env)
        finally:
            server.terminate()
            server.wait(30)


def _builds(address: str) -> dict[str, str]:
    """Return a build for each state that one can be in."""
    found: dict[str, str] = {}
    for name in (_NAMES["package"], *_ALSO):
        releases = requests.get(f"{address}/project/{name}/json", timeout=30).json()["releases"]
        for release in releases.values():
            for build in release["builds"].values():
                found.setdefault(build["state"], str(build["build_id"]))
    return found


def ask_for_bundle(address: str, wanted: str) -> str:
    """Ask for a bundle, and return its key."""
    answer = requests.post(f"{address}/api/v1/bundles", json={"text": wanted}, timeout=30)
    assert answer.ok, answer.text
    return str(answer.json()["key"])


def _bundles(address: str, env: dict[str, str]) -> dict[str, str]:
    """Return a bundle that is made, one that could not be, and one that waits as there is no worker."""
    made, failed = ask_for_bundle(address, _PACKED), ask_for_bundle(address, "requests-of-nobody")
    make = "from simple.tasks import make_bundles; make_bundles(); make_bundles()"
    shell = [*MANAGE, "shell", "--no-imports", "-v", "0", "-c", make]
    subprocess.run(shell, env=env, cwd=ROOT, check=True)
    return {"packed": made, "unpackable": failed, "packing": ask_for_bundle(address, f"{_PACKED} # again")}


@contextmanager
def moving(site: SampleSite) -> Iterator[None]:
    """Keep a sample moving, as `make play` does."""
    words = [*MANAGE, "play", "--live", "--packages", str(_PACKAGES)]
    process = subprocess.Popen(words, env=site.env, cwd=ROOT)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Debian's Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_QUIET)
        yield browser
        browser.close()


@dataclass
class Reader:
    """Opens pages in a browser, and notes what these ask for, complain of and pop up."""

    page: Page
    home: str
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, context: BrowserContext, home: str) -> Self:
        """Return a reader with a new page."""
        reader = cls(context.new_page(), home)
        reader.page.on("request", lambda request: reader.asked.append(request.url))
        reader.page.on("console", lambda message: reader.complaints.append(message.text))
        reader.page.on("pageerror", lambda error: reader.complaints.append(str(error)))
        reader.page.on("dialog", reader.dismiss)
        return reader

    def dismiss(self, dialog: Dialog) -> None:
        """Note a dialog and close it."""
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def open(self, path: str) -> int:
        """Open a page and return its status."""
        answer = self.page.goto(self.home + path)
        assert answer
        return answer.status

    def fetch(self, path: str) -> dict[str, bytes]:
        """Open a page; return the bodies of all that it has asked for, by address."""
        answers: list[Response] = []

        def note(answer: Response) -> None:
            """Keep an answer; Playwright takes no method of a list's own."""
            answers.append(answer)

        self.page.on("response", note)
        self.page.goto(self.home + path, wait_until="load")
        return {answer.url: answer.body() for answer in answers if not 300 <= answer.status < 400}

    def strangers(self) -> set[str]:
        """Return the hosts that were asked and are not ours."""
        hosts = {urlsplit(url).netloc for url in self.asked if not url.startswith("data:")}
        return hosts - {urlsplit(self.home).netloc}
